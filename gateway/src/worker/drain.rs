//! How a worker ends: no new connections, idle ones a little later, busy ones after their request.
//!
//! A connection that waits for a request when the drain begins, or comes to wait during it, stays
//! open for a short time: a client may be sending its next request at this moment, and one that
//! does is answered with `Connection: close`, which is the only orderly way to part (RFC 9112,
//! 9.6). When that time is over its reading side is shut down: bytes that had arrived are still
//! read and answered.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use net::{Receiver, Stopper, Waiters, race};

/// The connections of a worker and whether they are to end.
#[derive(Debug)]
pub(crate) struct Drain {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// How long a connection may stay idle once the drain has begun.
    idle_timeout: Duration,
    started: Cell<bool>,
    given_up: Cell<bool>,
    next_seat: Cell<u64>,
    seats: RefCell<HashMap<u64, Rc<Taken>>>,
    /// Listeners from which connections may still come.
    listeners: Cell<usize>,
    /// Tasks that wait for the start or the end.
    waiting: Waiters,
}

#[derive(Debug)]
struct Taken {
    stopper: Stopper,
    /// Written twice per request, so it is shared with the seat and need not be looked for.
    idle: Cell<bool>,
}

impl Drain {
    /// For a worker whose drain leaves idle connections `idle_timeout`.
    pub(crate) fn new(idle_timeout: Duration) -> Self {
        Self {
            inner: Rc::new(Inner {
                idle_timeout,
                started: Cell::new(false),
                given_up: Cell::new(false),
                next_seat: Cell::new(0),
                seats: RefCell::default(),
                listeners: Cell::new(0),
                waiting: Waiters::default(),
            }),
        }
    }

    /// Has the drain wait for a listener until the returned guard is dropped.
    pub(super) fn open_listener(&self) -> OpenListener {
        self.inner.listeners.set(self.inner.listeners.get() + 1);
        OpenListener {
            inner: Rc::clone(&self.inner),
        }
    }

    /// Registers a connection until its seat is dropped.
    pub(crate) fn seat(&self, receiver: &Receiver) -> Seat {
        let number = self.inner.next_seat.get();
        self.inner.next_seat.set(number + 1);
        let taken = Rc::new(Taken {
            stopper: receiver.stopper(),
            idle: Cell::new(false),
        });
        let mut seats = self.inner.seats.borrow_mut();
        seats.insert(number, Rc::clone(&taken));
        Seat {
            number,
            taken,
            inner: Rc::clone(&self.inner),
        }
    }

    /// Begins to drain.
    pub(crate) fn start(&self) {
        if self.inner.started.replace(true) {
            return;
        }
        let seats = self.inner.seats.borrow();
        let idle: Vec<u64> = seats
            .iter()
            .filter_map(|(number, taken)| taken.idle.get().then_some(*number))
            .collect();
        if !idle.is_empty() {
            net::spawn(Rc::clone(&self.inner).stop_later(idle));
        }
        self.inner.waiting.wake_all();
    }

    /// Waits for the start.
    pub(crate) async fn started(&self) {
        let inner = &self.inner;
        inner.waiting.until(|| inner.started.get()).await;
    }

    /// Waits until, after the start, the listeners and the last connection have gone, `limit` at
    /// most. Tells how many connections are left.
    pub(crate) async fn done(&self, limit: Duration) -> usize {
        self.started().await;
        let inner = &self.inner;
        let gone = || inner.given_up.get() || inner.is_empty();
        race(inner.waiting.until(gone), net::sleep(limit)).await;
        self.inner.seats.borrow().len()
    }

    /// Waits no longer for connections that are busy.
    pub(crate) fn give_up(&self) {
        self.inner.given_up.set(true);
        self.inner.waiting.wake_all();
    }
}

impl Inner {
    /// Whether nobody is connected and nobody can come.
    fn is_empty(&self) -> bool {
        self.listeners.get() == 0 && self.seats.borrow().is_empty()
    }

    /// Ends the reading of those connections that are idle when their time is over. A connection
    /// becomes idle once during a drain: the answer to its next request ends it.
    async fn stop_later(self: Rc<Self>, seats: Vec<u64>) {
        net::sleep(self.idle_timeout).await;
        let taken = self.seats.borrow();
        for taken in seats.iter().filter_map(|number| taken.get(number)) {
            if taken.idle.get() {
                taken.stopper.stop();
            }
        }
    }

    fn wake_if_empty(&self) {
        if self.started.get() && self.is_empty() {
            self.waiting.wake_all();
        }
    }
}

/// A connection's place among those that a drain waits for.
#[derive(Debug)]
pub(crate) struct Seat {
    number: u64,
    taken: Rc<Taken>,
    inner: Rc<Inner>,
}

impl Seat {
    /// Says whether the connection is between two requests. One that comes to be so during a drain
    /// has the short time that all idle ones have.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.taken.idle.set(idle);
        if idle && self.inner.started.get() {
            net::spawn(Rc::clone(&self.inner).stop_later(vec![self.number]));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.inner.seats.borrow_mut().remove(&self.number);
        self.inner.wake_if_empty();
    }
}

/// A listener that a drain waits for.
#[derive(Debug)]
pub(super) struct OpenListener {
    inner: Rc<Inner>,
}

impl Drop for OpenListener {
    fn drop(&mut self) {
        self.inner.listeners.set(self.inner.listeners.get() - 1);
        self.inner.wake_if_empty();
    }
}
