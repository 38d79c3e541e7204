//! What is told when a process cannot be started, and when one is tried again.

use std::io;
use std::time::Duration;

use process::SpawnError;

use crate::limits::RETRY_AFTER_S;
use crate::reply::Failure;

/// Before the second start in a row; it doubles from there.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// At most.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// No pipe could be made.
pub(crate) fn no_pipe(error: io::Error) -> Failure {
    let message = format!(
        "no pipe to the function could be made: {error}; a limit on descriptors (ulimit -n) may be reached"
    );
    Failure {
        retry_after_s: Some(RETRY_AFTER_S),
        ..Failure::new(503, "no-resources", message)
    }
}

/// No process could be started.
pub(crate) fn not_started(error: &SpawnError) -> Failure {
    if error.is_temporary() {
        Failure {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Failure::new(503, "no-resources", error.to_string())
        }
    } else {
        Failure::new(500, "no-program", error.to_string())
    }
}

/// The wait after this many failures in a row before this one.
pub(crate) fn backoff(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        // One that ran well and then fell is missed at once.
        None => Duration::ZERO,
        Some(doublings) => (BACKOFF_FIRST * (1 << doublings.min(16))).min(BACKOFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_after_a_fall_is_at_once_and_later_ones_wait_longer_and_longer() {
        let waits: Vec<_> = (0..=8).map(|n| backoff(n).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
