//! One request on its way to the function's own server, and its answer on its way back, both at the
//! same time.
//!
//! The exchange ends with the answer. An answer may come before the request's body is through (a
//! function that refuses a large upload, say); the client then gets it and is parted from. When the
//! body is through, this side watches whether the client is still there: the connection of one that
//! has gone is closed, so that the function can notice.

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use conduit::Pump;
use net::{Chunk, ChunkMut, Either, Sender, Stream, race};
use wire::encode;

use super::answer::{Answered, Answering};
use super::function::{Function, Upstream};
use super::trouble::{Sent, Trouble};
use crate::deadline::Deadline;
use crate::input::Input;
use crate::mode::collect::{collect, receive};
use crate::mode::first::First;
use crate::mode::head::end_collected;
use crate::request::Request;
use crate::service::Service;
use crate::timers::Timers;

/// How far a call has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no connection to the server yet.
    #[default]
    Connecting,
    /// The server has been sent something.
    Sent,
    /// The client has been sent a byte of the answer.
    Answering,
}

/// What the two directions tell each other, and those who wait for them.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: Cell<Stage>,
    /// All of the request has been sent.
    request_through: Cell<bool>,
}

impl Progress {
    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.set(stage);
    }

    pub(super) fn is_request_through(&self) -> bool {
        self.request_through.get()
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Done {
    /// The answer is through.
    Answered {
        /// Whether the client's connection goes on.
        keep: bool,
    },
    /// The protocol has changed; this was read behind the answer's head.
    Switched(Upstream, Chunk),
}

/// All that stays the same during an exchange.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) service: &'a Service,
    pub(super) function: &'a Rc<Function>,
    pub(super) request: &'a Request,
    pub(super) deadline: &'a Deadline,
    pub(super) timers: &'a Timers,
    pub(super) progress: &'a Progress,
}

/// The client's side of an exchange.
#[derive(Debug)]
pub(super) struct Near<'c> {
    pub(super) input: &'c mut Input,
    pub(super) body: &'c mut Pump,
    pub(super) sender: &'c mut Sender,
}

impl Exchange<'_> {
    /// Sends the request, again if need be and allowed, and its answer to the client.
    pub(super) async fn run(
        &self,
        mut head: ChunkMut,
        mut near: Near<'_>,
    ) -> Result<Done, Trouble> {
        // RFC 9110 §10.1.1: not if the body is on its way already.
        let mut asks = self.request.expects_continue && near.input.pending().is_empty();
        let mut first = if self.function.collects_bodies && !near.body.is_done() {
            if std::mem::take(&mut asks) {
                ask(near.sender).await?;
            }
            let whole = collect(near.input, near.body, self.timers).await?;
            end_collected(&mut head, whole.len());
            First::new(head, whole, true)
        } else {
            let piece = near.input.ready_body(near.body);
            let piece = piece.map_err(Trouble::BadInput)?.unwrap_or_default();
            First::new(head, piece, near.body.is_done())
        };
        let mut is_again = false;
        loop {
            let upstream = self.checkout(near.input, is_again).await?;
            // Asked for only now: a client that waits for it has sent nothing to a dead server.
            if std::mem::take(&mut asks) {
                ask(near.sender).await?;
            }
            self.progress.stage.set(Stage::Sent);
            // A fresh connection that breaks is told to the client, so nothing need be kept.
            let kept = upstream.reused.then(|| first.clone());
            let outcome = self.attempt(upstream, first, &mut near).await;
            match (outcome, kept) {
                (Err(Trouble::BrokenOff { sent, .. }), Some(kept))
                    if self.may_send_again(sent, kept.is_whole) =>
                {
                    first = kept;
                    is_again = true;
                }
                (outcome, _) => return outcome,
            }
        }
    }

    fn may_send_again(&self, sent: Sent, is_whole: bool) -> bool {
        self.progress.stage() != Stage::Answering
            && sent.may_be_sent_again(self.request.is_idempotent, is_whole)
    }

    /// Gets a connection on which nothing of this request has been sent.
    async fn checkout(&self, input: &Input, is_again: bool) -> Result<Upstream, Trouble> {
        // What has met one dead connection may meet another.
        if !is_again && let Some(upstream) = self.function.idle_connection() {
            return Ok(upstream);
        }
        let connecting = pin!(self.function.connect());
        let gone = pin!(input.gone(&self.timers.slow_client));
        match race(connecting, gone).await {
            Either::First(connected) => connected,
            Either::Second(()) => Err(Trouble::ClientGone),
        }
    }

    /// Sends the request on this connection and its answer to the client.
    async fn attempt(
        &self,
        mut upstream: Upstream,
        first: First,
        near: &mut Near<'_>,
    ) -> Result<Done, Trouble> {
        let generation = upstream.generation;
        let sender = &mut upstream.stream.sender;
        let sent = match sender.send(first.head).await {
            Ok(()) => sender.flush().await,
            error => error,
        };
        if let Err(error) = sent {
            let sent = Sent::first_write(sender.is_refused(), upstream.reused);
            return Err(Trouble::BrokenOff {
                error,
                generation,
                sent,
            });
        }
        self.progress.request_through.set(false);
        let answered = {
            let Stream { receiver, sender } = &mut upstream.stream;
            let there = pin!(self.send_rest(first.piece, near.input, near.body, sender));
            let mut answering = Answering {
                exchange: self,
                client: near.sender,
                generation,
                sent: Sent::something(upstream.reused),
            };
            let back = pin!(answering.run(receiver));
            // The request's direction first: an answer that is ready at the first look (epoll tries
            // before it waits) must find that the request is through, or the connection is given up.
            match race(there, back).await {
                Either::First(trouble) => return Err(trouble),
                Either::Second(answered) => answered?,
            }
        };
        match answered {
            Answered::Switched(unread) => Ok(Done::Switched(upstream, unread)),
            Answered::Through { keep, is_reusable } => {
                if is_reusable && self.progress.is_request_through() {
                    self.function.put_back(upstream);
                }
                Ok(Done::Answered { keep })
            }
        }
    }

    /// Sends the rest of the request, then watches the client. Ends only when there is no use in
    /// waiting for the answer any more.
    async fn send_rest(
        &self,
        mut piece: Chunk,
        input: &mut Input,
        body: &mut Pump,
        to: &mut Sender,
    ) -> Trouble {
        loop {
            if !piece.is_empty() {
                let began = Instant::now();
                if to.send(piece).await.is_err() {
                    // The server does not want more. Perhaps it has said why: its answer, or the
                    // end of its connection, is the other direction's to find.
                    return pending().await;
                }
                // The time that it took is not the client's fault.
                self.timers.read.postpone(began.elapsed());
            }
            piece = match receive(input, body, self.timers).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => return error.into(),
            };
        }
        self.progress.request_through.set(true);
        input.gone(&self.timers.slow_client).await;
        Trouble::ClientGone
    }
}

/// Asks the client for the body.
async fn ask(client: &mut Sender) -> Result<(), Trouble> {
    let sent = client.send(Chunk::copied(encode::CONTINUE)).await;
    sent.map_err(|_gone| Trouble::ClientGone)
}
