//! The two directions of an exchange, run at the same time: the rest of the request's body to
//! the replica, the answer to the client.
//!
//! The exchange ends with the answer. An answer may come before the request's body is through (a
//! function that refuses a large upload, say); the client then gets it and is parted from. When
//! the body is through, this side watches whether the client is still there.

use std::{
    cell::{Cell, RefCell},
    future::pending,
    io,
    sync::Arc,
    time::Duration,
};

use net::{Chunk, ChunkMut, Either, Receiver, Sender, Timer, race};
use wire::{Framing, Parsed, ResponseHead, Version};

use super::{
    Answered, Call, Failed, Sent,
    body::{Pump, Reframe},
    head::{Dress, encode_answer, encode_interim},
};
use crate::{
    failure::Failure,
    pool::Upstream,
    snapshot::Replica,
    worker::{Client, Next, Worker},
};

/// When the wait for an answer has taken this long, it is worth a descriptor and two operations
/// to learn whether the client is still there. Most answers come sooner and never pay for it.
const WATCH_AFTER: Duration = Duration::from_millis(50);

/// The replica's end.
#[derive(Debug)]
pub(crate) struct Far<'s> {
    pub(crate) upstream: Upstream,
    pub(crate) replica: &'s Arc<Replica>,
    /// From the end of the request to the beginning of the answer.
    pub(crate) limit: Duration,
}

/// What is left of the request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) pump: Pump,
    /// Read, taken and to be sent.
    pub(crate) first: Chunk,
    /// Read, and not looked at yet.
    pub(crate) rest: Chunk,
}

/// What the two directions tell each other.
#[derive(Debug, Default)]
struct Progress {
    /// The request is through, and this was read behind it.
    behind_request: RefCell<Option<Chunk>>,
    /// The client has been sent a byte of the answer.
    answer_begun: Cell<bool>,
}

/// Relays until the answer is through or something breaks.
pub(crate) async fn relay(
    worker: &Worker,
    client: &mut Client,
    call: &Call<'_>,
    far: Far<'_>,
    request: Request,
) -> Result<Answered, Failed> {
    let Far {
        mut upstream,
        replica,
        limit,
    } = far;
    let progress = Progress::default();
    let near = Near {
        worker,
        timer: &client.timer,
        half_closed: &client.half_closed,
        progress: &progress,
        first_byte_timer: &upstream.timer,
        first_byte_limit: limit,
    };
    let there = near.send_request(&mut client.receiver, &mut upstream.stream.sender, request);
    let mut answering = Answering {
        worker,
        call,
        client: &mut client.sender,
        timer: &upstream.timer,
        half_closed: &client.half_closed,
        client_timer: &client.timer,
        progress: &progress,
        first_byte_limit: limit,
    };
    let back = answering.run(&mut upstream.stream.receiver);
    let ended = match race(back, there).await {
        Either::First(answer) => answer,
        Either::Second(failure) => Err(failure),
    };
    let answer_begun = progress.answer_begun.get();
    let done = ended.map_err(|failure| Failed {
        failure,
        sent: if upstream.reused {
            Sent::OnReused
        } else {
            Sent::OnFresh
        },
        answer_begun,
    })?;

    let behind = progress.behind_request.take();
    if done.upstream_reusable && behind.is_some() {
        worker
            .pool
            .put(replica, upstream, &worker.limits, &worker.cells);
    }
    let next = match behind {
        Some(rest) if done.keep_alive => Next::Request(rest),
        Some(rest) if rest.is_empty() => Next::Close,
        _ => Next::Linger,
    };
    Ok(Answered {
        status: done.status,
        next,
    })
}

/// The client's side of the request.
struct Near<'a> {
    worker: &'a Worker,
    timer: &'a Timer,
    half_closed: &'a Cell<bool>,
    progress: &'a Progress,
    /// The replica's time to begin its answer.
    first_byte_timer: &'a Timer,
    first_byte_limit: Duration,
}

