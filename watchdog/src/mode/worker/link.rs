//! What the two owners of a worker tell each other: whoever has its pipes (the pool, or a call) and
//! the slot, which has the process.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use net::{Either, PipeReader, PipeWriter, Waiters, race, sleep};

/// What is to become of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// It goes on.
    #[default]
    Run,
    /// It has done its duty: its input is closed, and it may end by itself.
    Retire,
    /// It has closed its output, most likely because it is about to end.
    Follow,
    /// It is in the middle of something that nobody wants any more, or cannot be trusted.
    Kill,
}

/// What is known of a worker on both sides.
#[derive(Debug, Default)]
pub(super) struct Link {
    order: Cell<Order>,
    has_answered: Cell<bool>,
    /// What it did wrong.
    fault: OnceCell<Rc<str>>,
    /// How it ended.
    end: OnceCell<Rc<str>>,
    changed: Waiters,
}

impl Link {
    pub(super) fn order(&self) -> Order {
        self.order.get()
    }

    /// Waits until the process is not to go on.
    pub(super) async fn ordered(&self) -> Order {
        self.changed.until(|| self.order() != Order::Run).await;
        self.order()
    }

    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.get()
    }

    pub(super) fn fault(&self) -> Option<&Rc<str>> {
        self.fault.get()
    }

    /// Says what it did wrong.
    pub(super) fn blame(&self, fault: &str) {
        // The first one led to the others.
        self.fault.get_or_init(|| fault.into());
    }

    /// Says that the process has ended, and how.
    pub(super) fn set_end(&self, how: Rc<str>) {
        // It ends once.
        self.end.get_or_init(|| how);
        self.changed.wake_all();
    }

    /// Waits for the end of the process.
    pub(super) async fn fallen(&self) {
        self.changed.until(|| self.end.get().is_some()).await;
    }

    /// How the process ended, if it does so within `limit`.
    pub(super) async fn end_within(&self, limit: Duration) -> Option<Rc<str>> {
        match race(self.fallen(), sleep(limit)).await {
            Either::First(()) => self.end.get().cloned(),
            Either::Second(()) => None,
        }
    }

    fn set_order(&self, order: Order) {
        if self.order.get() == Order::Run {
            self.order.set(order);
            self.changed.wake_all();
        }
    }
}

/// A worker's pipes. Dropping it in the middle of a request ends the process.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) stdin: PipeWriter,
    pub(super) stdout: PipeReader,
    pub(super) link: Rc<Link>,
    /// How many requests it has answered.
    requests: u64,
}

impl Worker {
    pub(super) fn new(stdin: PipeWriter, stdout: PipeReader) -> Self {
        Self {
            stdin,
            stdout,
            link: Rc::default(),
            requests: 0,
        }
    }

    /// Counts an answer, and returns how many there were.
    pub(super) fn count_answer(&mut self) -> u64 {
        self.link.has_answered.set(true);
        self.requests += 1;
        self.requests
    }

    /// Whether it waits for a request: it has written nothing by itself, and has not closed its
    /// output. What an idle worker writes would be taken for the answer to the next request.
    pub(super) fn is_waiting(&mut self) -> bool {
        match self.stdout.try_recv() {
            Ok(None) => true,
            Ok(Some(bytes)) if bytes.is_empty() => {
                self.link.set_order(Order::Follow);
                false
            }
            Ok(Some(_)) => {
                self.blame("a worker wrote something without having been asked");
                false
            }
            Err(_) => false,
        }
    }

    /// Says what it did wrong; it will be ended when it is dropped.
    pub(super) fn blame(&self, fault: &str) {
        self.link.blame(fault);
    }

    /// Lets it end in order: the end of its input tells it to.
    pub(super) fn retire(self) {
        self.link.set_order(Order::Retire);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Nothing happens if another order came first, or the process has ended.
        self.link.set_order(Order::Kill);
    }
}
