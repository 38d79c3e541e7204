//! Waiting for what must happen, with a deadline that only a fault reaches.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

/// No wait in the suites is longer; generous, since two suites and a build may share two cores.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `condition` gives something, and returns that.
///
/// # Panics
/// With `what` when it has not come by [`DEADLINE`].
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "waited in vain: {what}");
        hold_for(LOOK_EVERY);
    }
}

/// Lets time pass, for tests that are about time itself or make load for a while.
pub fn hold_for(length: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    // Nobody sends, so this ends by its time limit.
    receiver.recv_timeout(length).unwrap_err();
}
