//! Counter cells with one writer each.
//!
//! Every core has its own cells, padded to their own cache lines, so that counting is a load and
//! a store without a lock prefix; readers on other threads may see a sum that is a moment old,
//! which is all that a scrape or the autoscaler needs.
//!
//! What it does not do: know about Prometheus, or about names that no function bears: a request
//! for an unknown name is counted by the worker, never as a new series.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_utils::CachePadded;

use crate::failure::Reason;

/// Upper bounds of the latency histogram, in seconds. Those of Prometheus' own default, with
/// three finer ones below: a warm function behind this gateway answers in well under 5 ms.
pub const LATENCY_BUCKETS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// [`LATENCY_BUCKETS`] in nanoseconds.
const BUCKETS_NS: [u64; LATENCY_BUCKETS.len()] = [
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
];

/// Adds to a cell that only this thread writes.
fn add(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// The counters of one function, one set per core. A core's set is made when the first request
/// comes to it, so that a function without traffic costs almost nothing.
#[derive(Debug)]
pub struct FunctionCounters {
    /// The places are written once; what they lead to has cache lines of its own.
    cores: Box<[OnceLock<Box<CachePadded<CoreCells>>>]>,
}

impl FunctionCounters {
    /// Counters for a gateway of `cores` workers.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self {
            cores: (0..cores).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The cells that the worker on `core`, and nobody else, may add to.
    #[must_use]
    pub fn on(&self, core: usize) -> &CoreCells {
        self.cores[core].get_or_init(Box::default)
    }

    /// The cells of all cores that have had a request.
    pub fn all(&self) -> impl Iterator<Item = &CoreCells> {
        self.cores
            .iter()
            .filter_map(|cell| cell.get().map(|cells| &***cells))
    }

    /// Requests begun, over all cores.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.all().map(CoreCells::started).sum()
    }

    /// Requests ended, over all cores and statuses.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.all()
            .flat_map(CoreCells::statuses)
            .map(StatusCells::count)
            .sum()
    }
}

/// What one core counts for one function.
#[derive(Debug, Default)]
pub struct CoreCells {
    started: AtomicU64,
    statuses: OnceLock<Box<CachePadded<StatusCells>>>,
}

impl CoreCells {
    /// A request was routed to the function.
    pub fn begin(&self) {
        add(&self.started, 1);
    }

    /// The request was answered with `status` after `duration`.
    pub fn end(&self, status: u16, duration: Duration) {
        let new = || Box::new(CachePadded::new(StatusCells::new(status)));
        let mut cells: &StatusCells = self.statuses.get_or_init(new);
        // A function answers with one or two statuses nearly always: the chain is short, and it
        // is bounded by the 500 statuses that the codec lets through.
        while cells.status != status {
            cells = cells.next.get_or_init(new);
        }
        cells.record(duration);
    }

    /// Requests begun.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// The counts by status, in order of first use.
    pub fn statuses(&self) -> impl Iterator<Item = &StatusCells> {
        std::iter::successors(self.statuses.get(), |cells| cells.next.get()).map(|cells| &***cells)
    }
}

/// Count and latencies of one status.
#[derive(Debug)]
pub struct StatusCells {
    status: u16,
    count: AtomicU64,
    sum_ns: AtomicU64,
    /// Not cumulative; what is above the last bound is only in `count`.
    buckets: [AtomicU64; LATENCY_BUCKETS.len()],
    next: OnceLock<Box<CachePadded<Self>>>,
}

impl StatusCells {
    fn new(status: u16) -> Self {
        Self {
            status,
            count: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
            buckets: Default::default(),
            next: OnceLock::new(),
        }
    }

    fn record(&self, duration: Duration) {
        // A request of more than 584 years would be cut short here.
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        add(&self.count, 1);
        add(&self.sum_ns, ns);
        if let Some(index) = BUCKETS_NS.iter().position(|bound| ns <= *bound) {
            add(&self.buckets[index], 1);
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Requests answered with it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Their durations added up, in seconds.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of seconds with 53 bits of mantissa is what Prometheus takes"
    )]
    pub fn sum_seconds(&self) -> f64 {
        self.sum_ns.load(Ordering::Relaxed) as f64 / 1e9
    }

    /// How many fell at or under each bound of [`LATENCY_BUCKETS`], and above the one before.
    #[must_use]
    pub fn buckets(&self) -> [u64; LATENCY_BUCKETS.len()] {
        std::array::from_fn(|index| self.buckets[index].load(Ordering::Relaxed))
    }
}

/// What a worker counts about itself; one writer, its own core.
#[derive(Debug, Default)]
pub struct WorkerCells {
    /// Client connections open now.
    pub connections: Gauge,
    /// Connections that are being told why they are not served.
    pub turned_away: Gauge,
    /// Client connections accepted since the start.
    pub accepted: Counter,
    /// Connections to replicas open now, idle ones included.
    pub upstream_connections: Gauge,
    /// Those of them that wait in the pool.
    pub upstream_idle: Gauge,
    /// Requests between their head and the end of their answer.
    pub requests_in_flight: Gauge,
    /// Requests sent again on another connection.
    pub retries: Counter,
    /// Times that a replica was left out since it could not be connected to.
    pub left_out: Counter,
    /// What failed, and connections that a limit ended, by reason.
    failures: [Counter; Reason::ALL.len()],
}

impl WorkerCells {
    /// Counts a failure.
    pub fn failed(&self, reason: Reason) {
        self.failures[reason.index()].add_one();
    }

    /// Failures of this reason.
    #[must_use]
    pub fn failures(&self, reason: Reason) -> u64 {
        self.failures[reason.index()].get()
    }
}

/// A count that only grows; one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        add(&self.0, 1);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A count that grows and shrinks; one writer.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more.
    pub fn add_one(&self) {
        add(&self.0, 1);
    }

    /// One less.
    pub fn take_one(&self) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.saturating_sub(1), Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_under_its_status_and_bucket() {
        let counters = FunctionCounters::new(2);
        counters.on(0).begin();
        counters.on(0).end(200, Duration::from_micros(300));
        counters.on(1).begin();
        counters.on(1).end(500, Duration::from_secs(60));
        counters.on(1).begin();
        assert_eq!(counters.started(), 3);
        assert_eq!(counters.completed(), 2);
        let ok = counters.on(0).statuses().next().unwrap();
        assert_eq!((ok.status(), ok.count(), ok.buckets()[1]), (200, 1, 1));
        let failed = counters.on(1).statuses().next().unwrap();
        assert_eq!(failed.buckets().iter().sum::<u64>(), 0);
        assert!((failed.sum_seconds() - 60.0).abs() < 1e-9);
    }

    #[test]
    fn a_core_without_traffic_has_no_cells() {
        let counters = FunctionCounters::new(4);
        counters.on(2).begin();
        assert_eq!(counters.all().count(), 1);
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "the bounds are small integers")]
    fn the_two_tables_of_bounds_agree() {
        for (seconds, ns) in LATENCY_BUCKETS.iter().zip(BUCKETS_NS) {
            assert!((seconds * 1e9 - ns as f64).abs() < 1.0);
        }
    }
}
