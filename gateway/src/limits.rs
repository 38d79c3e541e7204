//! Every limit of the data plane that can be set. Those that nobody needs to set (how long to
//! linger, when to look whether a client is still there) stand beside the code that they bound.
//!
//! What a client is told when one of them ends its request is in `failure.rs`.

use std::time::Duration;

/// Limits of the data plane. All have defaults that suit a small machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest request or response head, in bytes (431 or 502 beyond).
    pub head_bytes_max: usize,
    /// Most header lines in a head (431 or 502 beyond).
    pub headers_max: usize,
    /// Longest request target, in bytes (414 beyond).
    pub target_bytes_max: usize,
    /// Largest request body, in bytes (413 beyond); none by default, since bodies are streamed.
    pub body_bytes_max: Option<u64>,

    /// Client connections that may be open at the same time, over all cores (503 beyond).
    pub connections_max: u64,
    /// Those of them that may come from one address, or from one /64 network of IPv6, which is
    /// what one host is given (429 beyond).
    pub connections_per_peer_max: Option<u32>,
    /// Requests that one connection may carry; the last answer closes it.
    pub requests_per_connection_max: Option<u64>,

    /// From the first byte of a request head to its last (408 beyond).
    pub head_timeout: Duration,
    /// For the next piece of a request's body to come (408 beyond), and for the client to take one
    /// of the answer's.
    pub body_timeout: Duration,
    /// Between two requests on a connection, which is then closed.
    pub idle_timeout: Duration,
    /// For a connection to a replica (504 beyond).
    pub connect_timeout: Duration,
    /// From the end of the request to the first byte of the answer (504 beyond); longer for a
    /// function whose own exec_timeout or write_timeout is longer.
    pub first_byte_timeout: Duration,
    /// From the head of a request to the end of its answer, streams included (504 beyond, or the
    /// answer broken off); longer for a function as above. None by default: what goes on is bounded by the silences in it.
    pub upstream_timeout: Option<Duration>,
    /// Between two pieces of an answer's body, the function being silent: long, for event streams.
    pub stream_idle_timeout: Duration,
    /// In both directions of a connection that has switched protocols (WebSocket).
    pub tunnel_idle_timeout: Duration,
    /// How long a client that has closed its sending side may still get its answer.
    pub half_close_timeout: Duration,
    /// How long requests in flight may take when the gateway is to end, and those of a replica
    /// that is replaced, removed or scaled away.
    pub drain_timeout: Duration,
    /// How long a connection that waits between two requests stays open for one more when the
    /// gateway is to end. Closing it at once would lose a request that is on its way.
    pub drain_idle_timeout: Duration,

    /// Idle connections kept per replica and core.
    pub pool_idle_max: usize,
    /// How long a connection may wait in the pool.
    pub pool_idle_timeout: Duration,
}

/// The time for a first byte where nobody set one.
pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            target_bytes_max: 16 * 1024,
            body_bytes_max: None,
            // About 300 MB while they are idle.
            connections_max: 20_000,
            connections_per_peer_max: None,
            requests_per_connection_max: None,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: FIRST_BYTE_TIMEOUT,
            upstream_timeout: None,
            stream_idle_timeout: Duration::from_secs(600),
            tunnel_idle_timeout: Duration::from_secs(600),
            half_close_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(30),
            drain_idle_timeout: Duration::from_secs(1),
            pool_idle_max: 128,
            pool_idle_timeout: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// The codec's share of the limits.
    #[must_use]
    pub fn wire(&self) -> wire::Limits {
        wire::Limits {
            head_bytes_max: self.head_bytes_max,
            headers_max: self.headers_max,
            target_bytes_max: self.target_bytes_max,
        }
    }
}

/// What a function sets for itself, in place of the gateway's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FunctionLimits {
    /// See [`Limits::first_byte_timeout`].
    pub first_byte_timeout: Option<Duration>,
    /// See [`Limits::upstream_timeout`].
    pub upstream_timeout: Option<Duration>,
    /// See [`Limits::body_bytes_max`].
    pub body_bytes_max: Option<u64>,
}

/// Who set the limit for the whole of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// `--upstream-timeout`.
    Gateway,
    /// The function's annotation, or its watchdog's patience.
    Function,
    /// The header `X-Timeout` of the call.
    Call,
}

impl FunctionLimits {
    /// How long a replica may take to begin its answer.
    #[must_use]
    pub fn first_byte_timeout(&self, gateway: &Limits) -> Duration {
        self.first_byte_timeout
            .unwrap_or(gateway.first_byte_timeout)
    }

    /// How long the whole call may take: the function's limit, else the gateway's; what the call
    /// itself asks for can only lower it.
    #[must_use]
    pub fn whole_call(
        &self,
        gateway: &Limits,
        asked: Option<Duration>,
    ) -> Option<(Duration, SetBy)> {
        let of_function = self.upstream_timeout.map(|limit| (limit, SetBy::Function));
        let of_gateway = gateway
            .upstream_timeout
            .map(|limit| (limit, SetBy::Gateway));
        let set = of_function.or(of_gateway);
        match (asked, set) {
            (Some(asked), Some((limit, _))) if asked >= limit => set,
            (Some(asked), _) => Some((asked, SetBy::Call)),
            (None, set) => set,
        }
    }

    /// The largest request body.
    #[must_use]
    pub fn body_bytes_max(&self, gateway: &Limits) -> Option<u64> {
        self.body_bytes_max.or(gateway.body_bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_can_only_lower_what_was_set_and_a_function_sets_its_own() {
        let seconds = |s: u64| Some(Duration::from_secs(s));
        let cases = [
            (None, None, None, None),
            (seconds(9), None, None, Some((9, SetBy::Gateway))),
            (seconds(9), seconds(99), None, Some((99, SetBy::Function))),
            (seconds(9), seconds(2), None, Some((2, SetBy::Function))),
            (seconds(9), None, seconds(3), Some((3, SetBy::Call))),
            (seconds(9), None, seconds(30), Some((9, SetBy::Gateway))),
            (
                seconds(9),
                seconds(99),
                seconds(30),
                Some((30, SetBy::Call)),
            ),
            (None, None, seconds(30), Some((30, SetBy::Call))),
        ];
        for (upstream_timeout, own, asked, wanted) in cases {
            let gateway = Limits {
                upstream_timeout,
                ..Limits::default()
            };
            let function = FunctionLimits {
                upstream_timeout: own,
                ..FunctionLimits::default()
            };
            let limit = function.whole_call(&gateway, asked);
            assert_eq!(limit.map(|(limit, by)| (limit.as_secs(), by)), wanted);
        }
    }
}
