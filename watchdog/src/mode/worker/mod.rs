//! Several long-lived processes, each of which takes one request after the other from its standard
//! input and answers on its standard output, in the form of HTTP/1.1 messages. The protocol is
//! written down in `docs/worker-protocol.md`.
//!
//! [`call`] is the way of one request, top to bottom. `pool` has the workers, and a `line` of those
//! who wait for one; `exchange` gives one request to one worker and its answer (`answer`) to the
//! client. `slot` keeps a process running (`process` is its start and end), `link` is what the two
//! tell each other; `trouble` is what can go wrong.
//!
//! What it does not do: several requests at once on one worker, or bodies that stream to it. A
//! worker is a loop that reads, works and writes, in any language; who needs more has http mode.

mod answer;
mod exchange;
mod line;
mod link;
mod pool;
mod process;
mod slot;
mod trouble;

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use net::{ChunkMut, Either, race};
use wire::{Framing, RequestHead, Version, encode};

pub(crate) use pool::Pool;

use crate::connection::{Connection, Next};
use crate::deadline::Deadline;
use crate::limits::SLOW_CALL;
use crate::reply::Failure;
use crate::request::Request;
use exchange::{Exchange, Near, Stage};
use trouble::{Trouble, all_busy, too_large};

/// The head of a request as a worker gets it, still without its length and its end.
pub(crate) fn head(head: &RequestHead<'_>) -> ChunkMut {
    let mut out = ChunkMut::new();
    encode::request_line(&mut out, head.method, &head.origin_form());
    if head.version == Version::Http10 && head.headers.get("host").is_none() {
        encode::header(&mut out, "Host", head.host.unwrap_or(b"localhost"));
    }
    head.headers
        .copy_end_to_end(&mut out, |header| match header.name.len() {
            6 => !header.is("expect"),
            14 => !header.is("content-length"),
            _ => true,
        });
    out
}

/// Answers one request by giving it to a worker.
pub(crate) async fn call(connection: &mut Connection, request: &Request, pool: &Rc<Pool>) -> Next {
    let service = Rc::clone(&connection.service);
    // Before it is asked for, and before it is sent in vain.
    if matches!(request.framing, Framing::Length(length) if length > pool.body_bytes_max) {
        return connection.refuse(request, &too_large(pool)).await;
    }
    let deadline = match Deadline::of(&service.config, request) {
        Ok(deadline) => deadline,
        Err(failure) => return connection.refuse(request, &failure).await,
    };
    let stage = Cell::default();
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
            pool,
            request,
            deadline: &deadline,
            timers,
            stage: &stage,
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
        Ok(true) => Next::Request,
        Ok(false) => Next::Linger,
        Err(_) if stage.get() == Stage::Answering => Next::BreakOff,
        Err(trouble) => {
            let is_lost = trouble.is_requests_fault();
            let failure = words(connection, trouble, pool, &deadline, stage.get());
            connection.give_up(request, failure, is_lost).await
        }
    }
}

/// What to tell the client; nothing if nobody is there to hear it.
fn words(
    connection: &Connection,
    trouble: Trouble,
    pool: &Pool,
    deadline: &Deadline,
    stage: Stage,
) -> Option<Failure> {
    let status = connection.service.config.timeout_status;
    match (trouble, stage) {
        (Trouble::Deadline, Stage::Collecting) => {
            Some(deadline.failure(status, "get the whole request", ""))
        }
        (Trouble::Deadline, Stage::Waiting) => {
            let limit = deadline.failure(status, "have a worker that was free", "");
            Some(all_busy(pool, &limit))
        }
        (Trouble::Deadline, Stage::Sent | Stage::Answering) => {
            let then = "; its worker was killed and is replaced";
            Some(deadline.failure(status, "end its answer", then))
        }
        (Trouble::ReadTimeout, _) => Some(connection.read_timeout()),
        (other, _) => other.failure(pool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use wire::{Limits, Parsed};

    use crate::mode::head::end_collected;

    #[test]
    fn a_worker_gets_a_head_with_a_length_and_without_what_concerns_one_connection() {
        for (sent, want) in [
            (
                "POST /a/..%2f?b HTTP/1.1\r\nHost: x\r\nConnection: close, x-own\r\nX-Own: 1\r\n\
                 Expect: 100-continue\r\nContent-Length: 3\r\nX-Call-Id: 7\r\n\r\n",
                "POST /a/..%2f?b HTTP/1.1\r\nHost: x\r\nX-Call-Id: 7\r\nContent-Length: 3\r\n\r\n",
            ),
            (
                "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
                "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
            ),
            (
                "GET / HTTP/1.0\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n",
            ),
            (
                "GET http://x?b=1 HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET /?b=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
            ),
        ] {
            let Ok(Parsed::Complete { head: parsed, .. }) =
                wire::parse_request(sent.as_bytes(), &Limits::DEFAULT)
            else {
                panic!("the test's head is not complete")
            };
            let mut out = head(&parsed);
            end_collected(&mut out, 3);
            assert_eq!(String::from_utf8_lossy(&out), want);
        }
    }
}
