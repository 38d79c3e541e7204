//! What can end a call before the program has ended by itself.

use std::io;

use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::input::InputError;
use crate::limits::OUTPUT_AFTER_END_MAX;
use crate::mode::collect::BodyTrouble;
use crate::reply::Failure;

/// Why a call ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The time limit.
    Deadline,
    /// The rest of the request did not come in time.
    ReadTimeout,
    /// The client closed the connection.
    ClientGone,
    /// The rest of the request cannot be had.
    BadInput(InputError),
    /// The program wrote more than may be held back, in bytes.
    OutputTooLarge(usize),
    /// The program has ended, but what it started has not stopped writing in time.
    StillWriting,
    /// The watchdog's own pipes or descriptors failed.
    System(io::Error),
}

impl Stop {
    /// What to answer; none if nobody is there to hear it.
    pub(crate) fn failure(&self, connection: &Connection, deadline: &Deadline) -> Option<Failure> {
        match self {
            Self::Deadline => {
                let status = connection.service.config.timeout_status;
                Some(deadline.failure(status, "end", " and was killed"))
            }
            Self::ReadTimeout => Some(connection.read_timeout()),
            Self::ClientGone => None,
            Self::BadInput(error) => error.failure(),
            Self::OutputTooLarge(bytes_max) => Some(Failure::new(
                500,
                "output-too-large",
                format!(
                    "the function wrote more than output_bytes_max ({bytes_max} bytes) and was killed; raise it, or use mode=streaming, which has no limit"
                ),
            )),
            Self::StillWriting => Some(Failure::new(
                500,
                "output-unfinished",
                format!(
                    "the function ended, but what it started was still writing {OUTPUT_AFTER_END_MAX:?} later and was killed; let the function wait for it"
                ),
            )),
            Self::System(error) => Some(Failure::new(
                500,
                "watchdog-failed",
                format!("the watchdog could not follow the function: {error}"),
            )),
        }
    }
}

impl From<BodyTrouble> for Stop {
    fn from(trouble: BodyTrouble) -> Self {
        match trouble {
            BodyTrouble::ReadTimeout => Self::ReadTimeout,
            BodyTrouble::BadInput(error) => Self::BadInput(error),
        }
    }
}
