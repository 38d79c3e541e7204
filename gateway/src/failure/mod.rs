//! What can go wrong with a request, and what its client is told: one variant, one status, one
//! sentence that says what to do, and one reason under which it is counted.

mod reason;

use std::{io, time::Duration};

pub use reason::Reason;

use crate::limits::SetBy;

/// Why a request was not answered by its function.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client broke RFC 9110 or 9112, or a limit of the codec.
    #[error("the request was refused: {0}")]
    Malformed(wire::Error),
    /// The head did not come in time.
    #[error("the request head did not arrive within {} s (head time limit); send it in one go", .0.as_secs_f64())]
    HeadTimeout(Duration),
    /// The body stopped coming.
    #[error("no byte of the request body arrived for {} s (body time limit); send it without pauses", .0.as_secs_f64())]
    BodyTimeout(Duration),
    /// The body is over the limit.
    #[error(
        "the request body is larger than {0} bytes; send less, or raise --body-bytes-max or the \
         function's annotation ringway.body-bytes-max"
    )]
    BodyTooLarge(u64),
    /// `X-Timeout` is not a duration.
    #[error("the header X-Timeout is `{0}`; give {forms}, more than 0", forms = wire::duration::FORMS)]
    BadTimeout(String),
    /// All connections are taken.
    #[error("all {0} connections of this gateway are taken; try again, or raise --connections-max")]
    TooManyConnections(u64),
    /// This client has all the connections that one may have.
    #[error(
        "{0} connections from your address are open, and no more are allowed; reuse them, or \
         raise --connections-per-peer-max"
    )]
    TooManyFromPeer(u32),
    /// The client closed the connection: nobody is there to be told.
    #[error("the client went away")]
    ClientGone,
    /// The client does not take its answer.
    #[error("the client took no byte of its answer for {} s (body time limit)", .0.as_secs_f64())]
    ClientStalled(Duration),
    /// No such function.
    #[error("no function of this name is deployed; see `ringway list`")]
    UnknownFunction,
    /// No such route.
    #[error("nothing is served at this path; functions are at /function/NAME")]
    UnknownPath,
    /// The route exists, for other methods.
    #[error("this path takes {0} only")]
    MethodNotAllowed(&'static str),
    /// `POST /` without saying for whom.
    #[error("POST / needs the header X-Function: NAME; or call /function/NAME")]
    NoFunctionNamed,
    /// A route of the reference system that this version lacks.
    #[error("asynchronous calls are not offered by this version; call /function/NAME")]
    AsyncNotOffered,
    /// The function exists but has no replica that is ready.
    #[error("the function has no replica that is ready; try again, or scale it up")]
    NoReplica,
    /// No connection came about: nobody listens there, or no descriptor is left here.
    #[error("the function's replica cannot be reached ({0}); see `ringway logs`")]
    ConnectFailed(io::Error),
    /// The replica did not accept the connection in time.
    #[error("the function's replica did not accept a connection within {} s (connect time limit)", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    /// The connection broke before an answer came.
    #[error(
        "the function's replica broke the connection before it answered ({0}), and may or may not \
         have carried the request out; see `ringway logs`"
    )]
    BrokenOff(io::Error),
    /// The answer broke RFC 9110 or 9112.
    #[error("the function's replica sent an answer that is not valid HTTP: {0}")]
    BadAnswer(wire::Error),
    /// No answer began in time.
    #[error("the function did not begin to answer within {} s (first byte time limit)", .0.as_secs_f64())]
    FirstByteTimeout(Duration),
    /// The answer began and then went silent.
    #[error("the function's answer was silent for {} s (stream idle limit)", .0.as_secs_f64())]
    StreamIdle(Duration),
    /// The whole call took too long.
    #[error("the call took longer than {} s ({})", .0.as_secs_f64(), set_by(*.1))]
    UpstreamTimeout(Duration, SetBy),
}

/// Which limit it was, and where it can be changed.
fn set_by(who: SetBy) -> &'static str {
    match who {
        SetBy::Gateway => "upstream time limit, --upstream-timeout",
        SetBy::Function => {
            "the function's time limit: its annotation ringway.upstream-timeout, else its exec_timeout"
        }
        SetBy::Call => "the request's X-Timeout header",
    }
}

impl Failure {
    /// The status that the client gets.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Malformed(error) => error.status(),
            Self::BadTimeout(_) | Self::NoFunctionNamed => 400,
            Self::HeadTimeout(_) | Self::BodyTimeout(_) => 408,
            Self::BodyTooLarge(_) => 413,
            Self::TooManyFromPeer(_) => 429,
            // The status that nginx logs for it; it is counted, and never sent.
            Self::ClientGone | Self::ClientStalled(_) => 499,
            Self::UnknownFunction | Self::UnknownPath => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::AsyncNotOffered => 501,
            Self::NoReplica | Self::TooManyConnections(_) => 503,
            Self::ConnectFailed(_) | Self::BrokenOff(_) | Self::BadAnswer(_) => 502,
            Self::ConnectTimeout(_)
            | Self::FirstByteTimeout(_)
            | Self::StreamIdle(_)
            | Self::UpstreamTimeout(..) => 504,
        }
    }

    /// A header that goes with the status.
    pub(crate) fn header(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MethodNotAllowed(allowed) => Some(("Allow", allowed)),
            // A replica starts in milliseconds, but whoever scales it up needs a moment; so do
            // those whose connections are to come free.
            Self::NoReplica | Self::TooManyConnections(_) | Self::TooManyFromPeer(_) => {
                Some(("Retry-After", "1"))
            }
            _ => None,
        }
    }

    /// Whether the connection can carry another request: not when we no longer know where the
    /// next one begins.
    pub(crate) fn keeps_alive(&self) -> bool {
        !matches!(
            self,
            Self::Malformed(_)
                | Self::HeadTimeout(_)
                | Self::BodyTimeout(_)
                | Self::BodyTooLarge(_)
                | Self::TooManyConnections(_)
                | Self::TooManyFromPeer(_)
                | Self::ClientGone
                | Self::ClientStalled(_)
        )
    }

    /// Whether nobody is there to be told.
    pub(crate) fn is_clients_leaving(&self) -> bool {
        matches!(self, Self::ClientGone | Self::ClientStalled(_))
    }
}

impl From<conduit::BodyError> for Failure {
    /// For the body of a request; an answer's is the replica's fault.
    fn from(error: conduit::BodyError) -> Self {
        match error {
            conduit::BodyError::Malformed(error) => Self::Malformed(error),
            conduit::BodyError::TooLarge(bytes_max) => Self::BodyTooLarge(bytes_max),
        }
    }
}
