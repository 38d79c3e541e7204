//! Hands the numbers out, on a port of their own, so that who may call the function need not be who
//! may look at it.
//!
//! `GET /metrics` and nothing else. It goes on during a shutdown, to its end: that is when one wants
//! to look.

use std::cell::Cell;
use std::rc::Rc;

use net::{Chunk, ChunkMut, Either, Listener, Stream, race, sleep, spawn};
use wire::{RequestHead, encode};

use super::text;
use crate::input::{Input, InputError};
use crate::limits::{ERROR_REPLY_MAX, IDLE_MAX, METRICS_CONNECTIONS_MAX};
use crate::reply::{self, About, Failure};
use crate::request::Request;
use crate::server::not_accepted;
use crate::service::Service;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Metrics,
    /// Them, in a way that is not possible.
    BadMethod,
    SomethingElse,
}

/// Accepts connections for ever.
pub(crate) async fn serve(service: Rc<Service>, listener: Listener) {
    let open = Rc::new(Cell::new(0));
    loop {
        match listener.accept().await {
            // Closed at once: somebody holds more than any monitor needs.
            Ok(_) if open.get() >= METRICS_CONNECTIONS_MAX => {}
            Ok((stream, _peer)) => {
                open.set(open.get() + 1);
                let (service, open) = (Rc::clone(&service), Rc::clone(&open));
                spawn(async move {
                    converse(&service, stream).await;
                    open.set(open.get() - 1);
                });
            }
            Err(error) => not_accepted(&error).await,
        }
    }
}

/// Answers the requests of one connection.
async fn converse(service: &Service, stream: Stream) {
    let (mut input, mut sender) = (Input::new(stream.receiver), stream.sender);
    loop {
        let make = |head: &RequestHead<'_>| (Request::from_head(head), Wish::of(head));
        // Idle or slow, it is the same here.
        let (chunk, keep) = match race(input.head(make), sleep(IDLE_MAX)).await {
            Either::First(Ok((request, wish))) => {
                // Nothing here reads bodies, so behind one no request can be found.
                let keep = request.keep_alive && request.framing.is_empty();
                (answer(service, &request, wish, keep), keep)
            }
            Either::First(Err(error)) => match refusal(&error) {
                Some(chunk) => (chunk, false),
                None => return,
            },
            Either::Second(()) => return,
        };
        let sent = race(sender.send(chunk), sleep(ERROR_REPLY_MAX)).await;
        if !matches!(sent, Either::First(Ok(()))) {
            return;
        }
        if !keep {
            race(sender.finish(), sleep(ERROR_REPLY_MAX)).await;
            return;
        }
    }
}

fn answer(service: &Service, request: &Request, wish: Wish, keep: bool) -> Chunk {
    let about = About {
        request: Some(request),
        keep,
    };
    match (&service.metrics, wish) {
        (Some(metrics), Wish::Metrics) => {
            let text = text::render(metrics, service.calls.processes_started());
            let mut out = ChunkMut::new();
            reply::start(&mut out, 200, about);
            reply::finish(&mut out, text::CONTENT_TYPE, text.as_bytes(), about);
            out.freeze()
        }
        (_, Wish::BadMethod) => {
            let mut out = ChunkMut::new();
            reply::start(&mut out, 405, about);
            encode::header(&mut out, "Allow", "GET, HEAD");
            let text = b"metrics can be read with GET or HEAD\n";
            reply::finish(&mut out, "text/plain; charset=utf-8", text, about);
            out.freeze()
        }
        _ => {
            let message = "nothing is here; the metrics are at /metrics, and the function is at the watchdog's other port";
            reply::failure(&Failure::new(404, "not-found", message), about)
        }
    }
}

/// What to say to a request that cannot be read; none if there was none.
fn refusal(error: &InputError) -> Option<Chunk> {
    let about = About {
        request: None,
        keep: false,
    };
    match error {
        InputError::Wrong(wire::Error::Truncated) => None,
        other => Some(reply::failure(&other.failure()?, about)),
    }
}

impl Wish {
    fn of(head: &RequestHead<'_>) -> Self {
        match head.method.as_str() {
            _ if head.path() != b"/metrics" => Self::SomethingElse,
            "GET" | "HEAD" => Self::Metrics,
            _ => Self::BadMethod,
        }
    }
}
