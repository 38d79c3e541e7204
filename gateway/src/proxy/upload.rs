//! The request's way to the replica: what is left of its body, and then an eye on the client.

use std::{cell::Cell, future::pending, time::Duration};

use net::{Chunk, Either, Parting, Receiver, Sender, Timer, race};

use super::relay::{Progress, Request};
use crate::{failure::Failure, worker::Worker};

/// When the wait for an answer has taken this long, it is worth a descriptor and two operations
/// to learn whether the client is still there. Most answers come sooner and never pay for it.
const WATCH_AFTER: Duration = Duration::from_millis(50);

/// The client's side of the request.
pub(super) struct Near<'a> {
    pub(super) worker: &'a Worker,
    pub(super) timer: &'a Timer,
    pub(super) half_closed: &'a Cell<bool>,
    pub(super) progress: &'a Progress<'a>,
    /// The replica's time to begin its answer.
    pub(super) first_byte_timer: &'a Timer,
    pub(super) first_byte_limit: Duration,
}

impl Near<'_> {
    /// Sends the rest of the request, then watches the client. Ends only when there is no use in
    /// waiting for the answer any more.
    pub(super) async fn send_request(
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
            self.replicas_turn(true);
            if !piece.is_empty() {
                if to.send(piece).await.is_err() {
                    // The replica does not want more. Perhaps it has said why: its answer, or the
                    // end of its connection, is the other direction's to find.
                    return pending().await;
                }
                self.progress.went_on.set(true);
            }
            if pump.is_done() {
                break;
            }
            if rest.is_empty() {
                self.replicas_turn(false);
                rest = match self.receive(from).await {
                    Ok(chunk) => chunk,
                    Err(failure) => return failure,
                };
                self.progress.went_on.set(true);
            }
            piece = match pump.take(&mut rest) {
                Ok(piece) => piece,
                Err(error) => return error.into(),
            };
        }
        self.progress.behind_request.replace(Some(rest));
        self.watch(from).await
    }

    /// The replica's time to begin its answer runs while it has something to take or all of the
    /// request, not while the client is awaited.
    fn replicas_turn(&self, is_its_turn: bool) {
        if self.progress.answer_begun.get() {
            return;
        }
        if is_its_turn {
            self.first_byte_timer.set(self.first_byte_limit);
        } else {
            self.first_byte_timer.clear();
        }
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
        if watch.hung_up().await == Parting::Reset {
            return Failure::ClientGone;
        }
        self.half_closed.set(true);
        self.timer.set(self.worker.limits.half_close_timeout);
        self.timer.expired().await;
        Failure::ClientGone
    }
}
