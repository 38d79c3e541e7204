//! THE path of a request, top to bottom: read the head, route it, choose a replica, relay both
//! ways, count, and go on with the next.
//!
//! Each step is one call into the room that knows how; what is written here is the order, which
//! is the behaviour.

use std::{net::SocketAddr, rc::Rc, time::Instant};

use net::{Chunk, ChunkMut, Either, Stream, race};
use wire::{Parsed, RequestHead};

use super::{Client, Worker, desk::at_desk, drain::Seat};
use crate::{
    balance,
    failure::Failure,
    limits::Limits,
    proxy::{self, Attempt, Call, Failed},
    reply::{Form, encode_failure, encode_parting, wants_json},
    route::route,
    snapshot::{Function, Snapshot},
};

/// What becomes of the connection after an exchange.
#[derive(Debug)]
pub(crate) enum Next {
    /// It goes on; these bytes of it have been read already.
    Request(Chunk),
    /// It ends, and the client has nothing more to say.
    Close,
    /// It ends, but the client may still be sending.
    Linger,
    /// It ends at once: the client has gone, or has had all its time to take what was sent.
    BreakOff,
}

/// What is left of a conversation.
#[derive(Debug)]
pub(super) struct Rest {
    client: Client,
    /// Requests of this connection so far.
    requests: u64,
    pause: Pause,
}

/// Why it has come to an end, for now or for good.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pause {
    /// All that has come is answered.
    Idle,
    /// As [`Next::Close`].
    Close,
    /// As [`Next::Linger`].
    Linger,
    /// As [`Next::BreakOff`].
    BreakOff,
}

/// Serves one client until its connection ends.
pub(super) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    peer: Option<SocketAddr>,
    seat: Seat,
) {
    let mut client = Client::new(stream, peer, seat);
    let mut requests = 0;
    let limit = worker.limits.body_timeout;
    loop {
        let pause = match client.wake_up(&worker).await {
            Ok(unread) => {
                let rest = at_desk(&worker, (client, unread, requests)).await;
                (client, requests) = (rest.client, rest.requests);
                rest.pause
            }
            Err(parting) => parting,
        };
        match pause {
            Pause::Idle => continue,
            Pause::Close => _ = client.hand_over(&worker, limit).await,
            Pause::Linger => client.linger(&worker, limit).await,
            Pause::BreakOff => {}
        }
        return;
    }
}

/// Answers the requests of which `unread` is the beginning. `requests` came before.
pub(super) async fn converse(
    worker: Rc<Worker>,
    (mut client, mut unread, mut requests): (Client, Chunk, u64),
) -> Rest {
    let pause = loop {
        let next = match wire::parse_request(&unread, &worker.wire_limits) {
            Ok(Parsed::Complete { head, len }) => {
                let rest = unread.slice(len..unread.len());
                requests += 1;
                let is_last = worker.limits.requests_per_connection_max == Some(requests);
                let next = exchange(&worker, &mut client, &head, is_last, rest).await;
                if let Next::Request(rest) = &next
                    && !rest.is_empty()
                {
                    client.head_begins(&worker.limits);
                }
                next
            }
            Ok(Parsed::Partial) => match client.more_of_head(&worker, unread).await {
                Ok(Some(more)) => Next::Request(more),
                Ok(None) => Next::Close,
                Err(failure) => refuse_head(&worker, &mut client, &failure).await,
            },
            Err(error) => refuse_head(&worker, &mut client, &Failure::Malformed(error)).await,
        };
        match next {
            Next::Request(rest) if rest.is_empty() => break Pause::Idle,
            Next::Request(rest) => unread = rest,
            Next::Close => break Pause::Close,
            Next::Linger => break Pause::Linger,
            Next::BreakOff => break Pause::BreakOff,
        }
    };
    Rest {
        client,
        requests,
        pause,
    }
}

/// One request and its answer, the last one of its connection if `is_last`. `rest` is what has
/// been read behind the head.
async fn exchange(
    worker: &Worker,
    client: &mut Client,
    head: &RequestHead<'_>,
    is_last: bool,
    rest: Chunk,
) -> Next {
    let _in_flight = worker.cells.hold(|cells| &cells.requests_in_flight);
    let mut call = Call::new(head, &mut worker.random.borrow_mut());
    call.keep_alive &= !is_last;
    let delivered = match route(head) {
        Ok(route) => deliver(worker, client, call.on(route), &rest).await,
        Err(failure) => Err(failure),
    };
    match delivered {
        Ok(next) => next,
        Err(failure) => refuse(worker, client, &call, &failure, rest).await,
    }
}

