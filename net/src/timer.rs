//! Deadlines by the thousand for next to nothing.
//!
//! A proxy sets a deadline for each request and nearly all of them never fire. So a [`Timer`] is
//! made once per connection, and setting it is a store into a slot; one task per core, the
//! sweep, looks through the slots now and then and wakes those that are due. A deadline fires at
//! its time or up to 10 ms later, never earlier; of thousands that are due together, the last some
//! tenths of a second later.
//!
//! What it does not do: measure latency, or wake anything precisely; use [`sleep`] for that.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::{
    ring,
    runtime::{BackEnd, back_end},
};

/// How much later than asked a [`Timer`] may fire, and the shortest pause between two sweeps.
const GRANULARITY: Duration = Duration::from_millis(10);

/// Deadlines that fire in one look, and the pause before the next look when more are due: what ends
/// a connection takes some 20 µs, so this is a small share of the thread.
const FIRED_AT_ONCE_MAX: u32 = 8;
const BACKLOG_PAUSE: Duration = Duration::from_millis(1);

/// A pause that never ends in practice: what the sweep waits for when no deadline is set.
const FAR: Duration = Duration::from_secs(3600);

thread_local! {
    static SWEEP: RefCell<Sweep> = const { RefCell::new(Sweep {
        slots: Vec::new(),
        free: Vec::new(),
        planned: None,
        waker: None,
    }) };
}

struct Sweep {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// When the sweep will look next; `None` before its first round.
    planned: Option<Instant>,
    /// Wakes the sweep before that.
    waker: Option<Waker>,
}

#[derive(Default)]
struct Slot {
    deadline: Option<Instant>,
    fired: bool,
    waker: Option<Waker>,
}

impl Sweep {
    /// Fires what is due and says when to look again. Of many at once only some: thousands of slow
    /// clients whose time ends together are otherwise a pause for everybody else.
    fn look(&mut self, now: Instant) -> Instant {
        let mut next = now + FAR;
        let mut fired = 0;
        for slot in &mut self.slots {
            match slot.deadline {
                Some(deadline) if deadline <= now => {
                    if fired == FIRED_AT_ONCE_MAX {
                        self.planned = Some(now + BACKLOG_PAUSE);
                        return now + BACKLOG_PAUSE;
                    }
                    fired += 1;
                    slot.deadline = None;
                    slot.fired = true;
                    if let Some(waker) = slot.waker.take() {
                        waker.wake();
                    }
                }
                Some(deadline) => next = next.min(deadline),
                None => {}
            }
        }
        let next = next.max(now + GRANULARITY);
        self.planned = Some(next);
        next
    }
}

/// Waits for `duration`, precisely to a millisecond.
pub async fn sleep(duration: Duration) {
    match back_end() {
        BackEnd::Ring => match Instant::now().checked_add(duration) {
            Some(at) => ring::sleep_until(at).await,
            None => std::future::pending().await,
        },
        BackEnd::Monoio => monoio::time::sleep(duration).await,
    }
}

/// The time, as precise as a [`Timer`] needs it: the clock is asked once a turn where the loop is
/// ours, since each look costs a request more than setting the timer does.
fn now() -> Instant {
    match back_end() {
        BackEnd::Ring => ring::now(),
        BackEnd::Monoio => Instant::now(),
    }
}

async fn sleep_until(at: Instant) {
    match back_end() {
        BackEnd::Ring => ring::sleep_until(at).await,
        BackEnd::Monoio => monoio::time::sleep_until(at.into()).await,
    }
}

/// The task that fires deadlines; [`crate::Runtime`] starts it.
pub(crate) async fn sweep() {
    loop {
        let next = SWEEP.with(|sweep| sweep.borrow_mut().look(Instant::now()));
        let mut pause = pin!(sleep_until(next));
        poll_fn(|cx| {
            let sooner = SWEEP.with(|sweep| {
                let mut sweep = sweep.borrow_mut();
                sweep.waker = Some(cx.waker().clone());
                sweep.planned != Some(next)
            });
            if sooner {
                return Poll::Ready(());
            }
            pause.as_mut().poll(cx)
        })
        .await;
    }
}

