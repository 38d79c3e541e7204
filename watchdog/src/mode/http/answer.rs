//! The answer's way back: its head judged and written anew, its body passed on, its end noticed.

use std::io;

use conduit::{BodyError, Passage, encode_interim, encode_switch};
use net::{Chunk, ChunkMut, Receiver, Sender};
use wire::{Method, Parsed, ResponseHead, Version};

use super::exchange::{Exchange, Stage};
use super::trouble::{Sent, Trouble};
use crate::limits::HEAD;
use crate::mode::head::{Dress, Opening};

/// The answer's way back.
pub(super) struct Answering<'a> {
    pub(super) exchange: &'a Exchange<'a>,
    pub(super) client: &'a mut Sender,
    /// Which process answers.
    pub(super) generation: u64,
    /// What it means for the request if the connection breaks.
    pub(super) sent: Sent,
}

/// The answer is through, or is none.
pub(super) enum Answered {
    /// It is through.
    Through {
        /// Whether the client's connection goes on.
        keep: bool,
        /// Whether the server's does, as far as the answer says.
        is_reusable: bool,
    },
    /// The protocol has changed; this was read behind the answer's head.
    Switched(Chunk),
}

impl Answering<'_> {
    pub(super) async fn run(&mut self, from: &mut Receiver) -> Result<Answered, Trouble> {
        let request = self.exchange.request;
        let method = match request.is_head {
            true => Method::HEAD,
            // All others are answered alike.
            false => Method::GET,
        };
        let mut unread = Chunk::default();
        loop {
            match wire::parse_response(&unread, method, &HEAD) {
                Ok(Parsed::Partial) => {
                    let more = self.receive(from).await?;
                    if more.is_empty() {
                        return Err(self.broken_off(io::ErrorKind::UnexpectedEof.into()));
                    }
                    unread = Chunk::joined(unread, more);
                }
                Ok(Parsed::Complete { head, len }) if head.status == 101 => {
                    let rest = unread.slice(len..unread.len());
                    return self.switch(&head, rest).await;
                }
                Ok(Parsed::Complete { head, len }) if head.status < 200 => {
                    // A client that waits for a 100 has had ours, and one of 1.0 knows none.
                    if head.status != 100 && request.version == Version::Http11 {
                        let mut out = ChunkMut::new();
                        encode_interim(&mut out, &head);
                        self.send(out.freeze()).await?;
                    }
                    unread.advance(len);
                }
                Ok(Parsed::Complete { head, len }) => {
                    let body = unread.slice(len..unread.len());
                    return self.answer(from, &head, body).await;
                }
                Err(error) => return Err(Trouble::BadAnswer(error)),
            }
        }
    }

    /// Passes the server's consent on. What follows is not HTTP any more.
    async fn switch(&mut self, head: &ResponseHead<'_>, rest: Chunk) -> Result<Answered, Trouble> {
        let is_agreed = self.exchange.request.offers_websocket
            && head.upgrade
            && self.exchange.progress.is_request_through();
        if !is_agreed {
            return Err(Trouble::BadAnswer(wire::Error::BadStatus));
        }
        let mut out = ChunkMut::new();
        encode_switch(&mut out, head);
        self.exchange.request.status.set(head.status);
        self.exchange.progress.set_stage(Stage::Answering);
        self.send(out.freeze()).await?;
        Ok(Answered::Switched(rest))
    }

    /// Sends head and body of the answer.
    async fn answer(
        &mut self,
        from: &mut Receiver,
        head: &ResponseHead<'_>,
        mut unread: Chunk,
    ) -> Result<Answered, Trouble> {
        let Exchange {
            service,
            request,
            deadline,
            progress,
            ..
        } = self.exchange;
        let passage = Passage::of(head.framing, request.version);
        let keep = request.keep_alive
            && passage.delimited
            && progress.is_request_through()
            && !service.is_stopping();
        let dress = Dress {
            passage,
            version: request.version,
            keep,
            took: deadline.elapsed(),
        };
        let opening = Opening::new(head, dress, &mut unread).map_err(bad_body)?;
        request.status.set(head.status);
        progress.set_stage(Stage::Answering);
        self.send(opening.head).await?;
        self.send(opening.piece).await?;
        let mut pump = opening.pump;

        while !pump.is_done() {
            if unread.is_empty() {
                unread = self.receive(from).await?;
            }
            let piece = match unread.is_empty() {
                true => pump.end(),
                false => pump.take(&mut unread),
            };
            self.send(piece.map_err(bad_body)?).await?;
        }
        // Within the time of the call, not after it.
        let sent = self.client.flush().await;
        sent.map_err(|_gone| Trouble::ClientGone)?;
        Ok(Answered::Through {
            keep,
            is_reusable: head.keep_alive && unread.is_empty(),
        })
    }

    async fn receive(&self, from: &mut Receiver) -> Result<Chunk, Trouble> {
        from.recv().await.map_err(|error| self.broken_off(error))
    }

    fn broken_off(&self, error: io::Error) -> Trouble {
        Trouble::BrokenOff {
            error,
            generation: self.generation,
            sent: self.sent,
        }
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), Trouble> {
        if chunk.is_empty() {
            return Ok(());
        }
        let sent = self.client.send(chunk).await;
        sent.map_err(|_gone| Trouble::ClientGone)
    }
}

fn bad_body(error: BodyError) -> Trouble {
    match error {
        BodyError::Malformed(error) => Trouble::BadAnswer(error),
        // No limit is set.
        BodyError::TooLarge(_) => Trouble::BadAnswer(wire::Error::ChunkTooLarge),
    }
}
