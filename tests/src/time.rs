//! Waiting for what must happen, with a deadline that only a fault reaches.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
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
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within_deadline(condition).unwrap_or_else(|| panic!("waited in vain: {what}"))
}

/// As [`eventually`], but tells the caller when it was in vain.
pub(crate) fn within_deadline<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = condition();
        if found.is_some() || begun.elapsed() > DEADLINE {
            return found;
        }
        hold_for(LOOK_EVERY);
    }
}

/// Lets time pass, for tests that are about time itself or make load for a while.
pub fn hold_for(length: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    // Nobody sends, so this ends by its time limit.
    receiver.recv_timeout(length).unwrap_err();
}

/// Sets a flag when it is dropped: load that lasts until the flag is set ends also where a test fails.
#[derive(Debug)]
pub struct SetOnDrop<'f>(pub &'f AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
