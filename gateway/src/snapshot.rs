//! What the control plane tells the data plane: a complete, immutable table of functions and
//! their replicas, replaced as a whole.
//!
//! A worker compares one number per request to learn that there is a new table; nothing in it is
//! locked. What changes inside is each replica's count of requests in flight, which has one
//! writer per core, and whether it could be connected to.
//!
//! What it does not do: decide. Who is in the table, and when, is the control plane's business.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use crossbeam_utils::CachePadded;
use net::Endpoint;

use crate::{limits::FunctionLimits, metrics::FunctionCounters, outlier::Outlier};

/// The routes of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with each publication.
    pub generation: u64,
    /// By the name that stands in the URL: `NAME` in the default namespace, `NAME.NAMESPACE` in
    /// any (the default one has both spellings, pointing to the same function).
    pub functions: HashMap<Arc<str>, Arc<Function>>,
    /// The control plane's own server, reached like any other upstream.
    pub control: Arc<Function>,
}

/// A function as the data plane sees it.
#[derive(Debug)]
pub struct Function {
    /// The name under which it is counted: `NAME`, or `NAME.NAMESPACE` outside the default one.
    pub name: Box<str>,
    /// Replicas that may get requests; empty at zero.
    pub replicas: Box<[Arc<Replica>]>,
    /// Requests and latencies, kept over all generations of the function.
    pub counters: Arc<FunctionCounters>,
    /// What it sets for itself in place of the gateway's limits.
    pub limits: FunctionLimits,
}

/// One place that answers for a function.
#[derive(Debug)]
pub struct Replica {
    /// Unique for the life of this gateway; pools are keyed by it.
    pub id: u64,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The `Host` that it is addressed by: `HOST:PORT`, or the function's name on a Unix socket.
    pub authority: Box<str>,
    /// Requests in flight, one count per core so that no line is shared.
    in_flight: Box<[CachePadded<AtomicU32>]>,
    /// Set once it has left the table: idle connections to it are of no more use.
    retired: AtomicBool,
    /// Whether it could be connected to lately.
    pub(crate) outlier: Outlier,
}

impl Replica {
    /// A replica for a gateway of `cores` workers.
    #[must_use]
    pub fn new(endpoint: Endpoint, authority: &str, cores: usize) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            endpoint,
            authority: authority.into(),
            in_flight: (0..cores).map(|_| CachePadded::default()).collect(),
            retired: AtomicBool::new(false),
            outlier: Outlier::new(),
        }
    }

    /// Requests that all cores have in flight to it. Zero after a publication without this
    /// replica means that none will come any more: see [`Published::publish`].
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    /// Requests that this core has in flight to it.
    #[must_use]
    pub fn in_flight_on(&self, core: usize) -> u32 {
        self.in_flight[core].load(Ordering::Relaxed)
    }

    /// Whether it has left the table for good.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Counts one request more on `core`, until the guard is dropped. Only that core's thread may.
    #[must_use]
    pub fn enter(self: &Arc<Self>, core: usize) -> InFlight<'_> {
        // SeqCst pairs with `publish`: see there.
        self.in_flight[core].fetch_add(1, Ordering::SeqCst);
        InFlight {
            replica: self,
            core,
        }
    }
}

/// One request in flight to a replica; dropping it ends the count. It borrows from the snapshot
/// that the request holds, since a counted reference would be a cache line that all cores write.
#[derive(Debug)]
pub struct InFlight<'s> {
    replica: &'s Arc<Replica>,
    core: usize,
}

impl<'s> InFlight<'s> {
    /// The replica that it counts on.
    #[must_use]
    pub fn replica(&self) -> &'s Arc<Replica> {
        self.replica
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        // A store is enough: no other core writes here, and a count that goes down is not what
        // `publish` races with.
        let count = &self.replica.in_flight[self.core];
        count.store(count.load(Ordering::Relaxed) - 1, Ordering::Release);
    }
}

