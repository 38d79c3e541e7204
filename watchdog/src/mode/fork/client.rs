//! The client's side of a call: its body goes to the program, and its leaving ends the call.

use std::time::Instant;

use conduit::Pump;
use net::{Chunk, Either, PipeWriter, race};
use wire::{Framing, encode};

use super::stop::Stop;
use crate::connection::{Connection, Next};
use crate::input::Input;
use crate::limits::{DEBUG_BYTES_MAX, READY_BYTES_MAX};
use crate::log;
use crate::marshal::Marshal;
use crate::request::Request;
use crate::timers::Timers;

/// What the program will read.
#[derive(Debug)]
pub(crate) enum Feed {
    /// Nothing (more).
    Nothing,
    /// A short body that has come whole.
    Ready(Vec<u8>),
    /// A body that is still to come.
    Stream,
    /// The same, and where to put it.
    Piped(PipeWriter),
}

/// Finds out what the program will read, and asks the client for it if it waits to be asked.
///
/// # Errors
/// How the connection goes on, if the client is gone.
pub(crate) async fn prepare(connection: &mut Connection, request: &Request) -> Result<Feed, Next> {
    if connection.marshal.is_some() {
        // There is always a document to write.
    } else if request.framing.is_empty() {
        return Ok(Feed::Nothing);
    } else if let Some(body) = ready_body(connection, request) {
        return Ok(Feed::Ready(body));
    }
    // RFC 9110 §10.1.1: not if the body is on its way already.
    if request.expects_continue && connection.input.pending().is_empty() {
        let sent = connection.send(Chunk::copied(encode::CONTINUE)).await;
        sent.map_err(|_gone| Next::BreakOff)?;
    }
    Ok(Feed::Stream)
}

/// The whole body, if it is short and has arrived with the head, as most have.
fn ready_body(connection: &mut Connection, request: &Request) -> Option<Vec<u8>> {
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
    Some(body.to_vec())
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
    if let Feed::Piped(pipe) = feed {
        let mut is_open = true;
        loop {
            let piece = match race(input.body(body), timers.read.expired()).await {
                Either::First(Ok(Some(piece))) => piece,
                Either::First(Ok(None)) => break,
                Either::First(Err(error)) => return Stop::BadInput(error),
                Either::Second(()) => return Stop::ReadTimeout,
            };
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
    *feed = Feed::Nothing;
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
