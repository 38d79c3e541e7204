//! A replica that cannot be connected to is left out for a while, longer each time in a row.
//!
//! The control plane takes out replicas that it knows to be gone; this is for what it does not
//! know yet, and for servers that nobody but the requests asks (`--static`). The state is shared
//! by all cores and written only when something fails or recovers, so that it costs a request a
//! load of a line that nobody writes.
//!
//! What it does not do: see to it that somebody is left to choose; `balance` does.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How long it is left out after the first failure. A process that is started anew needs some
/// milliseconds, a container a second; in the meantime others serve.
const FIRST: Duration = Duration::from_millis(500);

/// The longest time, which is how late a server that comes back may be noticed.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether a replica could be connected to.
#[derive(Debug)]
pub(crate) struct Outlier {
    since: Instant,
    /// In a row; 0 nearly always.
    failures: AtomicU32,
    /// The end of its time out, in milliseconds from `since`.
    until: AtomicU64,
}

impl Outlier {
    /// One that has not failed.
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            failures: AtomicU32::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// Whether others are to be preferred.
    pub(crate) fn is_left_out(&self, now: Instant) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
            && self.millis(now) < self.until.load(Ordering::Relaxed)
    }

    /// Notes that a connection failed; tells whether that is news. Attempts that began before the
    /// first of them failed do not make its time longer.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        if self.is_left_out(now) {
            return false;
        }
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = FIRST.saturating_mul(1 << before.min(16)).min(LONGEST);
        self.until
            .store(self.millis(now + pause), Ordering::Relaxed);
        true
    }

    /// Notes that a connection came about.
    pub(crate) fn connected(&self) {
        // Not written without need: all cores read it.
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        let past = now.saturating_duration_since(self.since).as_millis();
        u64::try_from(past).unwrap_or(u64::MAX)
    }
}

/// Some point in time, for tests that have no clock of their own.
#[cfg(test)]
pub(crate) fn a_moment() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_out_grows_with_each_failure_and_ends_with_a_success() {
        let outlier = Outlier::new();
        let mut now = Instant::now();
        assert!(!outlier.is_left_out(now));
        for pause in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let pause = Duration::from_millis(pause);
            assert!(outlier.failed(now));
            assert!(!outlier.failed(now), "an attempt that was under way");
            assert!(outlier.is_left_out(now + pause - Duration::from_millis(2)));
            now += pause + Duration::from_millis(1);
            assert!(!outlier.is_left_out(now), "it may be tried again");
        }
        outlier.connected();
        assert!(outlier.failed(now));
        assert!(!outlier.is_left_out(now + Duration::from_millis(501)));
    }
}