/// The place where the control plane leaves a snapshot and the workers find it.
#[derive(Debug)]
pub struct Published {
    snapshot: ArcSwap<Snapshot>,
    /// Alone on its cache line: every core reads it for every request, and it changes rarely.
    generation: CachePadded<AtomicU64>,
    /// Earlier snapshots that a worker may still hold. Whoever lets go last frees thousands of
    /// entries: that is to be the control plane, not a worker in the middle of a request.
    past: Mutex<Vec<Arc<Snapshot>>>,
}

impl Published {
    /// Starts with a first snapshot.
    #[must_use]
    pub fn new(first: Snapshot) -> Self {
        Self {
            generation: CachePadded::new(AtomicU64::new(first.generation)),
            snapshot: ArcSwap::from_pointee(first),
            past: Mutex::default(),
        }
    }

    /// Replaces the snapshot; its generation must be higher than the last, and `leaving` are the
    /// replicas that were in the last and are not in this.
    ///
    /// After this, a replica that is no longer in the table and has no request in flight will
    /// never get one again. A worker counts itself in first and then looks at the generation;
    /// we change the generation first and then look at the counts. Both in one total order
    /// (SeqCst), so at least one of us sees the other, and the worker that sees a new generation
    /// takes its count back and chooses anew.
    pub fn publish(&self, next: Snapshot, leaving: &[Arc<Replica>]) {
        let generation = next.generation;
        let previous = self.snapshot.swap(Arc::new(next));
        self.generation.store(generation, Ordering::SeqCst);
        for replica in leaving {
            replica.retired.store(true, Ordering::Relaxed);
        }
        // Only the control plane takes this lock.
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.push(previous);
        past.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }

    /// The number of the newest snapshot.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// The newest snapshot.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(cores: usize) -> Arc<Replica> {
        let endpoint = Endpoint::Unix("/nonexistent".into());
        Arc::new(Replica::new(endpoint, "wc", cores))
    }

    #[test]
    fn requests_in_flight_are_counted_per_core_and_summed() {
        let replica = replica(2);
        let first = replica.enter(0);
        let second = replica.enter(1);
        assert_eq!(replica.in_flight(), 2);
        assert_eq!(replica.in_flight_on(0), 1);
        drop(first);
        drop(second);
        assert_eq!(replica.in_flight(), 0);
    }

    fn snapshot(generation: u64, replicas: &[&Arc<Replica>]) -> Snapshot {
        let function = |replicas: Box<[Arc<Replica>]>| {
            Arc::new(Function {
                name: "wc".into(),
                replicas,
                counters: Arc::new(FunctionCounters::new(1)),
                limits: FunctionLimits::default(),
            })
        };
        let replicas = replicas.iter().map(|r| Arc::clone(r)).collect();
        Snapshot {
            generation,
            functions: HashMap::from([("wc".into(), function(replicas))]),
            control: function(Box::new([])),
        }
    }

    #[test]
    fn a_replica_that_leaves_the_table_is_retired_and_one_that_stays_is_not() {
        let (leaves, stays) = (replica(1), replica(1));
        let published = Published::new(snapshot(1, &[&leaves, &stays]));
        published.publish(snapshot(2, &[&stays]), &[Arc::clone(&leaves)]);
        assert_eq!(published.generation(), 2);
        assert_eq!(published.load().generation, 2);
        assert!(leaves.is_retired());
        assert!(!stays.is_retired());
    }

    #[test]
    fn a_snapshot_that_a_worker_still_holds_is_freed_by_the_next_publication() {
        let published = Published::new(snapshot(1, &[]));
        let held = published.load();
        let watch = Arc::downgrade(&held);
        published.publish(snapshot(2, &[]), &[]);
        drop(held);
        assert!(watch.upgrade().is_some(), "not the worker's to free");
        published.publish(snapshot(3, &[]), &[]);
        assert!(watch.upgrade().is_none());
    }

    #[test]
    fn replicas_never_share_an_id() {
        assert_ne!(replica(1).id, replica(1).id);
    }
}
