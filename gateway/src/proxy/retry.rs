//! Which failures may be tried again: nothing that may have been executed is sent twice unless
//! its method says that twice is as good as once (RFC 9110, 9.2.2).

use std::io;

use net::Chunk;

use super::Call;
use crate::failure::Failure;

/// Replicas that may refuse a connection before the client is told. Refused connections cost
/// nothing and have executed nothing, but a client should not wait for all of a hundred.
const CONNECT_ATTEMPTS_MAX: u32 = 3;

/// How far a request had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// No byte has reached the replica, and that is certain.
    Nothing,
    /// All or some of it, on a connection that had been idle: the replica may have closed it
    /// at the same moment, or may have executed the request.
    OnReused,
    /// All or some of it, on a fresh connection or after the answer had begun.
    OnFresh,
}

impl Sent {
    /// All or some of the request has gone out.
    pub(crate) const fn something(reused: bool) -> Self {
        if reused {
            Self::OnReused
        } else {
            Self::OnFresh
        }
    }

    /// The first write failed. Only the driver knows whether the kernel took a part before that: even
    /// an empty buffer may have room for less than a head with its body.
    pub(crate) const fn first_write(is_refused: bool, reused: bool) -> Self {
        if is_refused {
            Self::Nothing
        } else {
            Self::something(reused)
        }
    }
}

/// An attempt that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) sent: Sent,
    /// The client has seen the beginning of an answer.
    pub(crate) answer_begun: bool,
}

impl Failed {
    pub(crate) fn before_sending(failure: Failure) -> Self {
        Self {
            failure,
            sent: Sent::Nothing,
            answer_begun: false,
        }
    }

    /// Something broke after all or some of the request had been sent.
    pub(crate) fn underway(failure: Failure, sent: Sent, answer_begun: bool) -> Self {
        Self {
            failure,
            sent,
            answer_begun,
        }
    }

    /// The time for the whole call is over.
    pub(crate) fn overdue(failure: Failure, answer_begun: bool) -> Self {
        Self {
            failure,
            sent: Sent::OnFresh,
            answer_begun,
        }
    }

    /// The first write failed, before its first byte if it `is_refused`. One that timed out has filled
    /// the buffer.
    pub(crate) fn on_first_write(error: io::Error, is_refused: bool, reused: bool) -> Self {
        let sent = match error.kind() {
            io::ErrorKind::TimedOut => Sent::OnFresh,
            _ => Sent::first_write(is_refused, reused),
        };
        Self {
            failure: Failure::BrokenOff(error),
            sent,
            answer_begun: false,
        }
    }
}

/// The attempts at one request.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    connects_failed: u32,
    sent_again: bool,
    last: Option<(Failure, u64)>,
}

impl Attempt {
    /// The replica to avoid in the next attempt.
    pub(crate) fn failed_replica(&self) -> Option<u64> {
        self.last.as_ref().map(|(_, replica)| *replica)
    }

    /// What to tell the client when no replica is left to try.
    pub(crate) fn last_failure(&mut self) -> Option<Failure> {
        self.last.take().map(|(failure, _)| failure)
    }

    /// Decides, and keeps count.
    pub(crate) fn may_try_again(
        &mut self,
        failed: Failed,
        call: &Call<'_>,
        rest: &Chunk,
        replica: u64,
    ) -> Result<(), Failed> {
        let again = match failed.sent {
            _ if failed.answer_begun || !call.is_whole(rest) && failed.sent != Sent::Nothing => {
                false
            }
            Sent::Nothing => {
                self.connects_failed += 1;
                is_replicas_fault(&failed.failure) && self.connects_failed < CONNECT_ATTEMPTS_MAX
            }
            Sent::OnReused => {
                let first_time = !std::mem::replace(&mut self.sent_again, true);
                first_time
                    && call.head.method.is_idempotent()
                    && matches!(failed.failure, Failure::BrokenOff(_))
            }
            Sent::OnFresh => false,
        };
        if !again {
            return Err(failed);
        }
        self.last = Some((failed.failure, replica));
        Ok(())
    }
}

fn is_replicas_fault(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::ConnectFailed(_) | Failure::ConnectTimeout(_) | Failure::BrokenOff(_)
    )
}

#[cfg(test)]
mod tests {
    use wire::{Limits, Parsed, parse_request};

    use super::*;

    fn verdict(request: &str, failed: Failed) -> bool {
        let bytes = request.as_bytes();
        let Ok(Parsed::Complete { head, len }) = parse_request(bytes, &Limits::DEFAULT) else {
            panic!("{request}")
        };
        let call = Call::new(&head, &mut fastrand::Rng::with_seed(1));
        let rest = Chunk::copied(&bytes[len..]);
        Attempt::default()
            .may_try_again(failed, &call, &rest, 1)
            .is_ok()
    }

    fn broken(sent: Sent) -> Failed {
        Failed {
            failure: Failure::BrokenOff(io::ErrorKind::UnexpectedEof.into()),
            sent,
            answer_begun: false,
        }
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    const PUT_IN_PARTS: &str = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhi";

    #[test]
    fn what_never_left_may_be_sent_elsewhere_whatever_the_method() {
        for request in [GET, POST, PUT_IN_PARTS] {
            assert!(verdict(request, broken(Sent::Nothing)), "{request}");
        }
    }

    #[test]
    fn what_may_have_been_executed_is_sent_again_only_if_twice_is_as_good_as_once() {
        assert!(verdict(GET, broken(Sent::OnReused)));
        assert!(!verdict(POST, broken(Sent::OnReused)));
        assert!(!verdict(PUT_IN_PARTS, broken(Sent::OnReused)));
    }

    #[test]
    fn a_first_write_that_broke_has_sent_nothing_only_if_the_driver_knows() {
        let broke = |is_refused, reused| {
            Failed::on_first_write(io::ErrorKind::BrokenPipe.into(), is_refused, reused)
        };
        for (is_refused, reused, post, get) in [
            (true, true, true, true),
            (true, false, true, true),
            (false, true, false, true),
            (false, false, false, false),
        ] {
            let case = format!("refused: {is_refused}, reused: {reused}");
            assert_eq!(verdict(POST, broke(is_refused, reused)), post, "{case}");
            assert_eq!(verdict(GET, broke(is_refused, reused)), get, "{case}");
        }
    }

    #[test]
    fn a_fresh_connection_that_breaks_is_told_to_the_client() {
        assert!(!verdict(GET, broken(Sent::OnFresh)));
    }

    #[test]
    fn an_answer_that_has_begun_is_never_begun_again() {
        let failed = Failed {
            answer_begun: true,
            ..broken(Sent::OnReused)
        };
        assert!(!verdict(GET, failed));
    }

    #[test]
    fn a_time_limit_is_not_tried_again() {
        let failed = Failed {
            failure: Failure::FirstByteTimeout(std::time::Duration::from_secs(1)),
            ..broken(Sent::OnReused)
        };
        assert!(!verdict(GET, failed));
    }
}
