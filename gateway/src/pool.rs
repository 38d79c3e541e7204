//! Idle connections to replicas, one pool per core.
//!
//! The connection used last is used next: it is the warmest, and those that are not needed grow
//! old together. A connection leaves when it has waited too long, when its replica has retired,
//! or when the other end has closed it.

use std::{cell::RefCell, collections::HashMap, sync::Arc, time::Instant};

use net::{Stream, Timer};

use crate::{
    limits::Limits,
    metrics::{Held, OwnCells},
    snapshot::Replica,
};

/// A connection to a replica with its timer.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    pub(crate) timer: Timer,
    /// Whether it has carried a request before.
    pub(crate) reused: bool,
    _counted: Held,
}

impl Upstream {
    pub(crate) fn new(stream: Stream, cells: &OwnCells) -> Self {
        Self {
            stream,
            timer: Timer::new(),
            reused: false,
            _counted: cells.hold(|cells| &cells.upstream_connections),
        }
    }
}

#[derive(Debug)]
struct Idle {
    upstream: Upstream,
    since: Instant,
    _counted: Held,
}

#[derive(Debug)]
struct Shelf {
    replica: Arc<Replica>,
    idle: Vec<Idle>,
}

/// The idle connections of one core.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    shelves: RefCell<HashMap<u64, Shelf>>,
}

impl Pool {
    /// Takes a connection that can be used, if there is one.
    ///
    /// Each is looked at first, since bytes that nobody has asked for would become the answer to
    /// somebody else's request. With `make_sure` the kernel is asked, which costs a system call:
    /// one that the replica has closed a moment ago would fail a request that cannot be sent twice.
    pub(crate) fn take(&self, replica: &Replica, make_sure: bool) -> Option<Upstream> {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.get_mut(&replica.id)?;
        while let Some(Idle { upstream, .. }) = shelf.idle.pop() {
            let is_fit = if make_sure {
                upstream.stream.is_quiet()
            } else {
                upstream.stream.seems_quiet()
            };
            if is_fit {
                return Some(upstream);
            }
        }
        None
    }

    /// Puts a connection back that is between two requests. It is closed in place of that where
    /// the pool has enough or the replica has left.
    pub(crate) fn put(
        &self,
        replica: &Arc<Replica>,
        mut upstream: Upstream,
        limits: &Limits,
        cells: &OwnCells,
    ) {
        let mut shelves = self.shelves.borrow_mut();
        let shelf = shelves.entry(replica.id).or_insert_with(|| Shelf {
            replica: Arc::clone(replica),
            idle: Vec::new(),
        });
        if replica.is_retired() || shelf.idle.len() >= limits.pool_idle_max {
            return;
        }
        upstream.timer.clear();
        upstream.reused = true;
        shelf.idle.push(Idle {
            upstream,
            since: Instant::now(),
            _counted: cells.hold(|cells| &cells.upstream_idle),
        });
    }

    /// Closes what is of no more use.
    pub(crate) fn tidy(&self, now: Instant, limits: &Limits) {
        self.shelves.borrow_mut().retain(|_, shelf| {
            let retired = shelf.replica.is_retired();
            shelf.idle.retain(|idle| {
                let fresh = now.duration_since(idle.since) < limits.pool_idle_timeout;
                !retired && fresh && idle.upstream.stream.is_quiet()
            });
            !shelf.idle.is_empty()
        });
    }
}
