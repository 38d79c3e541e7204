//! A connection that has switched protocols (RFC 9110, 7.8; WebSocket, RFC 6455): from here on
//! bytes go both ways and mean nothing to us.
//!
//! Each direction ends by itself, with a FIN to the other side; the tunnel ends with the second,
//! or when nothing has moved in either for the idle limit.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use net::{Chunk, Either, Receiver, Sender, Timer, race};

/// One side of a tunnel.
#[derive(Debug)]
pub struct Side<'a> {
    /// Reads from it.
    pub receiver: &'a mut Receiver,
    /// Writes to it.
    pub sender: &'a mut Sender,
    /// Read from it before the switch, and to be passed on first.
    pub unread: Chunk,
}

/// Why a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Both directions have.
    Finished,
    /// Nothing has moved for the idle limit.
    Idle,
}

/// Moves bytes until both directions have ended or both have been silent for `idle_limit`, for which
/// it sets `timer`.
pub async fn tunnel(near: Side<'_>, far: Side<'_>, timer: &Timer, idle_limit: Duration) -> Ended {
    timer.set(idle_limit);
    let mut there = pin!(copy(
        near.receiver,
        near.unread,
        far.sender,
        timer,
        idle_limit
    ));
    let mut back = pin!(copy(
        far.receiver,
        far.unread,
        near.sender,
        timer,
        idle_limit
    ));
    let (mut there_ended, mut back_ended) = (false, false);
    let both = poll_fn(|cx| {
        there_ended = there_ended || there.as_mut().poll(cx).is_ready();
        back_ended = back_ended || back.as_mut().poll(cx).is_ready();
        if there_ended && back_ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    match race(both, timer.expired()).await {
        Either::First(()) => Ended::Finished,
        Either::Second(()) => Ended::Idle,
    }
}

/// One direction. An error is an end like any other: the other direction finds its own.
async fn copy(
    from: &mut Receiver,
    mut piece: Chunk,
    to: &mut Sender,
    timer: &Timer,
    idle_limit: Duration,
) {
    loop {
        if !piece.is_empty() && to.send(piece).await.is_err() {
            return;
        }
        piece = match from.recv().await {
            Ok(chunk) if !chunk.is_empty() => chunk,
            _ => break,
        };
        timer.set(idle_limit);
    }
    to.finish().await.ok();
}
