//! The numbers in Prometheus's text format, version 0.0.4.
//!
//! Four families do not need a library for it, which would be a good part of what a watchdog keeps
//! in memory.

use std::fmt::{self, Write};

use super::{BUCKETS_MS, Metrics};

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all of them. `processes` is how many have been started.
pub(super) fn render(metrics: &Metrics, processes: u64) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    write_all(&mut out, metrics, processes).unwrap_or(());
    out
}

fn write_all(out: &mut String, metrics: &Metrics, processes: u64) -> fmt::Result {
    let answered = metrics.answered.borrow();
    family(
        out,
        "http_requests_total",
        "counter",
        "Requests answered, by status and method.",
    )?;
    for ((code, method), series) in &*answered {
        let (method, count) = (method.0, series.count);
        writeln!(
            out,
            "http_requests_total{{code=\"{code}\",method=\"{method}\"}} {count}"
        )?;
    }
    let name = "http_request_duration_seconds";
    family(
        out,
        name,
        "histogram",
        "Time from a request's first byte to the end of its answer.",
    )?;
    for ((code, method), series) in &*answered {
        let labels = format!("code=\"{code}\",method=\"{}\"", method.0);
        let mut below = 0;
        for (bound_ms, count) in BUCKETS_MS.iter().zip(series.buckets) {
            below += count;
            let le = seconds(*bound_ms);
            writeln!(out, "{name}_bucket{{{labels},le=\"{le}\"}} {below}")?;
        }
        let (count, sum) = (series.count, series.sum.as_secs_f64());
        writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
        writeln!(out, "{name}_sum{{{labels}}} {sum}")?;
        writeln!(out, "{name}_count{{{labels}}} {count}")?;
    }
    family(
        out,
        "http_requests_in_flight",
        "gauge",
        "Requests being answered.",
    )?;
    writeln!(out, "http_requests_in_flight {}", metrics.in_flight.get())?;
    let name = "watchdog_processes_started_total";
    family(
        out,
        name,
        "counter",
        "Processes of the function that were started.",
    )?;
    writeln!(out, "{name} {processes}")
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// Milliseconds as the shortest number of seconds.
#[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::MethodLabel;
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.in_flight.set(2);
        metrics.count(200, MethodLabel("post"), Duration::from_millis(7));
        metrics.count(200, MethodLabel("post"), Duration::from_secs(11));
        let text = render(&metrics, 3);
        let want = "\
# HELP http_requests_total Requests answered, by status and method.
# TYPE http_requests_total counter
http_requests_total{code=\"200\",method=\"post\"} 2
# HELP http_request_duration_seconds Time from a request's first byte to the end of its answer.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.005\"} 0
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.01\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.025\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.05\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.1\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.25\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"0.5\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"1\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"2.5\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"5\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"10\"} 1
http_request_duration_seconds_bucket{code=\"200\",method=\"post\",le=\"+Inf\"} 2
http_request_duration_seconds_sum{code=\"200\",method=\"post\"} 11.007
http_request_duration_seconds_count{code=\"200\",method=\"post\"} 2
# HELP http_requests_in_flight Requests being answered.
# TYPE http_requests_in_flight gauge
http_requests_in_flight 2
# HELP watchdog_processes_started_total Processes of the function that were started.
# TYPE watchdog_processes_started_total counter
watchdog_processes_started_total 3
";
        assert_eq!(text, want);
    }
}
