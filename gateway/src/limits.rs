//! The limits of the data plane that can be set. Those that nobody needs to set (how long to
//! linger, when to look whether a client is still there) stand beside the code that they bound.

use std::time::Duration;

/// Limits of the data plane. All have defaults that suit a small machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request or response head, in bytes (431 or 502 beyond).
    pub head_bytes_max: usize,
    /// Most header lines in a head.
    pub headers_max: usize,
    /// Longest request target, in bytes (414 beyond).
    pub target_bytes_max: usize,
    /// Largest request body, in bytes (413 beyond); none by default, since bodies are streamed.
    pub body_bytes_max: Option<u64>,
    /// From the first byte of a request head to its last.
    pub head_timeout: Duration,
    /// Between two requests on a connection.
    pub idle_timeout: Duration,
    /// For the next piece of a request's body to come, and for the client to take one of the
    /// answer's.
    pub body_timeout: Duration,
    /// Between two pieces of an answer's body, the function being silent: long, for event streams.
    pub stream_idle_timeout: Duration,
    /// In both directions of a connection that has switched protocols (WebSocket).
    pub tunnel_idle_timeout: Duration,
    /// For a connection to a replica.
    pub connect_timeout: Duration,
    /// From the end of the request to the first byte of the answer; longer for a function whose
    /// own exec_timeout or write_timeout is longer.
    pub upstream_timeout: Duration,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 64 * 1024,
            headers_max: 100,
            target_bytes_max: 16 * 1024,
            body_bytes_max: None,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            stream_idle_timeout: Duration::from_secs(600),
            tunnel_idle_timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(5),
            upstream_timeout: Duration::from_secs(60),
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
