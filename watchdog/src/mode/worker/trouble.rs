//! What can go wrong with a call, and what its client is told.

use std::rc::Rc;

use super::pool::Pool;
use crate::input::InputError;
use crate::limits::RETRY_AFTER_S;
use crate::mode::collect::BodyTrouble;
use crate::reply::Failure;

/// Why a call was not answered by a worker.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The client closed the connection.
    ClientGone,
    /// The rest of the request did not come in time.
    ReadTimeout,
    /// The rest of the request cannot be had.
    BadInput(InputError),
    /// The time limit of the call.
    Deadline,
    /// There is no worker, and there will be none soon.
    Refused(Failure),
    /// The worker ended before it took anything of the request.
    NotTaken(Option<Rc<str>>),
    /// The worker ended, as the words say, or closed its output.
    WentDown(Option<Rc<str>>),
    /// Its answer breaks the protocol, as the words say.
    BadAnswer(String),
}

impl Trouble {
    /// Whether nothing of the body may be skipped to get to the next request.
    pub(super) fn is_requests_fault(&self) -> bool {
        matches!(self, Self::ReadTimeout | Self::BadInput(_))
    }

    /// What to answer, but for [`Trouble::Deadline`] and [`Trouble::ReadTimeout`], whose words
    /// others have; none if nobody is there to hear it.
    pub(super) fn failure(self, pool: &Pool) -> Option<Failure> {
        match self {
            Self::ClientGone | Self::Deadline | Self::ReadTimeout => None,
            Self::BadInput(InputError::TooLarge(_)) => Some(too_large(pool)),
            Self::BadInput(error) => error.failure(),
            Self::Refused(failure) => Some(failure),
            Self::NotTaken(end) => Some(went_down(end, "took the request")),
            Self::WentDown(end) => Some(went_down(end, "had answered")),
            Self::BadAnswer(what) => {
                let message = format!(
                    "the worker's answer breaks the protocol of worker mode: {what}; it was killed and is replaced"
                );
                Some(Failure::new(502, "bad-answer", message))
            }
        }
    }
}

/// The body is larger than what is collected.
pub(super) fn too_large(pool: &Pool) -> Failure {
    let message = format!(
        "the request body is larger than http_buffer_bytes_max ({} bytes); send less, or raise it",
        pool.body_bytes_max
    );
    Failure::new(413, "body-too-large", message)
}

/// None became free in time.
pub(super) fn all_busy(pool: &Pool, limit: &Failure) -> Failure {
    let message = format!(
        "{} (workers={}); or raise workers",
        limit.message, pool.workers_max
    );
    Failure {
        retry_after_s: Some(RETRY_AFTER_S),
        ..Failure::new(503, "workers-busy", message)
    }
}

fn went_down(end: Option<Rc<str>>, before: &str) -> Failure {
    let message = match end {
        Some(how) => format!("the worker went down ({how}) before it {before}; see the log"),
        None => format!("the worker closed its output before it {before}; see the log"),
    };
    Failure::new(502, "worker-died", message)
}

impl From<BodyTrouble> for Trouble {
    fn from(trouble: BodyTrouble) -> Self {
        match trouble {
            BodyTrouble::ReadTimeout => Self::ReadTimeout,
            BodyTrouble::BadInput(error) => Self::BadInput(error),
        }
    }
}
