//! Under which word a failure is counted: the label `reason` of `gateway_failures_total`.

use super::Failure;
use crate::limits::SetBy;

/// Why a request failed, or which limit ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it; `Failure` has the sentences")]
pub enum Reason {
    Malformed,
    HeadTooLarge,
    TooManyHeaders,
    TargetTooLong,
    HeadTimeout,
    BodyTimeout,
    BodyTooLarge,
    BadTimeout,
    TooManyConnections,
    TooManyFromPeer,
    ClientGone,
    ClientStalled,
    UnknownFunction,
    UnknownPath,
    MethodNotAllowed,
    NoFunctionNamed,
    AsyncNotOffered,
    NoReplica,
    ConnectFailed,
    ConnectTimeout,
    BrokenOff,
    BadAnswer,
    FirstByteTimeout,
    StreamIdle,
    UpstreamTimeout,
    CallTimeout,
    /// A connection was closed since no request came; no failure, but a limit.
    IdleTimeout,
    /// A tunnel was closed since nothing moved in it.
    TunnelIdle,
    /// Requests were broken off since the gateway had to end.
    DrainTimeout,
}

impl Reason {
    /// All of them, in the order of their cells, with their words.
    pub const ALL: [(Self, &'static str); 29] = [
        (Self::Malformed, "malformed"),
        (Self::HeadTooLarge, "head_too_large"),
        (Self::TooManyHeaders, "too_many_headers"),
        (Self::TargetTooLong, "target_too_long"),
        (Self::HeadTimeout, "head_timeout"),
        (Self::BodyTimeout, "body_timeout"),
        (Self::BodyTooLarge, "body_too_large"),
        (Self::BadTimeout, "bad_timeout"),
        (Self::TooManyConnections, "too_many_connections"),
        (Self::TooManyFromPeer, "too_many_from_peer"),
        (Self::ClientGone, "client_gone"),
        (Self::ClientStalled, "client_stalled"),
        (Self::UnknownFunction, "unknown_function"),
        (Self::UnknownPath, "unknown_path"),
        (Self::MethodNotAllowed, "method_not_allowed"),
        (Self::NoFunctionNamed, "no_function_named"),
        (Self::AsyncNotOffered, "async_not_offered"),
        (Self::NoReplica, "no_replica"),
        (Self::ConnectFailed, "connect_failed"),
        (Self::ConnectTimeout, "connect_timeout"),
        (Self::BrokenOff, "broken_off"),
        (Self::BadAnswer, "bad_answer"),
        (Self::FirstByteTimeout, "first_byte_timeout"),
        (Self::StreamIdle, "stream_idle"),
        (Self::UpstreamTimeout, "upstream_timeout"),
        (Self::CallTimeout, "call_timeout"),
        (Self::IdleTimeout, "idle_timeout"),
        (Self::TunnelIdle, "tunnel_idle"),
        (Self::DrainTimeout, "drain_timeout"),
    ];

    /// Its place among the cells.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl Failure {
    /// Under which word it is counted.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Malformed(wire::Error::HeadTooLarge) => Reason::HeadTooLarge,
            Self::Malformed(wire::Error::TooManyHeaders) => Reason::TooManyHeaders,
            Self::Malformed(wire::Error::TargetTooLong) => Reason::TargetTooLong,
            Self::Malformed(_) => Reason::Malformed,
            Self::HeadTimeout(_) => Reason::HeadTimeout,
            Self::BodyTimeout(_) => Reason::BodyTimeout,
            Self::BodyTooLarge(_) => Reason::BodyTooLarge,
            Self::BadTimeout(_) => Reason::BadTimeout,
            Self::TooManyConnections(_) => Reason::TooManyConnections,
            Self::TooManyFromPeer(_) => Reason::TooManyFromPeer,
            Self::ClientGone => Reason::ClientGone,
            Self::ClientStalled(_) => Reason::ClientStalled,
            Self::UnknownFunction => Reason::UnknownFunction,
            Self::UnknownPath => Reason::UnknownPath,
            Self::MethodNotAllowed(_) => Reason::MethodNotAllowed,
            Self::NoFunctionNamed => Reason::NoFunctionNamed,
            Self::AsyncNotOffered => Reason::AsyncNotOffered,
            Self::NoReplica => Reason::NoReplica,
            Self::ConnectFailed(_) => Reason::ConnectFailed,
            Self::ConnectTimeout(_) => Reason::ConnectTimeout,
            Self::BrokenOff(_) => Reason::BrokenOff,
            Self::BadAnswer(_) => Reason::BadAnswer,
            Self::FirstByteTimeout(_) => Reason::FirstByteTimeout,
            Self::StreamIdle(_) => Reason::StreamIdle,
            Self::UpstreamTimeout(_, SetBy::Call) => Reason::CallTimeout,
            Self::UpstreamTimeout(..) => Reason::UpstreamTimeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_stands_at_its_place() {
        for (place, (reason, word)) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place, "{word}");
        }
    }
}
