//! What is known of a request from its head on: its id, when it began, how its body is framed.

use std::time::Duration;

use net::Chunk;
use uuid::{Builder, fmt::Hyphenated};
use wire::{BodyDecoder, Framing, RequestHead};

use crate::{failure::Failure, limits::Limits, route::Route, worker::Clock};

/// The value of `X-Call-Id`: the client's, or a random UUID where it sent none.
#[derive(Debug)]
pub(crate) enum CallId<'b> {
    Given(&'b [u8]),
    Made([u8; Hyphenated::LENGTH]),
}

impl<'b> CallId<'b> {
    pub(crate) fn of(head: &RequestHead<'b>, random: &mut fastrand::Rng) -> Self {
        match head.headers.get("x-call-id") {
            Some(given) if !given.is_empty() => Self::Given(given),
            _ => {
                let id = Builder::from_random_bytes(random.u128(..).to_ne_bytes()).into_uuid();
                let mut text = [0; Hyphenated::LENGTH];
                id.hyphenated().encode_lower(&mut text);
                Self::Made(text)
            }
        }
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
    pub(crate) id: &'a CallId<'a>,
    /// `X-Start-Time`: nanoseconds since the epoch.
    pub(crate) start_time_ns: u64,
    /// Who is to answer, once that is known.
    pub(crate) route: Option<Route<'a>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(head: &'a RequestHead<'a>, id: &'a CallId<'a>) -> Self {
        // Fits until the year 2554.
        let start_time_ns = u64::try_from(Clock::since_epoch().as_nanos()).unwrap_or(u64::MAX);
        Self {
            head,
            id,
            start_time_ns,
            route: None,
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
            Some(Route::Control) | None => [b"", self.head.target],
        }
    }

    /// The protocol that the client offers to switch to, if the offer may be passed on: WebSocket
    /// alone. Others (`h2c`, `TLS/1.0`) would carry requests past our eyes.
    pub(crate) fn offered_protocol(&self) -> Option<&'a [u8]> {
        // The flag first: it is known from parsing, and nearly every request ends here.
        if !self.head.upgrade || !self.head.framing.is_empty() {
            return None;
        }
        let offered = self.head.headers.get("upgrade")?;
        offered
            .eq_ignore_ascii_case(b"websocket")
            .then_some(offered)
    }

    /// How long an answer that has begun may pause. Our own control plane may be silent for as
    /// long as a follower of quiet logs has patience: it notices by itself when nobody is there.
    pub(crate) fn silence_limit(&self, limits: &Limits) -> Duration {
        match self.route {
            Some(Route::Control) => Duration::MAX,
            _ => limits.stream_idle_timeout,
        }
    }

    /// A body whose announced length is over the limit is refused before any of it is read.
    pub(crate) fn over_body_limit(&self, limits: &Limits) -> Option<Failure> {
        match (self.head.framing, limits.body_bytes_max) {
            (Framing::Length(length), Some(max)) if length > max => {
                Some(Failure::BodyTooLarge(max))
            }
            _ => None,
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
