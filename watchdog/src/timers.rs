//! The timers of a connection: made once, since setting one costs nearly nothing.

use std::cell::Cell;
use std::time::{Duration, Instant};

use net::Timer;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// For the request to arrive.
    pub(crate) read: ReadTimer,
    /// For the call to be over.
    pub(crate) call: Timer,
    /// Marks a call that takes longer than most, for the client's side.
    pub(crate) slow_client: Timer,
    /// The same for the program's side; a timer wakes only one task.
    pub(crate) slow_program: Timer,
}

/// A timer that stands still while it is not the client who is waited for.
#[derive(Debug, Default)]
pub(crate) struct ReadTimer {
    timer: Timer,
    deadline: Cell<Option<Instant>>,
}

impl ReadTimer {
    /// Sets it to `after` from now, or switches it off.
    pub(crate) fn set(&self, after: Option<Duration>) {
        self.set_at(after.map(|after| Instant::now() + after));
    }

    /// Moves the deadline by a time that does not count.
    pub(crate) fn postpone(&self, by: Duration) {
        self.set_at(self.deadline.get().map(|deadline| deadline + by));
    }

    /// Waits for the deadline.
    pub(crate) async fn expired(&self) {
        self.timer.expired().await;
    }

    /// Sets it to a moment, or switches it off.
    pub(crate) fn set_at(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
        match deadline {
            Some(deadline) => self.timer.set_at(deadline),
            None => self.timer.clear(),
        }
    }
}
