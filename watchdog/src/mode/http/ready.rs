//! `ready_path`: the function's own word on whether it is ready.
//!
//! `/_/ready` passes the question on, on a connection of its own. A 2xx means yes; anything else, or
//! no answer in time, means no. While one question is under way, others wait for its answer: however
//! often a function that hangs is asked, it has one question to answer.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use conduit::{Pump, Reframe};
use net::{Chunk, Receiver, Stream, Waiters};
use wire::{Method, Parsed};

use super::function::{Function, within};
use crate::config::Http;
use crate::limits::{HEAD, READY_MAX, READY_TEXT_BYTES_MAX};
use crate::reply::Failure;

/// The question, and what became of it.
#[derive(Debug)]
pub(super) struct Ready {
    path: String,
    /// The whole request.
    request: Vec<u8>,
    is_asking: Cell<bool>,
    /// Answers so far.
    answers: Cell<u64>,
    /// Why it is not ready, by the last answer.
    not_ready: RefCell<Option<Failure>>,
    changed: Waiters,
}

/// What the function said.
struct Answer {
    status: u16,
    /// The beginning of its body, if it is not ready.
    text: String,
}

impl Ready {
    /// None if no path is set.
    pub(super) fn of(http: &Http) -> Option<Self> {
        let path = http.ready_path.clone()?;
        let request = format!(
            "GET {}{path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: ringway-watchdog\r\nConnection: close\r\n\r\n",
            http.upstream.prefix, http.upstream.authority
        );
        Some(Self {
            path,
            request: request.into_bytes(),
            is_asking: Cell::new(false),
            answers: Cell::new(0),
            not_ready: RefCell::default(),
            changed: Waiters::default(),
        })
    }

    async fn ask(&self, function: &Function) -> Option<Failure> {
        let Some(endpoint) = function.endpoint() else {
            return function.not_listening();
        };
        let exchange = async {
            let mut stream = Stream::connect(&endpoint).await?;
            stream.sender.send(Chunk::copied(&self.request)).await?;
            stream.sender.flush().await?;
            answer(&mut stream.receiver).await
        };
        let path = &self.path;
        let message = match within(READY_MAX, exchange).await {
            Ok(Answer { status, .. }) if (200..300).contains(&status) => return None,
            Ok(Answer { status, text }) => {
                let colon = if text.is_empty() { "" } else { ": " };
                format!("the function answers GET {path} with status {status}{colon}{text}")
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                format!("the function did not answer GET {path} within {READY_MAX:?}")
            }
            Err(error) => format!("the function cannot be asked for {path}: {error}"),
        };
        Some(Failure::new(
            503,
            "not-ready",
            format!("not ready: {message}"),
        ))
    }
}

/// Why a function that listens is not ready by its own word, if so.
pub(crate) async fn not_ready(function: &Rc<Function>) -> Option<Failure> {
    let ready = function.ready.as_ref()?;
    let answers = ready.answers.get();
    if !ready.is_asking.replace(true) {
        // A task of its own, so that it ends whoever of those who wait for it leaves.
        let function = Rc::clone(function);
        net::spawn(async move {
            if let Some(ready) = &function.ready {
                let verdict = ready.ask(&function).await;
                *ready.not_ready.borrow_mut() = verdict;
                ready.answers.set(ready.answers.get() + 1);
                ready.is_asking.set(false);
                ready.changed.wake_all();
            }
        });
    }
    ready.changed.until(|| ready.answers.get() != answers).await;
    ready.not_ready.borrow().clone()
}

async fn answer(from: &mut Receiver) -> io::Result<Answer> {
    let mut unread = Chunk::default();
    loop {
        let parsed = wire::parse_response(&unread, Method::GET, &HEAD).map_err(io::Error::other)?;
        let (status, framing, len) = match parsed {
            Parsed::Complete { head, len } => (head.status, head.framing, len),
            Parsed::Partial => {
                let more = from.recv().await?;
                if more.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                unread = Chunk::joined(unread, more);
                continue;
            }
        };
        unread.advance(len);
        match status {
            100..200 => {}
            200..300 => {
                let text = String::new();
                return Ok(Answer { status, text });
            }
            _ => {
                let body = Pump::new(framing, Reframe::Bare, None);
                let text = text(from, unread, body).await;
                return Ok(Answer { status, text });
            }
        }
    }
}

/// The beginning of a body in one line, as far as it can be had.
async fn text(from: &mut Receiver, mut unread: Chunk, mut body: Pump) -> String {
    let mut bytes = Vec::new();
    while !body.is_done() && bytes.len() < READY_TEXT_BYTES_MAX {
        if unread.is_empty() {
            match from.recv().await {
                Ok(more) if !more.is_empty() => unread = more,
                _ => break,
            }
        }
        let Ok(piece) = body.take(&mut unread) else {
            break;
        };
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(READY_TEXT_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<_> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}
