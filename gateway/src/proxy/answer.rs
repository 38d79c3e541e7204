//! The answer's way back: its head judged and written anew, its body passed on, its end noticed.

use std::{cell::Cell, io, time::Duration};

use conduit::{BodyError, Passage, Pump, encode_interim, encode_switch, offered_protocol};
use net::{Chunk, ChunkMut, Either, Receiver, Sender, Timer, race};
use wire::{Parsed, ResponseHead, Version};

use super::{
    Call,
    head::{Dress, encode_answer},
    relay::Progress,
};
use crate::{failure::Failure, worker::Worker};

/// The answer's way back.
pub(super) struct Answering<'a> {
    pub(super) worker: &'a Worker,
    pub(super) call: &'a Call<'a>,
    pub(super) client: &'a mut Sender,
    /// The deadline of the answer.
    pub(super) timer: &'a Timer,
    pub(super) half_closed: &'a Cell<bool>,
    pub(super) client_timer: &'a Timer,
    pub(super) progress: &'a Progress<'a>,
    pub(super) first_byte_limit: Duration,
    pub(super) silence_limit: Duration,
}

/// The answer is through.
pub(super) struct Done {
    pub(super) status: u16,
    pub(super) upstream_reusable: bool,
    pub(super) keep_alive: bool,
    /// The protocol has changed; this was read behind the answer's head.
    pub(super) switched: Option<Chunk>,
}

impl Answering<'_> {
    pub(super) async fn run(&mut self, from: &mut Receiver) -> Result<Done, Failure> {
        let mut unread = Chunk::default();
        let limits = self.worker.wire_limits;
        loop {
            match wire::parse_response(&unread, self.call.head.method, &limits) {
                Ok(Parsed::Partial) => {
                    let more = self.receive_head(from).await?;
                    unread = Chunk::joined(unread, more);
                }
                Ok(Parsed::Complete { head, len }) if head.status == 101 => {
                    let rest = unread.slice(len..unread.len());
                    return self.switch(&head, rest).await;
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

    /// Passes the replica's consent on. What follows is not HTTP any more.
    async fn switch(&mut self, head: &ResponseHead<'_>, rest: Chunk) -> Result<Done, Failure> {
        let was_offered = offered_protocol(self.call.head).is_some();
        if !was_offered || !head.upgrade || self.progress.behind_request.borrow().is_none() {
            return Err(Failure::BadAnswer(wire::Error::BadStatus));
        }
        let mut out = ChunkMut::new();
        encode_switch(&mut out, head);
        self.send(out.freeze()).await?;
        Ok(Done {
            status: head.status,
            upstream_reusable: false,
            keep_alive: false,
            switched: Some(rest),
        })
    }

    async fn receive_head(&self, from: &mut Receiver) -> Result<Chunk, Failure> {
        match race(from.recv(), self.timer.expired()).await {
            Either::First(Ok(chunk)) if !chunk.is_empty() => Ok(chunk),
            Either::First(Ok(_end)) => Err(Failure::BrokenOff(io::ErrorKind::UnexpectedEof.into())),
            Either::First(Err(error)) => Err(Failure::BrokenOff(error)),
            Either::Second(()) => Err(Failure::FirstByteTimeout(self.first_byte_limit)),
        }
    }

    /// An interim answer changes nothing: the replica still has to begin its answer in time, and
    /// until it does, the client can still be told that it failed.
    async fn pass_interim(&mut self, head: &ResponseHead<'_>) -> Result<(), Failure> {
        // A client that waits for a 100 has had ours, and one of 1.0 knows no such thing.
        if head.status == 100 || self.call.head.version == Version::Http10 {
            return Ok(());
        }
        let mut out = ChunkMut::new();
        encode_interim(&mut out, head);
        self.write(out.freeze()).await?;
        self.timer.set(self.first_byte_limit);
        Ok(())
    }

    /// Sends head and body of the answer.
    async fn answer(
        &mut self,
        from: &mut Receiver,
        head: &ResponseHead<'_>,
        mut unread: Chunk,
    ) -> Result<Done, Failure> {
        let passage = Passage::of(head.framing, self.call.head.version);
        let keep_alive = self.call.keep_alive
            && passage.delimited
            && self.progress.behind_request.borrow().is_some()
            && !self.worker.shared.is_draining();

        let mut out = ChunkMut::new();
        let dress = Dress {
            chunked: passage.chunked,
            keep_alive,
            date: &self.worker.clock.date(),
        };
        encode_answer(&mut out, self.call, head, dress);
        let mut pump = Pump::new(head.framing, passage.reframe, None);
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
            switched: None,
        })
    }

    async fn receive_body(&self, from: &mut Receiver) -> Result<Chunk, Failure> {
        self.timer.set(self.silence_limit);
        match race(from.recv(), self.timer.expired()).await {
            Either::First(Ok(chunk)) => Ok(chunk),
            Either::First(Err(error)) => Err(Failure::BrokenOff(error)),
            Either::Second(()) => Err(Failure::StreamIdle(self.silence_limit)),
        }
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), Failure> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.progress.answer_begun.set(true);
        self.write(chunk).await
    }

    async fn write(&mut self, chunk: Chunk) -> Result<(), Failure> {
        let limit = self.worker.limits.body_timeout;
        let sent = self.client.send_within(chunk, self.timer, limit).await;
        if self.half_closed.get() {
            self.client_timer.set(self.worker.limits.half_close_timeout);
        }
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Failure::ClientStalled(limit),
            _ => Failure::ClientGone,
        })
    }
}

/// What the codec found wrong in an answer is the replica's doing.
fn as_answers_fault(error: BodyError) -> Failure {
    match error {
        BodyError::Malformed(error) => Failure::BadAnswer(error),
        too_large @ BodyError::TooLarge(_) => too_large.into(),
    }
}