/// Brings a request to a replica of its function, and the answer back. A failure is what the
/// client is still to be told.
async fn deliver(
    worker: &Worker,
    client: &mut Client,
    call: &mut Call<'_>,
    rest: &Chunk,
) -> Result<Next, Failure> {
    let begun = Instant::now();
    let mut attempt = Attempt::default();
    let mut is_first = true;
    loop {
        // Anew for each attempt: the replica that failed may be gone from the newest routes.
        let routes = worker.routes();
        let function = find(&routes, call).ok_or(Failure::UnknownFunction)?;
        let counters = function.counters.on(worker.core);
        let failed = |failure: Failure| {
            counters.end(failure.status(), begun.elapsed());
            failure
        };
        if std::mem::replace(&mut is_first, false) {
            counters.begin();
            admit(call, function, begun, &worker.limits).map_err(failed)?;
        }
        let picked = balance::pick(
            &function.replicas,
            worker.core,
            attempt.failed_replica(),
            begun,
            &mut worker.random.borrow_mut(),
        );
        let Some(replica) = picked else {
            return Err(failed(attempt.last_failure().unwrap_or(Failure::NoReplica)));
        };
        let flight = replica.enter(worker.core);
        if !worker.are_current(&routes) {
            // The control plane may have found nobody in flight and be ending the replica.
            continue;
        }

        let broken = match race(
            proxy::forward(worker, client, call, (function, &flight), rest.clone()),
            call.overdue(),
        )
        .await
        {
            Either::First(Ok(answered)) => {
                counters.end(answered.status, begun.elapsed());
                return Ok(answered.next);
            }
            Either::First(Err(broken)) => broken,
            Either::Second(failure) => Failed::overdue(failure, call.answer_begun.get()),
        };
        match attempt.may_try_again(broken, call, rest, replica.id) {
            Ok(()) => worker.cells.retries.add_one(),
            Err(last) => {
                let failure = failed(last.failure);
                if last.answer_begun {
                    worker.cells.failed(failure.reason());
                    return Ok(match failure.is_clients_leaving() {
                        true => Next::BreakOff,
                        false => Next::Close,
                    });
                }
                return Err(failure);
            }
        }
    }
}

/// Judges a call by the limits of its function, and lets its time run. Our own control plane has
/// limits of its own, and those who follow logs stay as long as they like.
fn admit(
    call: &mut Call<'_>,
    function: &Function,
    begun: Instant,
    limits: &Limits,
) -> Result<(), Failure> {
    if call.function().is_none() {
        return Ok(());
    }
    call.limit(begun, &function.limits, limits)?;
    call.check_body(function.limits.body_bytes_max(limits))
}

/// Who answers a call.
fn find<'s>(routes: &'s Snapshot, call: &Call<'_>) -> Option<&'s Function> {
    match call.function() {
        Some(name) => routes.functions.get(name).map(|function| &**function),
        None => Some(&routes.control),
    }
}

/// Answers a head that could not be read; where the next one would begin is unknown.
async fn refuse_head(worker: &Worker, client: &mut Client, failure: &Failure) -> Next {
    worker.cells.failed(failure.reason());
    let mut out = ChunkMut::new();
    encode_parting(&mut out, failure, &worker.clock.date());
    match client.send(out.freeze(), worker.limits.body_timeout).await {
        Ok(()) => Next::Linger,
        Err(_gone) => Next::BreakOff,
    }
}

/// Answers a request with an error of our own.
async fn refuse(
    worker: &Worker,
    client: &mut Client,
    call: &Call<'_>,
    failure: &Failure,
    rest: Chunk,
) -> Next {
    worker.cells.failed(failure.reason());
    if failure.is_clients_leaving() {
        return Next::BreakOff;
    }
    // The body that we do not want must be behind us before the next request can be read.
    let after_body = call.skip_body(rest);
    let keep_alive = call.keep_alive && failure.keeps_alive() && !worker.shared.is_draining();
    let next = match after_body {
        Some(after) if keep_alive => Next::Request(after),
        _ => Next::Linger,
    };
    let mut out = ChunkMut::new();
    let form = Form {
        json: wants_json(&call.head.headers),
        head_only: call.head.method.is_head(),
        close: matches!(next, Next::Linger),
        date: &worker.clock.date(),
        call_id: Some(call.id.as_bytes()),
    };
    encode_failure(&mut out, failure, call.function(), form);
    match client.send(out.freeze(), worker.limits.body_timeout).await {
        Ok(()) => next,
        Err(_gone) => Next::BreakOff,
    }
}
