//! The limits of the data plane as flags, a flag for each, with its unit and default.
//!
//! What each one does to a request beyond it, and why the defaults are as they are, is said once,
//! in the crate `gateway` (`limits.rs`) and in `docs/http.md`.

use std::time::Duration;

use clap::Args;
use gateway::limits::{FIRST_BYTE_TIMEOUT, Limits};

use crate::span::parse_duration;

/// Above this it is a slip, and far below what clock arithmetic can hold.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// What a request, a connection and a wait may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits (TIME is such as 500ms, 30s or 2m; default in brackets)")]
pub(crate) struct LimitFlags {
    /// Largest head of a request (431) or answer (502)
    #[arg(long, value_name = "BYTES", default_value_t = 65_536,
          value_parser = size(1024, 1024 * 1024))]
    head_bytes_max: usize,
    /// Most header lines in a head (431, 502)
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = size(1, wire::HEADERS_CAP))]
    headers_max: usize,
    /// Longest path with its query (414)
    #[arg(long, value_name = "BYTES", default_value_t = 16_384,
          value_parser = size(16, 1024 * 1024))]
    target_bytes_max: usize,
    /// Largest request body (413) [default: none, bodies are streamed]; a function may have its own,
    /// in its annotation ringway.body-bytes-max
    #[arg(long, value_name = "BYTES")]
    body_bytes_max: Option<u64>,

    /// Client connections open at the same time (503)
    #[arg(long, value_name = "N", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    connections_max: u64,
    /// Of these from one IPv4 address or IPv6 /64 network (429) [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections_per_peer_max: Option<u32>,
    /// Requests on one connection, which is then closed [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests_per_connection_max: Option<u64>,

    /// For the head of a request to arrive (408)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time_limit)]
    head_timeout: Duration,
    /// For the next piece of a request's body (408), and for the client to take one of the answer's
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time_limit)]
    body_timeout: Duration,
    /// For the next request on a connection, which is then closed
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = time_limit)]
    idle_timeout: Duration,
    /// For a connection to a replica (504)
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time_limit)]
    connect_timeout: Duration,
    /// For a function to begin its answer, once it has the request (504) [default: 60s, or
    /// --upstream-timeout where that is set]; longer for a function whose own exec_timeout or
    /// write_timeout is longer
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    first_byte_timeout: Option<Duration>,
    /// For the whole of a call, streams included (504, or the answer is broken off) [default: none];
    /// longer for a function as above, or as its annotation ringway.upstream-timeout says; a call
    /// may lower it with the header X-Timeout
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    upstream_timeout: Option<Duration>,
    /// For the next piece of an answer that has begun (broken off)
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time_limit)]
    stream_idle_timeout: Duration,
    /// For the next byte either way of a WebSocket
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time_limit)]
    tunnel_idle_timeout: Duration,
    /// For a client that has closed its sending side to get its answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time_limit)]
    half_close_timeout: Duration,
    /// For what is in flight when the gateway or a replica is to end
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time_limit)]
    drain_timeout: Duration,
    /// For one more request of an idle connection when the gateway is to end
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time_limit)]
    drain_idle_timeout: Duration,

    /// Idle connections kept to each replica, per thread
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = size(0, 1_000_000))]
    pool_idle_max: usize,
    /// For such a connection to be used again
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time_limit)]
    pool_idle_timeout: Duration,
}

impl LimitFlags {
    /// The limits.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            head_bytes_max: self.head_bytes_max,
            headers_max: self.headers_max,
            target_bytes_max: self.target_bytes_max,
            body_bytes_max: self.body_bytes_max,
            connections_max: self.connections_max,
            connections_per_peer_max: self.connections_per_peer_max,
            requests_per_connection_max: self.requests_per_connection_max,
            head_timeout: self.head_timeout,
            body_timeout: self.body_timeout,
            idle_timeout: self.idle_timeout,
            connect_timeout: self.connect_timeout,
            // Who allows a call five minutes does not mean a function to answer within one.
            first_byte_timeout: self
                .first_byte_timeout
                .or(self.upstream_timeout)
                .unwrap_or(FIRST_BYTE_TIMEOUT),
            upstream_timeout: self.upstream_timeout,
            stream_idle_timeout: self.stream_idle_timeout,
            tunnel_idle_timeout: self.tunnel_idle_timeout,
            half_close_timeout: self.half_close_timeout,
            drain_timeout: self.drain_timeout,
            drain_idle_timeout: self.drain_idle_timeout,
            pool_idle_max: self.pool_idle_max,
            pool_idle_timeout: self.pool_idle_timeout,
        }
    }
}

/// A length of time that something can happen in.
fn time_limit(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("0 would end everything at once: give a time such as 30s".to_owned()),
        limit if limit > LONGEST => Err("give at most 365d".to_owned()),
        limit => Ok(limit),
    }
}

/// A whole number within bounds.
fn size(
    least: usize,
    most: usize,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync + 'static {
    move |text| {
        text.parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("give a whole number from {least} to {most}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: LimitFlags,
    }

    fn limits(line: &[&str]) -> Limits {
        let arguments = std::iter::once("up").chain(line.iter().copied());
        Line::try_parse_from(arguments).unwrap().flags.limits()
    }

    #[test]
    fn without_flags_they_are_the_gateways_defaults() {
        assert_eq!(limits(&[]), Limits::default());
    }

    #[test]
    fn the_first_byte_has_the_time_of_the_whole_call_unless_it_is_said() {
        let seconds = Duration::from_secs;
        let one = limits(&["--upstream-timeout", "5m"]);
        assert_eq!(one.first_byte_timeout, seconds(300));
        let both = limits(&["--upstream-timeout", "5m", "--first-byte-timeout", "2s"]);
        assert_eq!(both.first_byte_timeout, seconds(2));
        assert_eq!(both.upstream_timeout, Some(seconds(300)));
    }

    #[test]
    fn limits_of_nothing_and_out_of_bounds_are_refused() {
        for wrong in [
            "--head-timeout=0s",
            "--idle-timeout=soon",
            "--connections-max=0",
            "--head-bytes-max=10",
            "--headers-max=-1",
            "--target-bytes-max=1e3",
        ] {
            assert!(Line::try_parse_from(["up", wrong]).is_err(), "{wrong}");
        }
    }
}
