//! How a worker ends: no new connections, idle ones closed, busy ones after their request.
//!
//! A connection that waits for a request has its reading side shut down: bytes that had arrived
//! are still read and answered, so a request that crosses our farewell is not lost.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use net::{Receiver, Stopper, race};

/// The connections of a worker and whether they are to end.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    inner: Rc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    started: Cell<bool>,
    given_up: Cell<bool>,
    next_seat: Cell<u64>,
    seats: RefCell<HashMap<u64, Taken>>,
    /// Tasks that wait for the start or the end.
    waiting: RefCell<Vec<Waker>>,
}

#[derive(Debug)]
struct Taken {
    stopper: Stopper,
    idle: bool,
}

impl Drain {
    /// Registers a connection until its seat is dropped.
    pub(crate) fn seat(&self, receiver: &Receiver) -> Seat {
        let number = self.inner.next_seat.get();
        self.inner.next_seat.set(number + 1);
        let taken = Taken {
            stopper: receiver.stopper(),
            idle: false,
        };
        self.inner.seats.borrow_mut().insert(number, taken);
        Seat {
            number,
            inner: Rc::clone(&self.inner),
        }
    }

    /// Begins to drain.
    pub(crate) fn start(&self) {
        if self.inner.started.replace(true) {
            return;
        }
        for taken in self.inner.seats.borrow().values() {
            if taken.idle {
                taken.stopper.stop();
            }
        }
        self.inner.wake_all();
    }

    /// Waits for the start.
    pub(crate) async fn started(&self) {
        self.inner.until(|inner| inner.started.get()).await;
    }

    /// Waits until, after the start, the last connection has gone, `limit` at most. Tells how many
    /// are left.
    pub(crate) async fn done(&self, limit: Duration) -> usize {
        self.started().await;
        let gone = |inner: &Inner| inner.given_up.get() || inner.seats.borrow().is_empty();
        race(self.inner.until(gone), net::sleep(limit)).await;
        self.inner.seats.borrow().len()
    }

    /// Waits no longer for connections that are busy.
    pub(crate) fn give_up(&self) {
        self.inner.given_up.set(true);
        self.inner.wake_all();
    }
}

impl Inner {
    fn wake_all(&self) {
        for waker in self.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        poll_fn(|cx| {
            if condition(self) {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// A connection's place among those that a drain waits for.
#[derive(Debug)]
pub(crate) struct Seat {
    number: u64,
    inner: Rc<Inner>,
}

impl Seat {
    /// Says whether the connection is between two requests. An idle one that learns here that
    /// the worker drains has its reading ended at once.
    pub(crate) fn set_idle(&self, idle: bool) {
        if let Some(taken) = self.inner.seats.borrow_mut().get_mut(&self.number) {
            taken.idle = idle;
            if idle && self.inner.started.get() {
                taken.stopper.stop();
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.inner.seats.borrow_mut();
        seats.remove(&self.number);
        if seats.is_empty() && self.inner.started.get() {
            drop(seats);
            self.inner.wake_all();
        }
    }
}
