//! A worker's answer: its head judged and written anew, its body passed on, its end found.

use std::cell::Cell;
use std::pin::Pin;
use std::time::Duration;

use conduit::{BodyError, Passage};
use net::{Chunk, Either, PipeReader, PipeWriter, Sender, race};
use wire::{Framing, Method, Parsed, ResponseHead};

use super::exchange::{Exchange, Stage};
use super::link::Link;
use super::trouble::Trouble;
use crate::limits::HEAD;
use crate::mode::head::{Dress, Opening};

/// After a worker's output ended, how long the end of the process is waited for, to be named as the
/// cause.
pub(super) const CAUSE_MAX: Duration = Duration::from_millis(200);

/// An answer on its way to the client.
pub(super) struct Answering<'a, F> {
    pub(super) exchange: &'a Exchange<'a>,
    pub(super) client: &'a mut Sender,
    pub(super) link: &'a Link,
    /// Where the request is read from, and what had been written there before it.
    pub(super) asked: (&'a PipeWriter, u64),
    /// All of the request has been written.
    pub(super) sent_all: &'a Cell<bool>,
    /// All of it had been read when the answer began.
    pub(super) has_read_all: bool,
    /// The end of the process, for one whose output others hold open. None once it was seen.
    pub(super) fallen: Option<Pin<&'a mut F>>,
}

/// How an answer ended.
#[derive(Debug)]
pub(super) struct Answered {
    /// Whether the client's connection goes on.
    pub(super) keep: bool,
    /// Whether the worker wants to be given another request.
    pub(super) goes_on: bool,
    /// It has read all of its request.
    pub(super) has_all: bool,
    /// It wrote more than its answer.
    pub(super) has_more: bool,
}

impl<F: Future<Output = ()>> Answering<'_, F> {
    pub(super) async fn run(&mut self, from: &mut PipeReader) -> Result<Answered, Trouble> {
        let method = match self.exchange.request.is_head {
            true => Method::HEAD,
            // All others are answered alike.
            false => Method::GET,
        };
        let mut unread = Chunk::default();
        loop {
            match wire::parse_response(&unread, method, &HEAD) {
                Ok(Parsed::Partial) => {
                    let more = self.receive(from).await?;
                    unread = Chunk::joined(unread, more);
                }
                Ok(Parsed::Complete { head, .. }) if head.status == 101 => {
                    return Err(bad("status 101: no other protocol was offered"));
                }
                // Interim answers are hints, and this client was told what it needs.
                Ok(Parsed::Complete { head, len }) if head.status < 200 => unread.advance(len),
                Ok(Parsed::Complete { head, .. }) if head.framing == Framing::UntilClose => {
                    return Err(bad(
                        "it has neither Content-Length nor Transfer-Encoding: chunked",
                    ));
                }
                // What was written behind the last answer, say, which this client must not see.
                Ok(Parsed::Complete { .. }) if self.is_unread() => {
                    return Err(bad("it came before anything of the request was read"));
                }
                Ok(Parsed::Complete { head, len }) => {
                    let body = unread.slice(len..unread.len());
                    return self.answer(from, &head, body).await;
                }
                Err(error) => return Err(bad(error)),
            }
        }
    }

    /// Sends head and body of the answer.
    async fn answer(
        &mut self,
        from: &mut PipeReader,
        head: &ResponseHead<'_>,
        mut unread: Chunk,
    ) -> Result<Answered, Trouble> {
        let Exchange {
            service,
            request,
            deadline,
            stage,
            ..
        } = self.exchange;
        let passage = Passage::of(head.framing, request.version);
        let keep = request.keep_alive && passage.delimited && !service.is_stopping();
        let dress = Dress {
            passage,
            version: request.version,
            keep,
            took: deadline.elapsed(),
        };
        let opening = Opening::new(head, dress, &mut unread).map_err(bad_body)?;
        request.status.set(head.status);
        stage.set(Stage::Answering);
        self.send(opening.head).await?;
        self.send(opening.piece).await?;
        let mut pump = opening.pump;
        while !pump.is_done() {
            if unread.is_empty() {
                unread = self.receive(from).await?;
            }
            let piece = pump.take(&mut unread).map_err(bad_body)?;
            self.send(piece).await?;
        }
        Ok(Answered {
            keep,
            goes_on: head.keep_alive,
            has_all: self.has_read_all,
            has_more: !unread.is_empty(),
        })
    }

    /// The next bytes of the worker.
    async fn receive(&mut self, from: &mut PipeReader) -> Result<Chunk, Trouble> {
        let Some(fallen) = &mut self.fallen else {
            // It has ended: what it wrote is in the pipe, and nothing else is waited for.
            return match from.try_recv() {
                Ok(Some(bytes)) if !bytes.is_empty() => Ok(bytes),
                _ => Err(self.went_down().await),
            };
        };
        match race(from.recv(), fallen.as_mut()).await {
            Either::First(Ok(bytes)) if !bytes.is_empty() => Ok(bytes),
            Either::First(_) => Err(self.went_down().await),
            Either::Second(()) => {
                self.fallen = None;
                Box::pin(self.receive(from)).await
            }
        }
    }

    /// Whether the worker has read nothing of the request.
    fn is_unread(&mut self) -> bool {
        let (pipe, before) = self.asked;
        self.has_read_all = self.sent_all.get() && matches!(pipe.unread_bytes(), Ok(0));
        has_read_nothing(pipe, before)
    }

    async fn went_down(&self) -> Trouble {
        Trouble::WentDown(self.link.end_within(CAUSE_MAX).await)
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), Trouble> {
        if chunk.is_empty() {
            return Ok(());
        }
        let sent = self.client.send(chunk).await;
        sent.map_err(|_gone| Trouble::ClientGone)
    }
}

/// Whether all that was written to the pipe since `before` bytes had been is still in it.
pub(super) fn has_read_nothing(pipe: &PipeWriter, before: u64) -> bool {
    pipe.unread_bytes()
        .is_ok_and(|bytes| bytes as u64 == pipe.written_bytes() - before)
}

fn bad(what: impl ToString) -> Trouble {
    Trouble::BadAnswer(what.to_string())
}

fn bad_body(error: BodyError) -> Trouble {
    bad(error)
}
