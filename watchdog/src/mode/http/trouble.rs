//! What can go wrong with a call, what its client is told, and what may be tried again.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::function::Function;
use crate::input::InputError;
use crate::limits::RETRY_AFTER_S;
use crate::mode::collect::BodyTrouble;
use crate::reply::Failure;

/// After a connection broke, how long the end of the process is waited for, to be named as the
/// cause.
const CAUSE_MAX: Duration = Duration::from_millis(50);

/// Why a call was not answered by the function.
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
    /// The function's server is not there.
    Refused(Failure),
    /// No connection to it came about for a reason that waiting does not mend.
    ConnectFailed(io::Error),
    /// It broke the connection off.
    BrokenOff {
        error: io::Error,
        /// Which process it was.
        generation: u64,
        /// Whether it may be sent again.
        sent: Sent,
    },
    /// Its answer breaks RFC 9110 or 9112.
    BadAnswer(wire::Error),
}

/// How far a request had come when its connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// No byte has reached the server, and that is certain.
    Nothing,
    /// All or some of it, on a connection that had been idle: the server may have closed it at the
    /// same moment, or may have executed the request.
    OnReused,
    /// All or some of it, on a fresh connection.
    OnFresh,
}

impl Sent {
    /// All or some of the request has gone out.
    pub(super) fn something(reused: bool) -> Self {
        match reused {
            true => Self::OnReused,
            false => Self::OnFresh,
        }
    }

    /// The first write failed. Only the driver knows whether the kernel took a part before that: even
    /// an empty buffer may have room for less than a head with its body.
    pub(super) fn first_write(is_refused: bool, reused: bool) -> Self {
        match is_refused {
            true => Self::Nothing,
            false => Self::something(reused),
        }
    }

    /// Whether a request may be sent once more: nothing that may have been executed is, unless its
    /// method says that twice is as good as once (RFC 9110 §9.2.2). `is_whole` says that all of it
    /// is still there to be sent.
    pub(super) fn may_be_sent_again(self, is_idempotent: bool, is_whole: bool) -> bool {
        match self {
            Self::Nothing => true,
            Self::OnReused => is_idempotent && is_whole,
            Self::OnFresh => false,
        }
    }
}

impl Trouble {
    /// Whether nothing of the body may be skipped to get to the next request.
    pub(super) fn is_requests_fault(&self) -> bool {
        matches!(self, Self::ReadTimeout | Self::BadInput(_))
    }

    /// What to answer, but for [`Trouble::Deadline`] and [`Trouble::ReadTimeout`], whose words
    /// others have; none if nobody is there to hear it.
    pub(super) async fn failure(&self, function: &Function) -> Option<Failure> {
        match self {
            Self::ClientGone | Self::Deadline | Self::ReadTimeout => None,
            Self::BadInput(error) => error.failure(),
            Self::Refused(failure) => Some(failure.clone()),
            Self::ConnectFailed(error) => Some(connect_failed(function, error)),
            Self::BrokenOff {
                error, generation, ..
            } => {
                let down = function.down(*generation, CAUSE_MAX).await;
                Some(broken_off(error, down))
            }
            Self::BadAnswer(error) => {
                let message =
                    format!("the function sent an answer that is not valid HTTP: {error}");
                Some(Failure::new(502, "bad-answer", message))
            }
        }
    }
}

impl From<BodyTrouble> for Trouble {
    fn from(trouble: BodyTrouble) -> Self {
        match trouble {
            BodyTrouble::ReadTimeout => Self::ReadTimeout,
            BodyTrouble::BadInput(error) => Self::BadInput(error),
        }
    }
}

fn connect_failed(function: &Function, error: &io::Error) -> Failure {
    const EMFILE: i32 = nix::libc::EMFILE;
    const ENFILE: i32 = nix::libc::ENFILE;
    if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
        let message = format!(
            "no connection to the function could be made: {error}; a limit on descriptors (ulimit -n) may be reached"
        );
        return Failure {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Failure::new(503, "no-resources", message)
        };
    }
    let message = format!(
        "the function cannot be reached at {}: {error}; see its log",
        function.place()
    );
    Failure::new(502, "connect-failed", message)
}

fn broken_off(error: &io::Error, down: Option<Rc<str>>) -> Failure {
    let message = match down {
        Some(how) => format!("{how} before it answered; see its log"),
        None => format!(
            "the function broke the connection off before it answered ({error}); see its log"
        ),
    };
    Failure::new(502, "broken-off", message)
}

#[cfg(test)]
mod tests {
    use super::Sent;

    #[test]
    fn a_first_write_that_broke_has_sent_nothing_only_if_the_driver_knows() {
        for (is_refused, reused, again) in [
            (true, true, true),
            (true, false, true),
            (false, true, false),
            (false, false, false),
        ] {
            let verdict = Sent::first_write(is_refused, reused).may_be_sent_again(false, true);
            assert_eq!(verdict, again, "{is_refused} {reused}");
        }
    }

    #[test]
    fn what_may_have_been_executed_is_sent_again_only_if_twice_is_as_good_as_once() {
        for (sent, is_idempotent, is_whole, again) in [
            (Sent::Nothing, false, false, true),
            (Sent::OnReused, true, true, true),
            (Sent::OnReused, true, false, false),
            (Sent::OnReused, false, true, false),
            (Sent::OnFresh, true, true, false),
        ] {
            let verdict = sent.may_be_sent_again(is_idempotent, is_whole);
            assert_eq!(verdict, again, "{sent:?} {is_idempotent} {is_whole}");
        }
    }
}
