//! One core's share of the data plane: a thread with its own runtime, listeners, pool and view of
//! the routes.
//!
//! The rooms in the order in which a request meets them: `accept` takes the connection,
//! `admission` lets it in, `connection` is THE path of a request, `client` is the near side of it, a `desk`
//! holds its state meanwhile, `drain` ends it all.

mod accept;
mod admission;
mod client;
mod clock;
mod connection;
mod desk;
mod drain;

use std::{
    cell::RefCell,
    io,
    ops::Deref,
    rc::Rc,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use net::{Bell, Listener, Runtime};
use socket2::Socket;

use crate::{
    failure::Reason, limits::Limits, metrics::OwnCells, pool::Pool, shared::Shared,
    snapshot::Snapshot,
};

pub(crate) use admission::Peers;
pub(crate) use client::Client;
pub(crate) use clock::Clock;
pub(crate) use connection::Next;
use desk::Desks;
use drain::Drain;

/// How often a worker looks through its pool for connections that are of no more use.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// What a worker is started with.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) core: usize,
    pub(crate) listeners: Vec<Socket>,
    pub(crate) bell: Bell,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    /// Told once whether the worker has its listeners.
    pub(crate) started: mpsc::Sender<io::Result<()>>,
}

/// What all tasks of one core share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) core: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    pub(crate) wire_limits: wire::Limits,
    pub(crate) cells: OwnCells,
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
    pub(crate) random: RefCell<fastrand::Rng>,
    routes: RefCell<Rc<View>>,
    pub(crate) drain: Drain,
    desks: Desks,
}

/// A snapshot as this thread holds it: requests count themselves in and out on an `Rc`, since a
/// reference count that all cores write would be a shared cache line.
#[derive(Debug)]
pub(crate) struct View(Arc<Snapshot>);

impl Deref for View {
    type Target = Snapshot;
    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl Worker {
    fn new(core: usize, shared: Arc<Shared>, limits: Limits) -> Self {
        Self {
            core,
            wire_limits: limits.wire(),
            drain: Drain::new(limits.drain_idle_timeout),
            desks: Desks::default(),
            limits,
            cells: OwnCells::new(Arc::clone(&shared), core),
            pool: Pool::default(),
            clock: Clock::default(),
            random: RefCell::new(fastrand::Rng::new()),
            routes: RefCell::new(Rc::new(View(shared.published.load()))),
            shared,
        }
    }

    /// The newest routes. Costs one load of a line that changes only with the routes.
    pub(crate) fn routes(&self) -> Rc<View> {
        let mut routes = self.routes.borrow_mut();
        if routes.generation < self.shared.published.generation() {
            *routes = Rc::new(View(self.shared.published.load()));
        }
        Rc::clone(&routes)
    }

    /// Whether `routes` are still the newest: to be asked after a replica was entered.
    pub(crate) fn are_current(&self, routes: &Snapshot) -> bool {
        // Not equality: the snapshot is replaced a moment before its number.
        routes.generation >= self.shared.published.generation()
    }
}

/// Runs a worker on this thread's runtime until it has drained. Whoever started it is told whether
/// it could.
pub(crate) fn run(mut runtime: Runtime, setup: Setup) {
    let started = setup.started.clone();
    // Nobody listens any more when an earlier worker could not start: then this one leaves too.
    let tell = |result: io::Result<()>| started.send(result).is_ok();
    runtime.block_on(async {
        let worker = Rc::new(Worker::new(setup.core, setup.shared, setup.limits));
        for socket in setup.listeners {
            match Listener::new(socket) {
                Ok(listener) => accept::begin(&worker, listener),
                Err(error) => {
                    tell(Err(error));
                    return;
                }
            }
        }
        net::spawn(tidy(Rc::clone(&worker)));
        net::spawn(listen(Rc::clone(&worker), setup.bell));
        if tell(Ok(())) {
            let left = worker.drain.done(worker.limits.drain_timeout).await;
            if left > 0 {
                tracing::warn!(
                    connections = left,
                    "the drain time limit has broken off what was still open"
                );
            }
            for _ in 0..left {
                worker.cells.failed(Reason::DrainTimeout);
            }
        }
    });
}

/// Waits for the word from the control plane that something has changed. When nobody is left who
/// could ring, the gateway is ending.
async fn listen(worker: Rc<Worker>, bell: Bell) {
    let heard = bell.listen(|| {
        if worker.shared.is_draining() {
            worker.drain.start();
        }
        if worker.shared.is_leaving_at_once() {
            worker.drain.give_up();
        }
    });
    if let Err(error) = heard.await {
        tracing::error!(%error, "a worker cannot hear the control plane");
    }
    worker.drain.start();
}

async fn tidy(worker: Rc<Worker>) {
    loop {
        net::sleep(TIDY_EVERY).await;
        worker.pool.tidy(Instant::now(), &worker.limits);
    }
}
