//! The cells of all cores as Prometheus families, made at each scrape.
//!
//! There is no registry: what is to be shown is exactly what is in the snapshot at that moment,
//! so a removed function's series go with it, and a name that no function bears never makes one.
//!
//! What it does not do: count, or keep anything between two scrapes.

use std::collections::BTreeMap;

use prometheus::{
    Encoder, TextEncoder,
    proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{LATENCY_BUCKETS, StatusCells, WorkerCells};
use crate::{GIT_SHA, VERSION, failure::Reason, shared::Shared, snapshot::Function};

/// The text format that [`render`] writes.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What runs the workers.
#[derive(Debug, Clone, Copy)]
pub struct DriverLabels<'a> {
    /// `ring`, `monoio-uring` or `epoll`.
    pub driver: &'a str,
    /// What keeps io_uring from being used, or used with rings of the usual size, in a word.
    pub refused: &'a str,
}

/// All families as text. `replicas` are the numbers that are wanted, by the function's name.
///
/// # Errors
/// Only for a fault in this file: a family without a name or metrics.
pub fn render(
    shared: &Shared,
    replicas: &[(String, u32)],
    driver: &DriverLabels<'_>,
) -> Result<String, prometheus::Error> {
    let mut families = functions(shared);
    let wanted = replicas
        .iter()
        .map(|(name, count)| gauge(&[("function_name", name)], u64::from(*count)))
        .collect();
    families.push(family(
        "gateway_service_count",
        "Replicas that are wanted",
        MetricType::GAUGE,
        wanted,
    ));
    families.extend(workers(shared));
    families.push(failures(shared));
    families.extend(info(driver));
    // A family without series (no function yet) is left out: the encoder takes it for a fault.
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Two families whose labels are what they are for.
fn info(driver: &DriverLabels<'_>) -> [MetricFamily; 2] {
    let DriverLabels { driver, refused } = *driver;
    [
        family(
            "ringway_build_info",
            "Always 1; the labels say what runs",
            MetricType::GAUGE,
            vec![gauge(
                &[("version", VERSION), ("sha", GIT_SHA), ("driver", driver)],
                1,
            )],
        ),
        family(
            "ringway_driver_info",
            "Always 1; what the workers run on, and what keeps io_uring from being used in full",
            MetricType::GAUGE,
            vec![gauge(&[("driver", driver), ("refused", refused)], 1)],
        ),
    ]
}

/// The three families of requests by function.
fn functions(shared: &Shared) -> Vec<MetricFamily> {
    let snapshot = shared.published.load();
    // A function is in the table by two spellings; the one it is counted under comes once.
    let by_name: BTreeMap<&str, &Function> = snapshot
        .functions
        .values()
        .map(|function| (&*function.name, &**function))
        .collect();
    let (mut seconds, mut invocations, mut started) = (Vec::new(), Vec::new(), Vec::new());
    for (name, function) in by_name {
        let name = [("function_name", name)];
        started.push(counter(&name, function.counters.started()));
        let mut statuses: BTreeMap<u16, Sum> = BTreeMap::new();
        for cells in function.counters.all().flat_map(|core| core.statuses()) {
            statuses.entry(cells.status()).or_default().add(cells);
        }
        for (status, sum) in statuses {
            let code = status.to_string();
            let labels = [("code", code.as_str()), name[0]];
            invocations.push(counter(&labels, sum.count));
            seconds.push(sum.histogram(&labels));
        }
    }
    vec![
        family(
            "gateway_functions_seconds",
            "Time from a request's head to the end of its answer",
            MetricType::HISTOGRAM,
            seconds,
        ),
        family(
            "gateway_function_invocation_total",
            "Requests answered",
            MetricType::COUNTER,
            invocations,
        ),
        family(
            "gateway_function_invocation_started",
            "Requests begun",
            MetricType::COUNTER,
            started,
        ),
    ]
}

/// One status of one function over all cores.
#[derive(Default)]
struct Sum {
    count: u64,
    seconds: f64,
    buckets: [u64; LATENCY_BUCKETS.len()],
}

impl Sum {
    fn add(&mut self, cells: &StatusCells) {
        self.count += cells.count();
        self.seconds += cells.sum_seconds();
        for (sum, more) in self.buckets.iter_mut().zip(cells.buckets()) {
            *sum += more;
        }
    }

    /// Prometheus wants each bucket to hold what is in those below it.
    fn histogram(&self, labels: &[(&str, &str)]) -> Metric {
        let mut below = 0;
        let buckets = LATENCY_BUCKETS
            .iter()
            .zip(self.buckets)
            .map(|(bound, count)| {
                below += count;
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(below);
                bucket
            });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        // The count is read a moment after the buckets were, or before: while a worker counts,
        // the two may differ by one, and the last bucket must not hold more than all.
        histogram.set_sample_count(self.count.max(below));
        histogram.set_sample_sum(self.seconds);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        metric
    }
}

/// What the workers count about themselves, summed.
fn workers(shared: &Shared) -> Vec<MetricFamily> {
    type Row = (
        &'static str,
        &'static str,
        MetricType,
        fn(&WorkerCells) -> u64,
    );
    let rows: [Row; 7] = [
        (
            "gateway_connections",
            "Client connections open now",
            MetricType::GAUGE,
            |cells| cells.connections.get(),
        ),
        (
            "gateway_connections_accepted_total",
            "Client connections accepted",
            MetricType::COUNTER,
            |cells| cells.accepted.get(),
        ),
        (
            "gateway_upstream_connections",
            "Connections to replicas open now, idle ones included",
            MetricType::GAUGE,
            |cells| cells.upstream_connections.get(),
        ),
        (
            "gateway_upstream_connections_idle",
            "Connections to replicas that wait in the pool",
            MetricType::GAUGE,
            |cells| cells.upstream_idle.get(),
        ),
        (
            "gateway_requests_in_flight",
            "Requests between their head and the end of their answer",
            MetricType::GAUGE,
            |cells| cells.requests_in_flight.get(),
        ),
        (
            "gateway_retries_total",
            "Requests sent again on another connection",
            MetricType::COUNTER,
            |cells| cells.retries.get(),
        ),
        (
            "gateway_replicas_left_out_total",
            "Times that a replica was left out since it could not be connected to",
            MetricType::COUNTER,
            |cells| cells.left_out.get(),
        ),
    ];
    rows.into_iter()
        .map(|(name, help, kind, read)| {
            let sum = shared.workers.iter().map(|cells| read(cells)).sum();
            let metric = match kind {
                MetricType::COUNTER => counter(&[], sum),
                _ => gauge(&[], sum),
            };
            family(name, help, kind, vec![metric])
        })
        .collect()
}

/// What failed, by reason; a reason that has not been seen yet is shown with 0, so that an alert
/// on its rate works from the first time on.
fn failures(shared: &Shared) -> MetricFamily {
    let series = Reason::ALL.iter().map(|(reason, word)| {
        let sum = shared.workers.iter().map(|cells| cells.failures(*reason));
        counter(&[("reason", word)], sum.sum())
    });
    family(
        "gateway_failures_total",
        "Requests that failed at the gateway and connections that a limit ended",
        MetricType::COUNTER,
        series.collect(),
    )
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus counts in f64: exact up to 2^53"
)]
fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus counts in f64: exact up to 2^53"
)]
fn gauge(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FunctionLimits;
    use crate::{metrics::FunctionCounters, snapshot::Snapshot};
    use std::{collections::HashMap, sync::Arc, time::Duration};

    const EPOLL: DriverLabels<'_> = DriverLabels {
        driver: "epoll",
        refused: "seccomp",
    };

    fn function(name: &str) -> Arc<Function> {
        Arc::new(Function {
            name: name.into(),
            replicas: Box::new([]),
            counters: Arc::new(FunctionCounters::new(2)),
            limits: FunctionLimits::default(),
        })
    }

    fn shared(functions: &[&Arc<Function>]) -> Shared {
        let mut table = HashMap::new();
        for function in functions {
            table.insert((*function.name).into(), Arc::clone(function));
            table.insert(
                format!("{}.openfaas-fn", function.name).into(),
                Arc::clone(function),
            );
        }
        let first = Snapshot {
            generation: 1,
            functions: table,
            control: function("system"),
        };
        Shared::new(first, 2)
    }

    #[test]
    fn requests_of_all_cores_are_summed_and_cumulative() {
        let wc = function("wc");
        wc.counters.on(0).begin();
        wc.counters.on(0).end(200, Duration::from_micros(300));
        wc.counters.on(1).begin();
        wc.counters.on(1).end(200, Duration::from_millis(4));
        wc.counters.on(1).begin();
        wc.counters.on(1).end(500, Duration::from_secs(60));
        wc.counters.on(1).begin();
        let shared = shared(&[&wc]);
        shared.workers[0].connections.add_one();
        shared.workers[1].connections.add_one();
        let text = render(&shared, &[("wc".to_owned(), 3)], &EPOLL).unwrap();
        for line in [
            "gateway_function_invocation_total{code=\"200\",function_name=\"wc\"} 2",
            "gateway_function_invocation_total{code=\"500\",function_name=\"wc\"} 1",
            "gateway_function_invocation_started{function_name=\"wc\"} 4",
            "gateway_functions_seconds_bucket{code=\"200\",function_name=\"wc\",le=\"0.00025\"} 0",
            "gateway_functions_seconds_bucket{code=\"200\",function_name=\"wc\",le=\"0.0005\"} 1",
            "gateway_functions_seconds_bucket{code=\"200\",function_name=\"wc\",le=\"0.005\"} 2",
            "gateway_functions_seconds_bucket{code=\"200\",function_name=\"wc\",le=\"+Inf\"} 2",
            "gateway_functions_seconds_bucket{code=\"500\",function_name=\"wc\",le=\"10\"} 0",
            "gateway_functions_seconds_bucket{code=\"500\",function_name=\"wc\",le=\"+Inf\"} 1",
            "gateway_functions_seconds_count{code=\"200\",function_name=\"wc\"} 2",
            "gateway_service_count{function_name=\"wc\"} 3",
            "gateway_connections 2",
            "ringway_driver_info{driver=\"epoll\",refused=\"seccomp\"} 1",
            "# TYPE gateway_functions_seconds histogram",
            "# TYPE gateway_function_invocation_total counter",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing in\n{text}"
            );
        }
        assert!(text.contains("driver=\"epoll\""), "{text}");
        assert_eq!(text.matches("invocation_started{").count(), 1, "{text}");
    }

    #[test]
    fn a_gateway_without_functions_has_numbers_of_its_own() {
        let text = render(&shared(&[]), &[], &EPOLL).unwrap();
        assert!(text.contains("gateway_requests_in_flight 0"), "{text}");
        assert!(!text.contains("function_name="), "{text}");
    }
}
