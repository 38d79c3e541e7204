//! The near side of a connection: the client's bytes, its deadline, its address, and how to part.

use std::{
    cell::Cell,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use net::{Chunk, Either, Receiver, Sender, Stream, Timer, race};

use super::{Worker, connection::Pause, drain::Seat};
use crate::{
    failure::{Failure, Reason},
    limits::Limits,
};

/// How long the rest of an unwanted body is read after the answer has been sent, and for how long a
/// pause in it is waited. Closing earlier would reset the connection, and a reset destroys what of
/// the answer the client has not taken yet (RFC 9112, 9.6); so the bound is a time, not a number of
/// bytes that a fast sender is over at once.
const LINGER_MAX: Duration = Duration::from_secs(5);
const LINGER_PAUSE: Duration = Duration::from_secs(1);

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) receiver: Receiver,
    pub(crate) sender: Sender,
    /// The deadline of whatever we wait for from the client.
    pub(crate) timer: Timer,
    /// The client has closed its sending side but may still read.
    pub(crate) half_closed: Cell<bool>,
    /// The client's address as text, empty on a Unix socket.
    pub(crate) address: Box<str>,
    pub(super) seat: Seat,
}

impl Client {
    pub(super) fn new(stream: Stream, peer: Option<SocketAddr>, seat: Seat) -> Self {
        Self {
            receiver: stream.receiver,
            sender: stream.sender,
            timer: Timer::new(),
            half_closed: Cell::new(false),
            address: peer.map_or_else(Box::default, |peer| {
                peer.ip().to_canonical().to_string().into_boxed_str()
            }),
            seat,
        }
    }

    /// Waits for the first bytes of a request, for as long as a connection may be idle.
    ///
    /// # Errors
    /// How to part where none come.
    pub(super) async fn wake_up(&mut self, worker: &Worker) -> Result<Chunk, Pause> {
        self.timer.set(worker.limits.idle_timeout);
        self.seat.set_idle(true);
        match race(self.receiver.recv(), self.timer.expired()).await {
            Either::First(Ok(chunk)) if !chunk.is_empty() => {
                self.seat.set_idle(false);
                self.head_begins(&worker.limits);
                Ok(chunk)
            }
            Either::First(_closed) => Err(Pause::Close),
            Either::Second(()) => {
                // The end of the last answer has had all that time to be taken.
                worker.cells.failed(match self.sender.is_flushed() {
                    true => Reason::IdleTimeout,
                    false => Reason::ClientStalled,
                });
                Err(Pause::BreakOff)
            }
        }
    }

    /// Adds the next bytes to a head of which `have` has come, until it is worth another look. `None` is
    /// the end of the connection.
    pub(super) async fn more_of_head(
        &mut self,
        worker: &Worker,
        mut have: Chunk,
    ) -> Result<Option<Chunk>, Failure> {
        let limits = &worker.limits;
        loop {
            match race(self.receiver.recv(), self.timer.expired()).await {
                Either::First(Ok(chunk)) if !chunk.is_empty() => {
                    let is_worth_a_look = may_decide(have.len(), &chunk, limits);
                    have = Chunk::joined(have, chunk);
                    if is_worth_a_look {
                        return Ok(Some(have));
                    }
                }
                Either::First(_closed) => return Ok(None),
                Either::Second(()) => return Err(Failure::HeadTimeout(limits.head_timeout)),
            }
        }
    }

    /// Lets the time for a request's head run: its first bytes are here.
    pub(super) fn head_begins(&self, limits: &Limits) {
        self.timer.set(limits.head_timeout);
    }

    /// Sends, giving up after `limit`.
    pub(crate) async fn send(&mut self, chunk: Chunk, limit: Duration) -> io::Result<()> {
        self.sender.send_within(chunk, &self.timer, limit).await
    }

    /// Waits until the client has taken what is on its way to it, for as long as `limit`, and tells
    /// whether it has. A driver may take an answer's end over before the kernel does, so that its
    /// failure is seen, and counted, only here.
    pub(super) async fn hand_over(&mut self, worker: &Worker, limit: Duration) -> bool {
        if self.sender.is_flushed() {
            return true;
        }
        self.timer.set(limit);
        let failed = match race(self.sender.flush(), self.timer.expired()).await {
            Either::First(Ok(())) => return true,
            Either::First(Err(_gone)) => Reason::ClientGone,
            Either::Second(()) => Reason::ClientStalled,
        };
        worker.cells.failed(failed);
        false
    }

    /// Parts from a client that may still be sending. The rest of what is on its way to it may take
    /// as long as `limit`.
    pub(super) async fn linger(&mut self, worker: &Worker, limit: Duration) {
        if !self.hand_over(worker, limit).await || self.sender.finish().await.is_err() {
            return;
        }
        let end = Instant::now() + LINGER_MAX;
        loop {
            self.timer.set_at(end.min(Instant::now() + LINGER_PAUSE));
            match race(self.receiver.recv(), self.timer.expired()).await {
                Either::First(Ok(chunk)) if !chunk.is_empty() && Instant::now() < end => {}
                _ => return,
            }
        }
    }
}

/// Whether `chunk`, behind `before` bytes of a head, can make the parser say something new: only a
/// line's end or a limit does. A head that drips in byte by byte is then not read from its start
/// for each of them.
fn may_decide(before: usize, chunk: &[u8], limits: &Limits) -> bool {
    let after = before + chunk.len();
    let crosses = |limit: usize| before < limit && limit <= after;
    before == 0
        || chunk.contains(&b'\n')
        || crosses(limits.target_bytes_max)
        || crosses(limits.head_bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_ends_and_limits_are_worth_another_look() {
        let limits = Limits {
            target_bytes_max: 100,
            head_bytes_max: 200,
            ..Limits::default()
        };
        assert!(may_decide(0, b"G", &limits));
        assert!(!may_decide(1, b"ET / HTT", &limits));
        assert!(may_decide(9, b"P/1.1\r\n", &limits));
        assert!(may_decide(99, b"x", &limits) && !may_decide(100, b"x", &limits));
        assert!(may_decide(150, &[b'x'; 50], &limits));
    }
}
