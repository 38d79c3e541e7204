//! What a client sends: heads and bodies, in the chunks in which they arrive.
//!
//! Bodies are passed on as slices of the received chunks, without a copy. It sets no time limits:
//! the caller races it against a timer, after which the connection must be closed (a receive that
//! is given up may lose bytes; [`Input::is_cut_off`] remembers that).

use std::future::pending;
use std::io;

use conduit::{BodyError, Pump, Side};
use net::{Chunk, Receiver, Sender, Timer};
use wire::{Parsed, RequestHead};

use crate::limits;
use crate::reply::Failure;

/// The receiving side of a connection.
#[derive(Debug)]
pub(crate) struct Input {
    receiver: Receiver,
    /// Received and not yet used.
    pending: Chunk,
    is_receiving: bool,
}

/// Why no further head or piece of body could be had.
#[derive(Debug)]
pub(crate) enum InputError {
    /// The client is gone, or closed its side where it may.
    Closed,
    /// What it sent is wrong.
    Wrong(wire::Error),
    /// The body is over its limit, in bytes.
    TooLarge(u64),
}

impl InputError {
    /// What to answer; none if nobody is there to hear it.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Closed => None,
            Self::Wrong(error) => Some(Failure::new(
                error.status(),
                error.kind(),
                format!("the request is not valid HTTP: {error}"),
            )),
            Self::TooLarge(bytes_max) => Some(Failure::new(
                413,
                "body-too-large",
                format!(
                    "the request body is larger than http_buffer_bytes_max ({bytes_max} bytes); send less, raise it, or let bodies pass unbuffered (http_buffer_req_body=false)"
                ),
            )),
        }
    }
}

impl From<BodyError> for InputError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Malformed(error) => Self::Wrong(error),
            BodyError::TooLarge(bytes_max) => Self::TooLarge(bytes_max),
        }
    }
}

impl From<io::Error> for InputError {
    fn from(_: io::Error) -> Self {
        // Whatever the error, nothing more comes from this client, and it can hear no complaint.
        Self::Closed
    }
}

impl Input {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self {
            receiver,
            pending: Chunk::default(),
            is_receiving: false,
        }
    }

    /// Whether a receive was given up, so that bytes may be missing.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.is_receiving
    }

    /// Waits until the client is gone, while nothing is received. It is looked after only once
    /// `slow` has expired.
    pub(crate) async fn gone(&self, slow: &Timer) {
        // Setting up the watch costs a few system calls, and most calls are over before it is needed.
        slow.expired().await;
        match self.receiver.watch() {
            Ok(watch) => {
                // However it has gone, it waits no more: the gateway, our client, never half-closes.
                watch.hung_up().await;
            }
            // Without a descriptor left there is no watch: the call goes on to its end.
            Err(_) => pending().await,
        }
    }

    /// The connection as one side of a tunnel.
    pub(crate) fn side<'a>(&'a mut self, sender: &'a mut Sender) -> Side<'a> {
        Side {
            receiver: &mut self.receiver,
            sender,
            unread: std::mem::take(&mut self.pending),
        }
    }

    /// What has been received and not yet used.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Waits until at least one byte is there; false at the end of the stream.
    pub(crate) async fn wait(&mut self) -> io::Result<bool> {
        if self.pending.is_empty() {
            self.pending = self.receive().await?;
        }
        Ok(!self.pending.is_empty())
    }

    async fn receive(&mut self) -> io::Result<Chunk> {
        self.is_receiving = true;
        let received = self.receiver.recv().await;
        self.is_receiving = false;
        received
    }

    /// Reads a head and returns what `make` makes of it.
    ///
    /// # Errors
    /// `Wrong(Truncated)` if the stream ends within it.
    pub(crate) async fn head<T>(
        &mut self,
        make: impl FnOnce(&RequestHead<'_>) -> T,
    ) -> Result<T, InputError> {
        loop {
            match wire::parse_request(&self.pending, &limits::HEAD).map_err(InputError::Wrong)? {
                Parsed::Complete { head, len } => {
                    let made = make(&head);
                    self.pending.advance(len);
                    return Ok(made);
                }
                Parsed::Partial => {
                    let more = self.receive().await?;
                    if more.is_empty() {
                        return Err(InputError::Wrong(wire::Error::Truncated));
                    }
                    self.pending = Chunk::joined(std::mem::take(&mut self.pending), more);
                }
            }
        }
    }

    /// The next piece of `body`, in the form in which it goes on; none at its end.
    ///
    /// # Errors
    /// `Wrong(Truncated)` if the stream ends within it.
    pub(crate) async fn body(&mut self, body: &mut Pump) -> Result<Option<Chunk>, InputError> {
        loop {
            if let Some(piece) = self.ready_body(body)? {
                return Ok(Some(piece));
            }
            if body.is_done() {
                return Ok(None);
            }
            if !self.wait().await? {
                return Err(InputError::Wrong(wire::Error::Truncated));
            }
        }
    }

    /// The next piece of the body, if it has been received already.
    pub(crate) fn ready_body(&mut self, body: &mut Pump) -> Result<Option<Chunk>, InputError> {
        while !body.is_done() && !self.pending.is_empty() {
            let piece = body.take(&mut self.pending)?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}
