//! The client's side of a call: its body goes to the program, and its leaving ends the call.
//!
//! In serializing mode the whole body is collected before there is a program, within limits of size
//! and time; in the other modes it goes to the program as it comes.

use std::os::fd::AsFd;
use std::time::Instant;

use conduit::Pump;
use net::{Chunk, PipeWriter};
use wire::{Framing, encode};

use super::pieces::Pieces;
use super::stop::Stop;
use crate::connection::{Connection, Next};
use crate::input::{Input, InputError};
use crate::limits::{DEBUG_BYTES_MAX, LARGE_PIPE_BYTES, PIPE_BYTES, READY_BYTES_MAX};
use crate::log;
use crate::marshal::Marshal;
use crate::mode::collect::receive;
use crate::reply::Failure;
use crate::request::Request;
use crate::timers::Timers;

/// What the program is to read.
#[derive(Debug)]
pub(crate) enum Body {
    /// Nothing.
    Nothing,
    /// A short one, which came with the head.
    Ready(Chunk),
    /// It was collected, and is to become a document if that is asked for.
    Whole(Pieces),
    /// It is still to come.
    Stream(Framing),
}

impl Body {
    /// Whether it is known to be larger than a pipe.
    fn is_large(&self) -> bool {
        match self {
            Self::Whole(pieces) => pieces.len() as u64 > PIPE_BYTES,
            Self::Stream(Framing::Length(length)) => *length > PIPE_BYTES,
            Self::Nothing | Self::Ready(_) | Self::Stream(_) => false,
        }
    }
}

/// What the program reads while it runs. The pipe is there as long as there is more.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) pipe: Option<PipeWriter>,
    /// What is here already; none if it comes from the client.
    pub(crate) pieces: Option<Pieces>,
}

impl Feed {
    pub(crate) fn nothing() -> Self {
        Self {
            pipe: None,
            pieces: None,
        }
    }

    /// Nobody knows yet what it will be.
    pub(crate) fn later(pipe: PipeWriter) -> Self {
        Self {
            pipe: Some(pipe),
            pieces: None,
        }
    }

    /// Gives `body` to a program that waits at the other end of `pipe`.
    pub(crate) fn through(pipe: PipeWriter, body: Body) -> Self {
        if body.is_large() {
            enlarge(&pipe);
        }
        let pieces = match body {
            // Closing the pipe says it.
            Body::Nothing => return Self::nothing(),
            Body::Ready(body) => Some(Pieces::of(body)),
            Body::Whole(pieces) => Some(pieces),
            Body::Stream(_) => None,
        };
        Self {
            pipe: Some(pipe),
            pieces,
        }
    }
}

/// Makes a pipe hold more, so that the two sides wait less often for each other.
pub(crate) fn enlarge(pipe: impl AsFd) {
    // Refused where this user's pipes hold much already; then it goes on as it is.
    process::set_pipe_size(pipe, LARGE_PIPE_BYTES).ok();
}

/// Finds out what the program will read, and asks the client for it if it waits to be asked. Where
/// bodies are collected, waits for all of it, so that a slow client costs no process.
///
/// # Errors
/// How the connection goes on, if the call has ended here: what was wrong has been answered.
pub(crate) async fn prepare(
    connection: &mut Connection,
    request: &Request,
    bytes_max: Option<u64>,
) -> Result<Body, Next> {
    if let (Framing::Length(length), Some(max)) = (request.framing, bytes_max)
        && length > max
    {
        return Err(connection.refuse(request, &too_large(max)).await);
    }
    if connection.marshal.is_some() {
        // There is always a document to write.
    } else if request.framing.is_empty() {
        return Ok(Body::Nothing);
    } else if let Some(body) = ready_body(connection, request) {
        return Ok(Body::Ready(body));
    }
    // RFC 9110 §10.1.1: not if the body is on its way already.
    if request.expects_continue && connection.input.pending().is_empty() {
        let sent = connection.send(Chunk::copied(encode::CONTINUE)).await;
        sent.map_err(|_gone| Next::BreakOff)?;
    }
    match bytes_max {
        None => Ok(Body::Stream(request.framing)),
        Some(max) => match collect(connection).await {
            Ok(pieces) => Ok(Body::Whole(pieces)),
            Err(stop) => Err(not_collected(connection, request, &stop, max).await),
        },
    }
}

