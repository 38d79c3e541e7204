//! What the two planes share: the snapshot going down, the numbers coming up, and the word that
//! it is time to leave.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_utils::CachePadded;

use crate::{
    metrics::WorkerCells,
    snapshot::{Published, Snapshot},
    worker::Peers,
};

/// One per gateway, behind an `Arc`.
#[derive(Debug)]
pub struct Shared {
    /// Routes and replicas, control plane to data plane.
    pub published: Published,
    /// What each worker counts about itself, data plane to control plane.
    pub workers: Box<[CachePadded<WorkerCells>]>,
    /// Client connections by address, where their number is limited.
    pub(crate) peers: Peers,
    /// Alone on its cache line: every core reads it for every request.
    draining: CachePadded<AtomicBool>,
    leaving_at_once: AtomicBool,
}

impl Shared {
    /// For a gateway of `cores` workers.
    #[must_use]
    pub fn new(first: Snapshot, cores: usize) -> Self {
        Self {
            published: Published::new(first),
            workers: (0..cores).map(|_| CachePadded::default()).collect(),
            peers: Peers::default(),
            draining: CachePadded::default(),
            leaving_at_once: AtomicBool::new(false),
        }
    }

    /// Workers of this gateway, one per core.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.workers.len()
    }

    /// From now on connections are closed after the request that they carry.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the gateway is about to leave.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Drains, and does not wait for requests in flight.
    pub fn leave_at_once(&self) {
        self.leaving_at_once.store(true, Ordering::Relaxed);
        self.start_draining();
    }

    /// Whether requests in flight are to be given up.
    #[must_use]
    pub fn is_leaving_at_once(&self) -> bool {
        self.leaving_at_once.load(Ordering::Relaxed)
    }
}
