//! Points in time that tasks wait for, of one thread.

use std::{collections::BTreeMap, future::poll_fn, task::Poll, time::Instant};

use super::executor::{Core, TaskId};

/// Those who wait, by time. Numbered, so that two may wait for the same moment.
#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<(Instant, u64), TaskId>,
    last_number: u64,
}

impl Timers {
    fn add(&mut self, at: Instant, task: TaskId) -> (Instant, u64) {
        self.last_number += 1;
        let key = (at, self.last_number);
        self.waiting.insert(key, task);
        key
    }

    /// Wakes all whose time has come; tells when the next one's does.
    pub(super) fn fire(&mut self, now: Instant, mut wake: impl FnMut(TaskId)) -> Option<Instant> {
        while let Some(first) = self.waiting.first_entry() {
            let (at, _) = *first.key();
            if at > now {
                return Some(at);
            }
            wake(first.remove());
        }
        None
    }
}

/// Waits until `at`.
pub(crate) async fn sleep_until(at: Instant) {
    /// Takes its place back.
    struct Place((Instant, u64));
    impl Drop for Place {
        fn drop(&mut self) {
            Core::if_there(|core| {
                core.timers().waiting.remove(&self.0);
            });
        }
    }
    let _place = Place(Core::with(|core| {
        let task = Core::current_task();
        core.timers().add(at, task)
    }));
    poll_fn(|_| {
        if Instant::now() >= at {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
