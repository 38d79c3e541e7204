//! The two directions of an exchange, run at the same time: the rest of the request's body to
//! the replica, the answer to the client.
//!
//! The exchange ends with the answer. An answer may come before the request's body is through (a
//! function that refuses a large upload, say); the client then gets it and is parted from. When
//! the body is through, this side watches whether the client is still there.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use conduit::{Ended, Pump, Side, tunnel};
use net::{Chunk, Either, race};

use super::{Answered, Call, Failed, Sent, answer::Answering, upload::Near};
use crate::{
    failure::Reason,
    pool::Upstream,
    snapshot::Replica,
    worker::{Client, Next, Worker},
};

/// The replica's end.
#[derive(Debug)]
pub(crate) struct Far<'s> {
    pub(crate) upstream: Upstream,
    pub(crate) replica: &'s Arc<Replica>,
    /// From the end of the request to the beginning of the answer.
    pub(crate) first_byte_limit: Duration,
    /// Between two pieces of the answer.
    pub(crate) silence_limit: Duration,
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
#[derive(Debug)]
pub(super) struct Progress<'a> {
    /// The request is through, and this was read behind it.
    pub(super) behind_request: RefCell<Option<Chunk>>,
    /// The client has been sent a byte of the answer.
    pub(super) answer_begun: &'a Cell<bool>,
    /// More than the first piece of the request has been sent, or read from the client, who will not
    /// send it a second time.
    pub(super) went_on: Cell<bool>,
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
        first_byte_limit,
        silence_limit,
    } = far;
    let progress = Progress {
        behind_request: RefCell::new(None),
        answer_begun: &call.answer_begun,
        went_on: Cell::new(false),
    };
    let near = Near {
        worker,
        timer: &client.timer,
        half_closed: &client.half_closed,
        progress: &progress,
        first_byte_timer: &upstream.timer,
        first_byte_limit,
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
        first_byte_limit,
        silence_limit,
    };
    let back = answering.run(&mut upstream.stream.receiver);
    // The request's direction first: an answer that is ready at the first look (epoll tries before
    // it waits) must find that the request is through, or the connection would be given up.
    let ended = match race(there, back).await {
        Either::First(failure) => Err(failure),
        Either::Second(answer) => answer,
    };
    let answer_begun = progress.answer_begun.get();
    let done = ended.map_err(|failure| {
        // The first piece may have been on its way still when `forward` went on.
        let is_refused = !progress.went_on.get() && upstream.stream.sender.is_refused();
        let sent = Sent::first_write(is_refused, upstream.reused);
        Failed::underway(failure, sent, answer_begun)
    })?;

    let behind = progress.behind_request.take();
    if let Some(unread) = done.switched {
        let behind = behind.unwrap_or_default();
        call.lift_limit();
        return Ok(Answered {
            status: done.status,
            next: switch(worker, client, &mut upstream, behind, unread).await,
        });
    }
    if done.upstream_reusable && behind.is_some() && upstream.stream.sender.is_flushed() {
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

/// Both have agreed on another protocol: from here on we only carry bytes.
async fn switch(
    worker: &Worker,
    client: &mut Client,
    upstream: &mut Upstream,
    from_client: Chunk,
    from_replica: Chunk,
) -> Next {
    let near = Side {
        receiver: &mut client.receiver,
        sender: &mut client.sender,
        unread: from_client,
    };
    let far = Side {
        receiver: &mut upstream.stream.receiver,
        sender: &mut upstream.stream.sender,
        unread: from_replica,
    };
    let limit = worker.limits.tunnel_idle_timeout;
    let carried = tunnel(near, far, &upstream.timer, limit);
    // It would not end by itself when the gateway drains; its client connects anew, to the next.
    match race(carried, worker.drain.started()).await {
        Either::First(Ended::Idle) => {
            worker.cells.failed(Reason::TunnelIdle);
            Next::BreakOff
        }
        Either::First(Ended::Finished) | Either::Second(()) => Next::Close,
    }
}