/// A deadline that can be set again and again.
#[derive(Debug)]
pub struct Timer {
    slot: usize,
}

impl Timer {
    /// A timer that is not set.
    #[must_use]
    pub fn new() -> Self {
        let slot = SWEEP.with(|sweep| {
            let mut sweep = sweep.borrow_mut();
            sweep.free.pop().unwrap_or_else(|| {
                sweep.slots.push(Slot::default());
                sweep.slots.len() - 1
            })
        });
        Self { slot }
    }

    /// Sets the deadline, in place of an earlier one. One beyond the end of time never passes.
    pub fn set(&self, after: Duration) {
        match now().checked_add(after) {
            Some(deadline) => self.set_at(deadline),
            None => self.clear(),
        }
    }

    /// Sets the deadline to a point in time.
    pub fn set_at(&self, deadline: Instant) {
        SWEEP.with(|sweep| {
            let mut sweep = sweep.borrow_mut();
            let slot = &mut sweep.slots[self.slot];
            slot.deadline = Some(deadline);
            slot.fired = false;
            if sweep.planned.is_some_and(|planned| deadline < planned) {
                sweep.planned = None;
                if let Some(waker) = sweep.waker.take() {
                    waker.wake();
                }
            }
        });
    }

    /// Takes the deadline back.
    pub fn clear(&self) {
        SWEEP.with(|sweep| {
            let mut sweep = sweep.borrow_mut();
            let slot = &mut sweep.slots[self.slot];
            // The waker goes too. Keeping it would save 2.5 ns when the same task waits again, but hold
            // the memory of a task that has ended while its connection lies in a pool.
            *slot = Slot::default();
        });
    }

    /// Waits until the deadline has passed; for ever when none is set. The deadline stays
    /// passed until it is set again.
    pub async fn expired(&self) {
        poll_fn(|cx| self.poll_expired(cx)).await;
    }

    fn poll_expired(&self, cx: &Context<'_>) -> Poll<()> {
        SWEEP.with(|sweep| {
            let mut sweep = sweep.borrow_mut();
            let slot = &mut sweep.slots[self.slot];
            if slot.fired {
                return Poll::Ready(());
            }
            match &mut slot.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // The error says that the thread is ending, and the slots with it.
        SWEEP
            .try_with(|sweep| {
                let mut sweep = sweep.borrow_mut();
                sweep.slots[self.slot] = Slot::default();
                sweep.free.push(self.slot);
            })
            .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep_of(deadlines: &[Option<Instant>]) -> Sweep {
        Sweep {
            slots: deadlines
                .iter()
                .map(|&deadline| Slot {
                    deadline,
                    ..Slot::default()
                })
                .collect(),
            free: Vec::new(),
            planned: None,
            waker: None,
        }
    }

    #[test]
    fn a_deadline_fires_at_its_time_and_not_before() {
        let start = Instant::now();
        let due = start + Duration::from_millis(100);
        let mut sweep = sweep_of(&[Some(due), None]);
        assert_eq!(sweep.look(start), due);
        assert!(!sweep.slots[0].fired);
        sweep.look(due);
        assert!(sweep.slots[0].fired);
        assert!(!sweep.slots[1].fired);
    }

    #[test]
    fn the_next_look_is_at_the_nearest_deadline_but_not_too_soon() {
        let now = Instant::now();
        let soon = now + Duration::from_micros(10);
        let mut sweep = sweep_of(&[Some(soon)]);
        assert_eq!(sweep.look(now), now + GRANULARITY);
    }

    #[test]
    fn of_many_that_are_due_together_a_few_fire_at_a_time() {
        let start = Instant::now();
        let mut sweep = sweep_of(&[Some(start); 20]);
        let fired = |sweep: &Sweep| sweep.slots.iter().filter(|slot| slot.fired).count();
        let mut now = start;
        for wanted in [8, 16] {
            let next = sweep.look(now);
            assert_eq!(fired(&sweep), wanted);
            assert_eq!(next, now + BACKLOG_PAUSE);
            now = next;
        }
        assert!(sweep.look(now) > now + GRANULARITY);
        assert_eq!(fired(&sweep), 20);
    }
}
