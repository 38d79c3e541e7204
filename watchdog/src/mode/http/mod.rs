//! One long-lived process with an HTTP server of its own; each request is passed on to it.
//!
//! [`call`] is the way of one request, top to bottom. `function` is the server as calls see it,
//! `life` keeps a process running behind it (`site` is where it listens, `hosts` where a name leads,
//! `process` its start and end), `pool` keeps connections, `ready` asks it whether it is ready.
//! `exchange` moves one request there and its answer (`answer`) back at the same time, `head` writes
//! both heads anew, `trouble` is what can go wrong.

mod answer;
mod exchange;
mod function;
mod head;
mod hosts;
mod life;
mod pool;
mod process;
mod ready;
mod site;
mod trouble;

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use conduit::{Side, tunnel};
use net::{Chunk, ChunkMut, Either, race};
use wire::RequestHead;

pub(crate) use function::Function;
pub(crate) use life::keep;
pub(crate) use ready::not_ready;

use crate::config::Http;
use crate::connection::{Connection, Next};
use crate::deadline::Deadline;
use crate::limits::SLOW_CALL;
use crate::reply::Failure;
use crate::request::Request;
use exchange::{Done, Exchange, Near, Progress, Stage};
use function::Upstream;
use trouble::Trouble;

/// The head of a request as the function's own server gets it.
pub(crate) fn head(head: &RequestHead<'_>, http: &Http) -> ChunkMut {
    let mut out = ChunkMut::new();
    head::encode_request(&mut out, head, http);
    out
}

/// Answers one request by passing it on.
pub(crate) async fn call(
    connection: &mut Connection,
    request: &Request,
    function: &Rc<Function>,
) -> Next {
    let service = Rc::clone(&connection.service);
    if let Some(failure) = function.impossible() {
        return connection.refuse(request, &failure).await;
    }
    let deadline = match Deadline::of(&service.config, request) {
        Ok(deadline) => deadline,
        Err(failure) => return connection.refuse(request, &failure).await,
    };
    let progress = Progress::default();
    let outcome = {
        let head = connection.forward.take().unwrap_or_default();
        let Connection {
            input,
            sender,
            body,
            timers,
            ..
        } = connection;
        timers.slow_client.set(SLOW_CALL);
        deadline.set(&timers.call);
        let exchange = Exchange {
            service: &service,
            function,
            request,
            deadline: &deadline,
            timers,
            progress: &progress,
        };
        let near = Near {
            input,
            body,
            sender,
        };
        // Pinned where it is: what `race` takes by value is copied, and kept twice.
        let running = pin!(exchange.run(head, near));
        match race(running, timers.call.expired()).await {
            Either::First(outcome) => outcome,
            Either::Second(()) => Err(Trouble::Deadline),
        }
    };
    match outcome {
        Ok(Done::Answered { keep: true }) => Next::Request,
        Ok(Done::Answered { keep: false }) => Next::Linger,
        Ok(Done::Switched(upstream, unread)) => {
            let limit = function.tunnel_idle_timeout;
            switch(connection, upstream, unread, limit).await
        }
        Err(_) if progress.stage() == Stage::Answering => Next::BreakOff,
        Err(trouble) => {
            let failure = words(connection, &trouble, function, &deadline, progress.stage()).await;
            connection
                .give_up(request, failure, trouble.is_requests_fault())
                .await
        }
    }
}

/// Both have agreed on another protocol: from here on bytes are only carried.
async fn switch(
    connection: &mut Connection,
    mut upstream: Upstream,
    unread: Chunk,
    limit: Option<Duration>,
) -> Next {
    let near = connection.input.side(&mut connection.sender);
    let far = Side {
        receiver: &mut upstream.stream.receiver,
        sender: &mut upstream.stream.sender,
        unread,
    };
    let timer = &connection.timers.call;
    let carried = pin!(tunnel(near, far, timer, limit.unwrap_or(Duration::MAX)));
    // It would not end by itself at a shutdown; its client connects anew, to another.
    race(carried, connection.service.stopping()).await;
    Next::BreakOff
}

/// What to tell the client; nothing if nobody is there to hear it.
async fn words(
    connection: &Connection,
    trouble: &Trouble,
    function: &Function,
    deadline: &Deadline,
    stage: Stage,
) -> Option<Failure> {
    match trouble {
        Trouble::Deadline => {
            let missed = match stage {
                Stage::Connecting => format!("listen at {}", function.place()),
                Stage::Sent | Stage::Answering => "end its answer".to_owned(),
            };
            let status = connection.service.config.timeout_status;
            Some(deadline.failure(status, &missed, ""))
        }
        Trouble::ReadTimeout => Some(connection.read_timeout()),
        other => other.failure(function).await,
    }
}
