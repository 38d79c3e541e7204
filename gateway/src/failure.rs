//! What can go wrong with a request, and what its client is told: one variant, one status, one
//! sentence that says what to do.

use std::{io, time::Duration};

/// Why a request was not answered by its function.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The client broke RFC 9110 or 9112, or a limit of the codec.
    #[error("the request was refused: {0}")]
    Malformed(wire::Error),
    /// The head did not come in time.
    #[error("the request head did not arrive within {} s; send it in one go", .0.as_secs())]
    HeadTimeout(Duration),
    /// The body stopped coming.
    #[error("no byte of the request body arrived for {} s; send it without pauses", .0.as_secs())]
    BodyTimeout(Duration),
    /// The body is over the limit.
    #[error("the request body is larger than {0} bytes; send less or raise --body-bytes-max")]
    BodyTooLarge(u64),
    /// The client closed the connection: nobody is there to be told.
    #[error("the client went away")]
    ClientGone,
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
    #[error("the function's replica did not accept a connection within {} s", .0.as_secs())]
    ConnectTimeout(Duration),
    /// The connection broke before an answer came.
    #[error(
        "the function's replica broke the connection before it answered ({0}); see `ringway logs`"
    )]
    BrokenOff(io::Error),
    /// The answer broke RFC 9110 or 9112.
    #[error("the function's replica sent an answer that is not valid HTTP: {0}")]
    BadAnswer(wire::Error),
    /// The time limit of the whole gateway or of the function.
    #[error("the function did not begin to answer within {} s (upstream time limit)", .0.as_secs_f64())]
    UpstreamTimeout(Duration),
}

impl Failure {
    /// The status that the client gets.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Malformed(error) => error.status(),
            Self::HeadTimeout(_) | Self::BodyTimeout(_) => 408,
            Self::BodyTooLarge(_) => 413,
            // The status that nginx logs for it; it is counted, and never sent.
            Self::ClientGone => 499,
            Self::UnknownFunction | Self::UnknownPath => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::NoFunctionNamed => 400,
            Self::AsyncNotOffered => 501,
            Self::NoReplica => 503,
            Self::ConnectFailed(_) | Self::BrokenOff(_) | Self::BadAnswer(_) => 502,
            Self::ConnectTimeout(_) | Self::UpstreamTimeout(_) => 504,
        }
    }

    /// A header that goes with the status.
    pub(crate) fn header(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MethodNotAllowed(allowed) => Some(("Allow", allowed)),
            // A replica starts in milliseconds, but whoever scales it up needs a moment.
            Self::NoReplica => Some(("Retry-After", "1")),
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
                | Self::ClientGone
        )
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
