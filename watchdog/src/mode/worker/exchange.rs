//! One request on its way to a worker, and its answer on its way back, both at the same time.
//!
//! The body is collected first, so that no worker waits for a slow client. What is written is read
//! at the same time, since an answer may come before all of the request was taken. Whenever an
//! exchange ends in another way than with a whole answer to a request that was read to its end, the
//! worker is dropped, and that ends its process.

use std::cell::Cell;
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;

use conduit::Pump;
use net::{Chunk, ChunkMut, Either, PipeWriter, Sender, race};
use wire::encode;

use super::answer::{Answered, Answering, CAUSE_MAX, has_read_nothing};
use super::link::Worker;
use super::pool::Pool;
use super::trouble::Trouble;
use crate::deadline::Deadline;
use crate::input::Input;
use crate::limits::SLOW_CALL;
use crate::mode::collect::collect;
use crate::mode::first::First;
use crate::mode::head::end_collected;
use crate::request::Request;
use crate::service::Service;
use crate::timers::Timers;

/// How far a call has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The body is coming in.
    #[default]
    Collecting,
    /// No worker has it yet.
    Waiting,
    /// A worker has been sent something.
    Sent,
    /// The client has been sent a byte of the answer.
    Answering,
}

/// All that stays the same during an exchange.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) service: &'a Rc<Service>,
    pub(super) pool: &'a Rc<Pool>,
    pub(super) request: &'a Request,
    pub(super) deadline: &'a Deadline,
    pub(super) timers: &'a Timers,
    pub(super) stage: &'a Cell<Stage>,
}

/// The client's side of an exchange.
#[derive(Debug)]
pub(super) struct Near<'c> {
    pub(super) input: &'c mut Input,
    pub(super) body: &'c mut Pump,
    pub(super) sender: &'c mut Sender,
}

impl Exchange<'_> {
    /// Gives the request to a worker, and its answer to the client. Says whether the client's
    /// connection goes on.
    pub(super) async fn run(
        &self,
        mut head: ChunkMut,
        mut near: Near<'_>,
    ) -> Result<bool, Trouble> {
        // RFC 9110 §10.1.1: not if the body is on its way already.
        if self.request.expects_continue && near.input.pending().is_empty() && !near.body.is_done()
        {
            let sent = near.sender.send(Chunk::copied(encode::CONTINUE)).await;
            sent.map_err(|_gone| Trouble::ClientGone)?;
        }
        let body = collect(near.input, near.body, self.timers).await?;
        end_collected(&mut head, body.len());
        let whole = First::new(head, body, true);
        loop {
            self.stage.set(Stage::Waiting);
            let mut worker = self.take(near.input).await?;
            self.stage.set(Stage::Sent);
            match self.attempt(&mut worker, whole.clone(), &mut near).await {
                Ok(answered) => {
                    self.part(worker, &answered);
                    let sent = near.sender.flush().await;
                    sent.map_err(|_gone| Trouble::ClientGone)?;
                    return Ok(answered.keep);
                }
                // It had ended at the same moment, after good service. Another will do.
                Err(Trouble::NotTaken(_)) if worker.link.has_answered() => {}
                Err(trouble) => {
                    if matches!(trouble, Trouble::BadAnswer(_)) {
                        worker.blame("the answer of a worker breaks the protocol");
                    }
                    return Err(trouble);
                }
            }
        }
    }

    /// Gets a worker, which may take a while.
    async fn take(&self, input: &Input) -> Result<Worker, Trouble> {
        let taking = pin!(self.pool.take(self.service));
        let gone = pin!(input.gone(&self.timers.slow_client));
        match race(taking, gone).await {
            Either::First(taken) => taken.map_err(Trouble::Refused),
            Either::Second(()) => Err(Trouble::ClientGone),
        }
    }

    /// Sends the request to this worker and its answer to the client.
    async fn attempt(
        &self,
        worker: &mut Worker,
        whole: First,
        near: &mut Near<'_>,
    ) -> Result<Answered, Trouble> {
        let Worker {
            stdin,
            stdout,
            link,
            ..
        } = worker;
        // A pipe that is empty takes all of it at once; or, if the worker has ended, nothing.
        let before = stdin.written_bytes();
        if stdin.send(whole.head).await.is_err() {
            return Err(Trouble::NotTaken(link.end_within(CAUSE_MAX).await));
        }
        self.timers.slow_program.set(SLOW_CALL);
        let sent_all = Cell::new(false);
        let answered = {
            // Others may hold its output open after its end; nearly all calls end sooner.
            let fallen = pin!(async {
                self.timers.slow_program.expired().await;
                link.fallen().await;
            });
            let mut answering = Answering {
                exchange: self,
                client: near.sender,
                link,
                asked: (stdin, before),
                sent_all: &sent_all,
                has_read_all: false,
                fallen: Some(fallen),
            };
            let back = pin!(answering.run(stdout));
            let there = pin!(self.send_rest(whole.piece, stdin, near.input, &sent_all));
            // The request's direction first: when the answer is there at the first look, it must be
            // known already that all of the request was sent.
            match race(there, back).await {
                Either::First(trouble) => Err(trouble),
                Either::Second(answered) => answered,
            }
        };
        match answered {
            Ok(answered) => Ok(Answered {
                // Mostly it is known from the beginning of the answer.
                has_all: sent_all.get() && (answered.has_all || is_drained(stdin)),
                ..answered
            }),
            // It has ended, and what it was sent is still in the pipe, to the last byte.
            Err(Trouble::WentDown(Some(how))) if has_read_nothing(stdin, before) => {
                Err(Trouble::NotTaken(Some(how)))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Sends the rest of the request, then watches the client. Ends only when there is no use in
    /// waiting for the answer any more.
    async fn send_rest(
        &self,
        body: Chunk,
        to: &PipeWriter,
        input: &Input,
        sent_all: &Cell<bool>,
    ) -> Trouble {
        if !body.is_empty() {
            let sending = pin!(to.send(body));
            let gone = pin!(input.gone(&self.timers.slow_client));
            match race(sending, gone).await {
                Either::First(Ok(())) => {}
                // The worker wants no more. Perhaps it says why, or ends: the other direction sees it.
                Either::First(Err(_)) => return pending().await,
                Either::Second(()) => return Trouble::ClientGone,
            }
        }
        sent_all.set(true);
        input.gone(&self.timers.slow_client).await;
        Trouble::ClientGone
    }

    /// After a whole answer: whether this worker can be given another request.
    fn part(&self, mut worker: Worker, answered: &Answered) {
        let answers = worker.count_answer();
        if answered.has_more {
            worker.blame("a worker wrote more than its answer");
        } else if !answered.has_all {
            // What it has not read would be taken for the next request. It is ended.
        } else if answered.goes_on {
            self.pool.put_back(worker, answers);
        } else {
            worker.retire();
        }
    }
}

fn is_drained(pipe: &PipeWriter) -> bool {
    matches!(pipe.unread_bytes(), Ok(0))
}
