//! What all connections of a watchdog share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use net::{Stopper, Waiters};
use process::{Command, Group, Template};

use crate::backend::Backend;
use crate::calls::Calls;
use crate::config::Config;
use crate::lock_file::LockFile;
use crate::metrics::Metrics;

/// Settings and state of a watchdog. It lives on one thread.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) calls: Calls,
    pub(crate) backend: Backend,
    /// None if they are off.
    pub(crate) metrics: Option<Metrics>,
    /// The program, ready to start; none while it cannot be found.
    template: RefCell<Option<Rc<Template>>>,
    /// There from the start, unless `suppress_lock`, until the shutdown.
    pub(crate) lock_file: RefCell<Option<LockFile>>,
    is_stopping: Cell<bool>,
    connections: RefCell<HashMap<u64, Open>>,
    connections_made: Cell<u64>,
    /// Those who wait for the shutdown to begin, or for the last connection to close.
    changed: Waiters,
}

#[derive(Debug)]
struct Open {
    stopper: Stopper,
    is_busy: bool,
}

impl Service {
    pub(crate) fn new(
        config: Config,
        calls: Calls,
        lock_file: Option<LockFile>,
        backend: Backend,
    ) -> Self {
        Self {
            backend,
            metrics: config.metrics_port.map(|_| Metrics::default()),
            config,
            calls,
            template: RefCell::default(),
            lock_file: RefCell::new(lock_file),
            is_stopping: Cell::new(false),
            connections: RefCell::default(),
            connections_made: Cell::new(0),
            changed: Waiters::default(),
        }
    }

    /// The program, ready to start. If it could not be found before, it is looked for again: it may
    /// have been installed or mounted since.
    ///
    /// # Errors
    /// Why it cannot be started, in a sentence.
    pub(crate) fn template(&self) -> Result<Rc<Template>, String> {
        if let Some(template) = &*self.template.borrow() {
            return Ok(Rc::clone(template));
        }
        let [program, args @ ..] = self.config.command.as_slice() else {
            return Err("fprocess is empty".to_owned());
        };
        let command = Command::new(program)
            .args(args)
            .envs(self.config.environment.iter().cloned())
            // A session for each call, so that whatever it starts can be found and ended.
            .group(Group::NewSession);
        let template = command
            .prepare()
            .map(Rc::new)
            .map_err(|error| error.to_string())?;
        *self.template.borrow_mut() = Some(Rc::clone(&template));
        Ok(template)
    }

    /// Looks for the program anew at the next call, since the last start failed.
    pub(crate) fn forget_template(&self) {
        *self.template.borrow_mut() = None;
    }

    /// Whether the lock file (if there is to be one) is there and no shutdown has begun.
    pub(crate) fn is_healthy(&self) -> bool {
        let is_locked = || {
            self.lock_file
                .borrow()
                .as_ref()
                .is_some_and(LockFile::is_there)
        };
        !self.is_stopping() && (self.config.switches.suppress_lock || is_locked())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.get()
    }

    /// Begins the shutdown: connections without a request are closed, the others after it.
    pub(crate) fn stop(&self) {
        self.is_stopping.set(true);
        drop(self.lock_file.borrow_mut().take());
        if let Backend::Fork(_, shelf) = &self.backend {
            shelf.clear();
        }
        for open in self
            .connections
            .borrow()
            .values()
            .filter(|open| !open.is_busy)
        {
            open.stopper.stop();
        }
        self.changed.wake_all();
    }

    /// Waits until the shutdown begins.
    pub(crate) async fn stopping(&self) {
        self.changed.until(|| self.is_stopping()).await;
    }

    /// Waits until no connection is open.
    pub(crate) async fn all_closed(&self) {
        let is_done = || self.connections.borrow().is_empty();
        self.changed.until(is_done).await;
    }

    /// Counts a connection as open until the returned guard is dropped.
    pub(crate) fn open(self: &Rc<Self>, stopper: Stopper) -> OpenConnection {
        let id = self.connections_made.get();
        self.connections_made.set(id + 1);
        self.connections.borrow_mut().insert(
            id,
            Open {
                stopper,
                is_busy: false,
            },
        );
        OpenConnection {
            service: Rc::clone(self),
            id,
        }
    }
}

/// An open connection; it counts as closed when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    service: Rc<Service>,
    id: u64,
}

impl OpenConnection {
    /// Says whether a request is being read or answered, which a shutdown lets end.
    pub(crate) fn set_busy(&self, is_busy: bool) {
        if let Some(open) = self.service.connections.borrow_mut().get_mut(&self.id) {
            open.is_busy = is_busy;
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut connections = self.service.connections.borrow_mut();
        connections.remove(&self.id);
        if connections.is_empty() && self.service.is_stopping() {
            drop(connections);
            self.service.changed.wake_all();
        }
    }
}
