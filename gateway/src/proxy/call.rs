//! What is known of a request from its head on: its id, when it began, how its body is framed,
//! how long it may take.

use std::{
    cell::Cell,
    future::pending,
    time::{Duration, Instant},
};

use net::{Chunk, Timer};
use uuid::{Builder, fmt::Hyphenated};
use wire::{BodyDecoder, Framing, RequestHead};

use crate::{
    failure::Failure,
    limits::{FunctionLimits, Limits, SetBy},
    route::Route,
    worker::Clock,
};

/// How long an answer that has begun may go on when the time for the whole call is over. A watchdog
/// that goes by the same limit says why in that very moment, and is not to be cut off over it.
const LAST_WORD: Duration = Duration::from_millis(100);

/// The value of `X-Call-Id`: the client's, or a random UUID where it sent none.
#[derive(Debug)]
pub(crate) enum CallId<'b> {
    Given(&'b [u8]),
    Made([u8; Hyphenated::LENGTH]),
}

impl CallId<'_> {
    fn made(random: &mut fastrand::Rng) -> Self {
        let id = Builder::from_random_bytes(random.u128(..).to_ne_bytes()).into_uuid();
        let mut text = [0; Hyphenated::LENGTH];
        id.hyphenated().encode_lower(&mut text);
        Self::Made(text)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(id) => id,
            Self::Made(id) => id,
        }
    }
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) head: &'a RequestHead<'a>,
    pub(crate) id: CallId<'a>,
    /// `X-Start-Time`: nanoseconds since the epoch.
    pub(crate) start_time_ns: u64,
    /// Who is to answer, once that is known.
    route: Option<Route<'a>>,
    /// Whether the connection is to go on after this request, as far as the head says and the
    /// gateway allows.
    pub(crate) keep_alive: bool,
    /// The client has been sent a byte of the answer.
    pub(crate) answer_begun: Cell<bool>,
    /// `X-Timeout` as it came.
    asked_limit: Option<&'a [u8]>,
    /// When the whole call is over, if there is such a limit.
    deadline: Option<Deadline>,
}

#[derive(Debug)]
struct Deadline {
    timer: Timer,
    limit: Duration,
    set_by: SetBy,
}

impl<'a> Call<'a> {
    pub(crate) fn new(head: &'a RequestHead<'a>, random: &mut fastrand::Rng) -> Self {
        // Fits until the year 2554.
        let start_time_ns = u64::try_from(Clock::since_epoch().as_nanos()).unwrap_or(u64::MAX);
        let (mut given_id, mut asked_limit) = (None, None);
        for header in head.headers.iter().filter(|header| header.name.len() == 9) {
            if given_id.is_none() && header.is("x-call-id") && !header.value.is_empty() {
                given_id = Some(header.value);
            } else if header.is("x-timeout") {
                // Of several the last: the watchdog behind us sees them all, too.
                asked_limit = Some(header.value);
            }
        }
        Self {
            head,
            id: given_id.map_or_else(|| CallId::made(random), CallId::Given),
            start_time_ns,
            route: None,
            keep_alive: head.keep_alive,
            answer_begun: Cell::new(false),
            asked_limit,
            deadline: None,
        }
    }

    /// Says who is to answer.
    pub(crate) fn on(&mut self, route: Route<'a>) -> &mut Self {
        self.route = Some(route);
        self
    }

    /// Lets the time for the whole call run, which began at `begun`.
    ///
    /// # Errors
    /// [`Failure::BadTimeout`] for an `X-Timeout` that is no duration.
    pub(crate) fn limit(
        &mut self,
        begun: Instant,
        function: &FunctionLimits,
        gateway: &Limits,
    ) -> Result<(), Failure> {
        let asked = match self.asked_limit {
            Some(text) => Some(asked_limit(text)?),
            None => None,
        };
        self.deadline = function
            .whole_call(gateway, asked)
            .and_then(|(limit, set_by)| {
                let timer = Timer::new();
                timer.set_at(begun.checked_add(limit)?);
                Some(Deadline {
                    timer,
                    limit,
                    set_by,
                })
            });
        Ok(())
    }

    /// Ends when the time for the whole call is over, an answer that has begun being given a moment
    /// more; never where there is no limit.
    pub(crate) async fn overdue(&self) -> Failure {
        match &self.deadline {
            Some(deadline) => {
                deadline.timer.expired().await;
                if self.answer_begun.get() {
                    deadline.timer.set(LAST_WORD);
                    deadline.timer.expired().await;
                }
                Failure::UpstreamTimeout(deadline.limit, deadline.set_by)
            }
            None => pending().await,
        }
    }

    /// Takes the limit for the whole call back: what has become a tunnel has a limit of its own.
    pub(crate) fn lift_limit(&self) {
        if let Some(deadline) = &self.deadline {
            deadline.timer.clear();
        }
    }

    /// The function that was called, where one was.
    pub(crate) fn function(&self) -> Option<&'a str> {
        match self.route {
            Some(Route::Function { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// Path and query for the one who answers, in two parts that follow each other.
    pub(crate) fn target(&self) -> [&'a [u8]; 2] {
        match self.route {
            Some(Route::Function { path, .. }) if path.starts_with(b"/") => [b"", path],
            Some(Route::Function { path, .. }) => [b"/", path],
            Some(Route::Control) | None => self.head.origin_form(),
        }
    }

    /// How long an answer that has begun may pause. Our own control plane may be silent for as
    /// long as a follower of quiet logs has patience: it notices by itself when nobody is there.
    pub(crate) fn silence_limit(&self, limits: &Limits) -> Duration {
        match self.route {
            Some(Route::Control) => Duration::MAX,
            _ => limits.stream_idle_timeout,
        }
    }

    /// Refuses a body whose announced length is over the limit, before any of it is read.
    ///
    /// # Errors
    /// [`Failure::BodyTooLarge`].
    pub(crate) fn check_body(&self, bytes_max: Option<u64>) -> Result<(), Failure> {
        match (self.head.framing, bytes_max) {
            (Framing::Length(length), Some(max)) if length > max => Err(Failure::BodyTooLarge(max)),
            _ => Ok(()),
        }
    }

    /// What follows the body in `rest`, where all of the body has been read already: the next
    /// request can then be served although nobody wanted this one's body.
    pub(crate) fn skip_body(&self, mut rest: Chunk) -> Option<Chunk> {
        let mut decoder = BodyDecoder::new(self.head.framing);
        if !decoder.is_done() {
            let step = decoder.decode_raw(&rest).ok()?;
            rest.advance(step.consumed);
        }
        decoder.is_done().then_some(rest)
    }

    /// Whether all of the body is in `rest`, so that the request can be sent a second time.
    pub(crate) fn is_whole(&self, rest: &Chunk) -> bool {
        self.skip_body(rest.clone()).is_some()
    }
}

/// Reads `X-Timeout`. One that would end the call at once is a mistake.
fn asked_limit(text: &[u8]) -> Result<Duration, Failure> {
    std::str::from_utf8(text)
        .ok()
        .and_then(wire::duration::parse)
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| Failure::BadTimeout(text.escape_ascii().to_string()))
}