impl Near<'_> {
    /// Sends the rest of the request, then watches the client. Ends only when there is no use in
    /// waiting for the answer any more.
    async fn send_request(
        &self,
        from: &mut Receiver,
        to: &mut Sender,
        request: Request,
    ) -> Failure {
        let Request {
            mut pump,
            first,
            mut rest,
        } = request;
        let mut piece = first;
        loop {
            // The replica's time to answer begins anew with each piece that it gets.
            if !self.progress.answer_begun.get() {
                self.first_byte_timer.set(self.first_byte_limit);
            }
            if !piece.is_empty() && to.send(piece).await.is_err() {
                // The replica does not want more. Perhaps it has said why: its answer, or the
                // end of its connection, is the other direction's to find.
                return pending().await;
            }
            if pump.is_done() {
                break;
            }
            if rest.is_empty() {
                rest = match self.receive(from).await {
                    Ok(chunk) => chunk,
                    Err(failure) => return failure,
                };
            }
            piece = match pump.take(&mut rest) {
                Ok(piece) => piece,
                Err(failure) => return failure,
            };
        }
        self.progress.behind_request.replace(Some(rest));
        self.watch(from).await
    }

    async fn receive(&self, from: &mut Receiver) -> Result<Chunk, Failure> {
        let limit = self.worker.limits.body_timeout;
        self.timer.set(limit);
        match race(from.recv(), self.timer.expired()).await {
            Either::First(Ok(chunk)) if !chunk.is_empty() => Ok(chunk),
            Either::First(_closed) => Err(Failure::ClientGone),
            Either::Second(()) => Err(Failure::BodyTimeout(limit)),
        }
    }

    /// Ends when the client has gone. One that has only closed its sending side gets a little
    /// time, which begins anew with each piece of the answer: from here, the two look the same.
    async fn watch(&self, from: &Receiver) -> Failure {
        self.timer.set(WATCH_AFTER);
        self.timer.expired().await;
        let Ok(watch) = from.watch() else {
            // No descriptor is left for it: then the next write will tell.
            return pending().await;
        };
        watch.hung_up().await;
        self.half_closed.set(true);
        self.timer.set(self.worker.limits.half_close_timeout);
        self.timer.expired().await;
        Failure::ClientGone
    }
}

/// The answer's way back.
struct Answering<'a> {
    worker: &'a Worker,
    call: &'a Call<'a>,
    client: &'a mut Sender,
    /// The deadline of the answer.
    timer: &'a Timer,
    half_closed: &'a Cell<bool>,
    client_timer: &'a Timer,
    progress: &'a Progress,
    first_byte_limit: Duration,
}

/// The answer is through.
struct Done {
    status: u16,
    upstream_reusable: bool,
    keep_alive: bool,
}

