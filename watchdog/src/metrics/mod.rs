//! Numbers about the function's requests, as of-watchdog has them: how many were answered with which
//! status, how long they took, how many are under way.
//!
//! Counting is a look at the clock and a search among the few pairs of status and method that have
//! been seen: 80 ns, 52 of them for the clock, on a busy virtual machine with two cores. It allocates
//! only when a new pair comes. Nothing that a client chooses can make the numbers grow without an
//! end: methods that HTTP does not define are one, and of pairs there are [`SERIES_MAX`] at most,
//! beyond which statuses are counted by the hundred. `text` writes them down, `server` hands them
//! out.
//!
//! What it does not count: `/_/health` and `/_/ready`, as in of-watchdog, and what is no request.

mod server;
mod text;

pub(crate) use server::serve;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wire::Method;

use crate::limits::SERIES_MAX;
use crate::request::Request;

/// Upper bounds of the histogram's buckets, in milliseconds. They are the defaults of Prometheus's
/// own client for Go, which of-watchdog uses.
const BUCKETS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/// The status of a request whose client went away before it was answered. It has none, so this is
/// the one that the gateway gives to it, and nginx.
const CLIENT_GONE: u16 = 499;

/// The method of a request, as far as it is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MethodLabel(&'static str);

impl MethodLabel {
    /// The names are those of Prometheus's own client for Go.
    pub(crate) fn of(method: Method<'_>) -> Self {
        Self(match method.as_str() {
            "GET" => "get",
            "HEAD" => "head",
            "POST" => "post",
            "PUT" => "put",
            "DELETE" => "delete",
            "CONNECT" => "connect",
            "OPTIONS" => "options",
            "TRACE" => "trace",
            "PATCH" => "patch",
            _ => "unknown",
        })
    }
}

/// The numbers. They live on one thread.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    in_flight: Cell<u64>,
    /// Ordered, so that what is handed out always has the same order.
    answered: RefCell<BTreeMap<(u16, MethodLabel), Series>>,
}

/// The requests of one method that were answered with one status.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Series {
    /// In each bucket, without those below it. What took longer than the last is only in `count`.
    buckets: [u64; BUCKETS_MS.len()],
    count: u64,
    sum: Duration,
}

impl Metrics {
    /// Counts a request as under way, until [`Metrics::end`].
    pub(crate) fn begin(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Counts a request as answered that arrived then.
    pub(crate) fn end(&self, arrived: Instant, request: &Request) {
        self.in_flight.set(self.in_flight.get() - 1);
        let status = match request.status.get() {
            0 => CLIENT_GONE,
            status => status,
        };
        self.count(status, request.method, arrived.elapsed());
    }

    fn count(&self, status: u16, method: MethodLabel, took: Duration) {
        let mut answered = self.answered.borrow_mut();
        let mut pair = (status, method);
        if answered.len() >= SERIES_MAX && !answered.contains_key(&pair) {
            pair.0 = status / 100 * 100;
        }
        answered.entry(pair).or_default().add(took);
    }
}

impl Series {
    fn add(&mut self, took: Duration) {
        self.count += 1;
        self.sum += took;
        let within = |bound: &u64| took <= Duration::from_millis(*bound);
        if let Some(bucket) = BUCKETS_MS.iter().position(within) {
            self.buckets[bucket] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: MethodLabel = MethodLabel("get");

    #[test]
    fn a_request_is_in_the_first_bucket_that_holds_it() {
        let mut series = Series::default();
        for us in [0, 5_000, 5_001, 10_000_000, 10_000_001] {
            series.add(Duration::from_micros(us));
        }
        let mut want = [0; BUCKETS_MS.len()];
        (want[0], want[1], want[10]) = (2, 1, 1);
        assert_eq!((series.buckets, series.count), (want, 5));
        assert_eq!(series.sum, Duration::from_micros(20_010_002));
    }

    #[test]
    fn pairs_are_limited_and_none_is_lost() {
        let metrics = Metrics::default();
        for status in 100..1000 {
            metrics.count(status, GET, Duration::ZERO);
        }
        metrics.count(101, GET, Duration::ZERO);
        let answered = metrics.answered.borrow();
        assert!(answered.len() <= SERIES_MAX + 9, "{}", answered.len());
        assert_eq!(
            answered.values().map(|series| series.count).sum::<u64>(),
            901
        );
        assert_eq!(answered[&(101, GET)].count, 2);
        assert_eq!(answered[&(900, GET)].count, 100);
    }

    #[test]
    fn methods_that_http_does_not_define_are_one() {
        let label = |name| MethodLabel::of(Method::new(name).unwrap()).0;
        assert_eq!(label("PATCH"), "patch");
        assert_eq!((label("PROPFIND"), label("get")), ("unknown", "unknown"));
    }
}