/// Reads the whole body.
async fn collect(connection: &mut Connection) -> Result<Pieces, Stop> {
    let Connection {
        input,
        body,
        timers,
        ..
    } = connection;
    let mut pieces = Pieces::default();
    while let Some(piece) = receive(input, body, timers).await? {
        pieces.push(&piece);
    }
    let is_logged = connection.service.config.switches.write_debug;
    log_beginning(is_logged, "Request body", pieces.first());
    Ok(pieces)
}

/// Answers that the body could not be had.
async fn not_collected(
    connection: &mut Connection,
    request: &Request,
    stop: &Stop,
    max: u64,
) -> Next {
    let failure = match stop {
        Stop::BadInput(InputError::TooLarge(_)) => Some(too_large(max)),
        Stop::BadInput(error) => error.failure(),
        _ => Some(connection.read_timeout()),
    };
    match failure {
        Some(failure) => connection.refuse(request, &failure).await,
        None => Next::BreakOff,
    }
}

fn too_large(max: u64) -> Failure {
    let message = format!(
        "the request body is larger than http_buffer_bytes_max ({max} bytes), and this mode collects it whole; send less, raise it, or use mode=streaming"
    );
    Failure::new(413, "body-too-large", message)
}

/// The whole body, if it is short and has arrived with the head, as most have.
fn ready_body(connection: &mut Connection, request: &Request) -> Option<Chunk> {
    let Framing::Length(length) = request.framing else {
        return None;
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= READY_BYTES_MAX)?;
    if connection.input.pending().len() < length {
        return None;
    }
    let body = connection.input.ready_body(&mut connection.body).ok()??;
    log_beginning(
        connection.service.config.switches.write_debug,
        "Request body",
        &body,
    );
    Some(body)
}

/// Logs the beginning of a body, if that is `wanted`.
pub(crate) fn log_beginning(wanted: bool, what: &str, body: &[u8]) {
    if wanted {
        let beginning = &body[..body.len().min(DEBUG_BYTES_MAX)];
        log::line(&format!("{what}: {}", String::from_utf8_lossy(beginning)));
    }
}

/// Gives the program its input, then watches the client. Returns only to stop the call.
///
/// The pipe leaves `feed`, which is the end of file for the program, only when all of the body has
/// been written. If the call stops before, the caller must keep it until the program has been
/// killed: a program must not take a body that broke off for a whole one.
pub(crate) async fn feed(
    input: &mut Input,
    body: &mut Pump,
    feed: &mut Feed,
    mut marshal: Option<&mut Marshal>,
    timers: &Timers,
) -> Stop {
    if let Some(pipe) = &mut feed.pipe {
        let mut is_open = true;
        loop {
            let piece = match &mut feed.pieces {
                Some(pieces) => pieces.pop().filter(|_| is_open),
                None => match receive(input, body, timers).await {
                    Ok(piece) => piece,
                    Err(trouble) => return trouble.into(),
                },
            };
            let Some(piece) = piece else { break };
            // A program may close its input early. The rest of the body is still read, since the
            // answer may depend on none of it, and the next request comes behind it.
            if is_open {
                let piece = match &mut marshal {
                    Some(marshal) => Chunk::copied(&marshal.push(&piece)),
                    None => piece,
                };
                is_open = send(pipe, piece, timers).await;
            }
        }
        if let Some(marshal) = marshal
            && is_open
        {
            send(pipe, Chunk::copied(&marshal.finish()), timers).await;
        }
    }
    feed.pipe = None;
    input.gone(&timers.slow_client).await;
    Stop::ClientGone
}

/// Writes to the program; false if it has closed its input. The time that it takes is not the
/// client's fault and is added to the client's.
async fn send(pipe: &mut PipeWriter, piece: Chunk, timers: &Timers) -> bool {
    let began = Instant::now();
    let is_open = pipe.send(piece).await.is_ok();
    timers.read.postpone(began.elapsed());
    is_open
}
