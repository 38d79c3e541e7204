//! The workers as calls see them: one that is idle, or a place in the line for the next.
//!
//! There is one worker from the start. Another is started when all are busy, up to `workers`; none
//! is given up again. The slots (`slot`) keep the processes running and tell here what has become
//! of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use net::Waiters;

use super::line::Line;
use super::link::{Link, Worker};
use super::slot;
use crate::config;
use crate::reply::Failure;
use crate::service::Service;

/// Requests wait for a start that is this near; else they are told at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// All workers. It lives on one thread.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) workers_max: usize,
    requests_max: Option<u64>,
    pub(super) body_bytes_max: u64,
    /// The one that was used last goes first: its memory is warm.
    idle: RefCell<Vec<Worker>>,
    line: Line<Result<Worker, Failure>>,
    /// Slots in use; each has a process, or is about to start one.
    slots: Cell<usize>,
    /// Slots with a process.
    up: Cell<usize>,
    /// Why the last start failed, and when the next is due.
    failed: RefCell<Option<(Failure, Instant)>>,
    /// Processes that have not been reaped yet.
    running: Cell<usize>,
    is_ending: Cell<bool>,
    changed: Waiters,
}

impl Pool {
    pub(crate) fn new(settings: &config::Worker) -> Self {
        Self {
            workers_max: settings.workers,
            requests_max: settings.requests_max,
            body_bytes_max: settings.body_bytes_max,
            idle: RefCell::default(),
            line: Line::default(),
            slots: Cell::new(0),
            up: Cell::new(0),
            failed: RefCell::default(),
            running: Cell::new(0),
            is_ending: Cell::new(false),
            changed: Waiters::default(),
        }
    }

    /// Starts the first worker.
    pub(crate) fn start(self: &Rc<Self>, service: &Rc<Service>) {
        self.add_slot(service);
    }

    /// Takes a worker that waits for a request. If all are busy, those who came first go first.
    ///
    /// # Errors
    /// Why there will be none soon.
    pub(super) async fn take(self: &Rc<Self>, service: &Rc<Service>) -> Result<Worker, Failure> {
        loop {
            let mut worker = match self.pop_idle() {
                Some(worker) => worker,
                None => self.wait_for_one(service).await?,
            };
            if worker.is_waiting() {
                return Ok(worker);
            }
            // It is dropped, which tells its slot.
        }
    }

    async fn wait_for_one(self: &Rc<Self>, service: &Rc<Service>) -> Result<Worker, Failure> {
        if let Some(failure) = self.hopeless() {
            return Err(failure);
        }
        let mut place = self.line.join(|given| {
            // It was given to somebody who has left in the meantime.
            if let Ok(worker) = given {
                self.put(worker);
            }
        });
        // Slots without a process are about to start one, or have just failed to.
        let to_come = self.slots.get() - self.up.get();
        if self.line.len() > to_come && self.slots.get() < self.workers_max {
            self.add_slot(service);
        }
        place.turn().await
    }

    fn pop_idle(&self) -> Option<Worker> {
        self.idle.borrow_mut().pop()
    }

    fn add_slot(self: &Rc<Self>, service: &Rc<Service>) {
        self.slots.set(self.slots.get() + 1);
        net::spawn(slot::keep(Rc::clone(self), Rc::clone(service)));
    }

    /// Takes a worker back that has answered, or lets it go if it has answered often enough.
    pub(super) fn put_back(&self, worker: Worker, answers: u64) {
        if self.is_ending.get() || self.requests_max.is_some_and(|max| answers >= max) {
            worker.retire();
        } else {
            self.put(worker);
        }
    }

    /// Gives a worker to whoever is first in the line, or keeps it.
    fn put(&self, worker: Worker) {
        if let Err(Ok(worker)) = self.line.give(Ok(worker)) {
            self.idle.borrow_mut().push(worker);
        }
    }

    /// Says that a slot has started a process.
    pub(super) fn came_up(&self, worker: Worker) {
        self.up.set(self.up.get() + 1);
        *self.failed.borrow_mut() = None;
        self.put(worker);
    }

    /// Says that the process of a slot is not there any more.
    pub(super) fn went_down(&self, link: &Rc<Link>) {
        self.up.set(self.up.get() - 1);
        self.take_idle(link);
    }

    /// Takes this worker if it is idle.
    pub(super) fn take_idle(&self, link: &Rc<Link>) -> Option<Worker> {
        let mut idle = self.idle.borrow_mut();
        let at = idle
            .iter()
            .position(|worker| Rc::ptr_eq(&worker.link, link))?;
        Some(idle.swap_remove(at))
    }

    /// Says why a slot has no process, and when it tries again.
    pub(super) fn failed(&self, failure: Failure, wait: Duration) {
        *self.failed.borrow_mut() = Some((failure, Instant::now() + wait));
        if let Some(failure) = self.hopeless() {
            while self.line.give(Err(failure.clone())).is_ok() {}
        }
    }

    /// Why nothing should be sent here.
    pub(crate) fn not_ready(&self) -> Option<Failure> {
        let failure = self.hopeless()?;
        Some(Failure {
            status: 503,
            ..failure
        })
    }

    /// What to tell a request at once: there is no worker, and there will not be one soon.
    fn hopeless(&self) -> Option<Failure> {
        if self.up.get() > 0 {
            return None;
        }
        let failed = self.failed.borrow();
        let (failure, next) = failed.as_ref()?;
        let wait = next.saturating_duration_since(Instant::now());
        let is_soon = wait <= PATIENCE && failure.status != 500;
        (!is_soon).then(|| Failure {
            retry_after_s: Some(u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX)),
            ..failure.clone()
        })
    }

    /// Counts a process as running until the guard is dropped.
    pub(super) fn running(self: &Rc<Self>) -> Running {
        self.running.set(self.running.get() + 1);
        Running {
            pool: Rc::clone(self),
        }
    }

    /// Ends all workers, in order, and waits until they are gone.
    pub(crate) async fn end(&self) {
        self.is_ending.set(true);
        self.changed.wake_all();
        self.changed.until(|| self.running.get() == 0).await;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// Waits until all are to end.
    pub(super) async fn ending(&self) {
        self.changed.until(|| self.is_ending()).await;
    }
}

/// A process that has not been reaped yet.
#[derive(Debug)]
pub(super) struct Running {
    pool: Rc<Pool>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = &self.pool.running;
        running.set(running.get() - 1);
        if running.get() == 0 {
            self.pool.changed.wake_all();
        }
    }
}
