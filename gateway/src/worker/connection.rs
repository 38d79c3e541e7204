//! THE path of a request, top to bottom: read the head, route it, choose a replica, relay both
//! ways, count, and go on with the next.
//!
//! Each step is one call into the room that knows how; what is written here is the order, which
//! is the behaviour.

use std::{net::SocketAddr, rc::Rc, time::Instant};

use net::{Chunk, ChunkMut, Stream};
use wire::{Parsed, RequestHead};

use super::{Client, Worker, drain::Seat};
use crate::{
    balance,
    failure::Failure,
    proxy::{self, Attempt, Call, CallId},
    reply::{Form, encode_failure, wants_json},
    route::{Route, route},
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
}

/// Serves one client until its connection ends.
pub(super) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    peer: Option<SocketAddr>,
    seat: Seat,
) {
    let _connection = worker.cells.hold(|cells| &cells.connections);
    let mut client = Client::new(stream, peer, seat);
    let mut unread = Chunk::default();
    loop {
        let next = match wire::parse_request(&unread, &worker.wire_limits) {
            Ok(Parsed::Complete { head, len }) => {
                let rest = unread.slice(len..unread.len());
                exchange(&worker, &mut client, &head, rest).await
            }
            Ok(Parsed::Partial) => match client.more_of_head(unread, &worker.limits).await {
                Ok(Some(more)) => Next::Request(more),
                Ok(None) => Next::Close,
                Err(failure) => refuse_head(&worker, &mut client, &failure).await,
            },
            Err(error) => refuse_head(&worker, &mut client, &Failure::Malformed(error)).await,
        };
        match next {
            Next::Request(rest) => unread = rest,
            Next::Close => return,
            Next::Linger => return client.linger().await,
        }
    }
}

/// One request and its answer. `rest` is what has been read behind the head.
async fn exchange(
    worker: &Worker,
    client: &mut Client,
    head: &RequestHead<'_>,
    rest: Chunk,
) -> Next {
    let begun = Instant::now();
    let _in_flight = worker.cells.hold(|cells| &cells.requests_in_flight);
    let call_id = CallId::of(head, &mut worker.random.borrow_mut());
    let mut call = Call::new(head, &call_id);

    let route = match route(head) {
        Ok(route) => route,
        Err(failure) => return refuse(worker, client, &call, &failure, rest).await,
    };
    call.route = Some(route);
    if let Some(failure) = call.over_body_limit(&worker.limits) {
        return refuse(worker, client, &call, &failure, rest).await;
    }

    let mut attempt = Attempt::default();
    let mut counted = false;
    loop {
        // Anew for each attempt: the replica that failed may be gone from the newest routes.
        let routes = worker.routes();
        let Some(function) = find(&routes, &route) else {
            worker.cells.unknown_function.add_one();
            return refuse(worker, client, &call, &Failure::UnknownFunction, rest).await;
        };
        let counters = function.counters.on(worker.core);
        if !std::mem::replace(&mut counted, true) {
            counters.begin();
        }
        let picked = balance::pick(
            &function.replicas,
            worker.core,
            attempt.failed_replica(),
            &mut worker.random.borrow_mut(),
        );
        let Some(replica) = picked else {
            let failure = attempt.last_failure().unwrap_or(Failure::NoReplica);
            counters.end(failure.status(), begun.elapsed());
            return refuse(worker, client, &call, &failure, rest).await;
        };
        let flight = replica.enter(worker.core);
        if !worker.are_current(&routes) {
            // The control plane may have found nobody in flight and be ending the replica.
            continue;
        }

        let to = (function, &flight);
        let forwarded = proxy::forward(worker, client, &call, to, rest.clone()).await;
        let failed = match forwarded {
            Ok(answered) => {
                counters.end(answered.status, begun.elapsed());
                return answered.next;
            }
            Err(failed) => failed,
        };
        match attempt.may_try_again(failed, &call, &rest, replica.id) {
            Ok(()) => worker.cells.retries.add_one(),
            Err(failed) => {
                counters.end(failed.failure.status(), begun.elapsed());
                if failed.answer_begun {
                    return Next::Close;
                }
                return refuse(worker, client, &call, &failed.failure, rest).await;
            }
        }
    }
}

/// Who answers for a route.
fn find<'s>(routes: &'s Snapshot, route: &Route<'_>) -> Option<&'s Function> {
    match route {
        Route::Function { name, .. } => routes.functions.get(*name).map(|function| &**function),
        Route::Control => Some(&routes.control),
    }
}

/// Answers a head that could not be read; where the next one would begin is unknown.
async fn refuse_head(worker: &Worker, client: &mut Client, failure: &Failure) -> Next {
    worker.cells.refused.add_one();
    let mut out = ChunkMut::new();
    let form = Form {
        json: false,
        head_only: false,
        close: true,
        date: &worker.clock.date(),
        call_id: None,
    };
    encode_failure(&mut out, failure, None, form);
    match client.send(out.freeze(), worker.limits.body_timeout).await {
        Ok(()) => Next::Linger,
        Err(_gone) => Next::Close,
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
    if matches!(failure, Failure::ClientGone) {
        return Next::Close;
    }
    if failure.status() < 500 {
        worker.cells.refused.add_one();
    }
    // The body that we do not want must be behind us before the next request can be read.
    let after_body = call.skip_body(rest);
    let keep_alive = call.head.keep_alive && failure.keeps_alive() && !worker.shared.is_draining();
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
        Err(_gone) => Next::Close,
    }
}
