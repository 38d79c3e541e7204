//! A worker's handle to its own cells, and guards that count something as long as it is there.
//!
//! What it does not do: leave the thread: the handle is how "one writer per cell" is kept.

use std::{ops::Deref, rc::Rc, sync::Arc};

use crate::{
    metrics::{Gauge, WorkerCells},
    shared::Shared,
};

/// The cells that this thread, and no other, writes to.
#[derive(Debug, Clone)]
pub(crate) struct OwnCells {
    inner: Rc<(Arc<Shared>, usize)>,
}

impl OwnCells {
    /// For the worker on `core`; make one per worker.
    pub(crate) fn new(shared: Arc<Shared>, core: usize) -> Self {
        Self {
            inner: Rc::new((shared, core)),
        }
    }

    /// Counts one more in a gauge until the guard is dropped.
    pub(crate) fn hold(&self, gauge: fn(&WorkerCells) -> &Gauge) -> Held {
        gauge(self).add_one();
        Held {
            cells: self.clone(),
            gauge,
        }
    }
}

impl Deref for OwnCells {
    type Target = WorkerCells;
    fn deref(&self) -> &WorkerCells {
        &self.inner.0.workers[self.inner.1]
    }
}

/// One more in a gauge.
#[derive(Debug)]
pub(crate) struct Held {
    cells: OwnCells,
    gauge: fn(&WorkerCells) -> &Gauge,
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.gauge)(&self.cells).take_one();
    }
}