impl Answering<'_> {
    async fn run(&mut self, from: &mut Receiver) -> Result<Done, Failure> {
        let mut unread = Chunk::default();
        let limits = self.worker.wire_limits;
        loop {
            match wire::parse_response(&unread, self.call.head.method, &limits) {
                Ok(Parsed::Partial) => {
                    let more = self.receive_head(from).await?;
                    unread = if unread.is_empty() {
                        more
                    } else {
                        let mut both = ChunkMut::new();
                        both.extend_from_slice(&unread);
                        both.extend_from_slice(&more);
                        both.freeze()
                    };
                }
                Ok(Parsed::Complete { head, len }) if head.status == 101 => {
                    // We never ask to switch protocols, and `len` bytes on it is not HTTP.
                    let _ = len;
                    return Err(Failure::BadAnswer(wire::Error::BadStatus));
                }
                Ok(Parsed::Complete { head, len }) if head.status < 200 => {
                    self.pass_interim(&head).await?;
                    unread.advance(len);
                }
                Ok(Parsed::Complete { head, len }) => {
                    let body = unread.slice(len..unread.len());
                    return self.answer(from, &head, body).await;
                }
                Err(error) => return Err(Failure::BadAnswer(error)),
            }
        }
    }

    async fn receive_head(&self, from: &mut Receiver) -> Result<Chunk, Failure> {
        match race(from.recv(), self.timer.expired()).await {
            Either::First(Ok(chunk)) if !chunk.is_empty() => Ok(chunk),
            Either::First(Ok(_end)) => Err(Failure::BrokenOff(io::ErrorKind::UnexpectedEof.into())),
            Either::First(Err(error)) => Err(Failure::BrokenOff(error)),
            Either::Second(()) => Err(Failure::UpstreamTimeout(self.first_byte_limit)),
        }
    }

    async fn pass_interim(&mut self, head: &ResponseHead<'_>) -> Result<(), Failure> {
        // A client that waits for a 100 has had ours, and one of 1.0 knows no such thing.
        if head.status == 100 || self.call.head.version == Version::Http10 {
            return Ok(());
        }
        let mut out = ChunkMut::new();
        encode_interim(&mut out, head);
        self.send(out.freeze()).await
    }

    /// Sends head and body of the answer.
    async fn answer(
        &mut self,
        from: &mut Receiver,
        head: &ResponseHead<'_>,
        mut unread: Chunk,
    ) -> Result<Done, Failure> {
        let is_http11 = self.call.head.version == Version::Http11;
        let (reframe, chunked, delimited) = match head.framing {
            Framing::Chunked if is_http11 => (Reframe::Keep, true, true),
            Framing::Chunked => (Reframe::Bare, false, false),
            Framing::UntilClose if is_http11 => (Reframe::Chunks, true, true),
            Framing::UntilClose => (Reframe::Keep, false, false),
            Framing::None | Framing::Length(_) => (Reframe::Keep, false, true),
        };
        let keep_alive = self.call.head.keep_alive
            && delimited
            && self.progress.behind_request.borrow().is_some()
            && !self.worker.shared.is_draining();

        let mut out = ChunkMut::new();
        let dress = Dress {
            chunked,
            keep_alive,
            date: &self.worker.clock.date(),
        };
        encode_answer(&mut out, self.call, head, dress);
        let mut pump = Pump::new(head.framing, reframe, None);
        let mut piece = pump.take(&mut unread).map_err(as_answers_fault)?;
        // One write for both where that needs no large copy.
        if piece.len() <= out.room() {
            out.extend_from_slice(&piece);
            piece = Chunk::default();
        }
        self.send(out.freeze()).await?;
        self.send(piece).await?;

        while !pump.is_done() {
            if unread.is_empty() {
                unread = self.receive_body(from).await?;
            }
            let piece = if unread.is_empty() {
                pump.end()
            } else {
                pump.take(&mut unread)
            };
            self.send(piece.map_err(as_answers_fault)?).await?;
        }
        Ok(Done {
            status: head.status,
            upstream_reusable: head.keep_alive && unread.is_empty(),
            keep_alive,
        })
    }

    async fn receive_body(&self, from: &mut Receiver) -> Result<Chunk, Failure> {
        let limit = self.worker.limits.stream_idle_timeout;
        self.timer.set(limit);
        match race(from.recv(), self.timer.expired()).await {
            Either::First(Ok(chunk)) => Ok(chunk),
            Either::First(Err(error)) => Err(Failure::BrokenOff(error)),
            Either::Second(()) => Err(Failure::UpstreamTimeout(limit)),
        }
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), Failure> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.progress.answer_begun.set(true);
        self.timer.set(self.worker.limits.body_timeout);
        let sent = race(self.client.send(chunk), self.timer.expired()).await;
        if self.half_closed.get() {
            self.client_timer.set(self.worker.limits.half_close_timeout);
        }
        match sent {
            Either::First(Ok(())) => Ok(()),
            _ => Err(Failure::ClientGone),
        }
    }
}

/// What the codec found wrong in an answer is the replica's doing.
fn as_answers_fault(failure: Failure) -> Failure {
    match failure {
        Failure::Malformed(error) => Failure::BadAnswer(error),
        other => other,
    }
}
