//! What a client sends: heads and bodies, in the chunks in which they arrive.
//!
//! Bodies are passed on as slices of the received chunks, without a copy. It sets no time limits:
//! the caller races it against a timer, after which the connection must be closed (a receive that
//! is given up may lose bytes; [`Input::is_cut_off`] remembers that).

use std::io;

use net::{Chunk, HangUp, Receiver};
use wire::{BodyDecoder, Parsed, RequestHead};

use crate::limits;

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

    /// A watch for the client going away while nothing is received.
    pub(crate) fn watch(&self) -> io::Result<HangUp> {
        self.receiver.watch()
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
        // Nearly always a head comes in one piece and is read where it lies.
        let mut gathered: Option<Vec<u8>> = None;
        loop {
            let bytes = gathered.as_deref().unwrap_or(&self.pending);
            match wire::parse_request(bytes, &limits::HEAD).map_err(InputError::Wrong)? {
                Parsed::Complete { head, len } => {
                    let made = make(&head);
                    match gathered {
                        Some(bytes) => self.pending = Chunk::copied(&bytes[len..]),
                        None => self.pending.advance(len),
                    }
                    return Ok(made);
                }
                Parsed::Partial => {
                    let more = self.receive().await?;
                    if more.is_empty() {
                        return Err(InputError::Wrong(wire::Error::Truncated));
                    }
                    gathered
                        .get_or_insert_with(|| self.pending.to_vec())
                        .extend_from_slice(&more);
                }
            }
        }
    }

    /// The next piece of the body that `decoder` decodes; none at its end.
    ///
    /// # Errors
    /// `Wrong(Truncated)` if the stream ends within it.
    pub(crate) async fn body(
        &mut self,
        decoder: &mut BodyDecoder,
    ) -> Result<Option<Chunk>, InputError> {
        loop {
            if let Some(piece) = self.ready_body(decoder)? {
                return Ok(Some(piece));
            }
            if decoder.is_done() {
                return Ok(None);
            }
            if !self.wait().await? {
                return Err(InputError::Wrong(wire::Error::Truncated));
            }
        }
    }

    /// The next piece of the body, if it has been received already.
    pub(crate) fn ready_body(
        &mut self,
        decoder: &mut BodyDecoder,
    ) -> Result<Option<Chunk>, InputError> {
        while !decoder.is_done() && !self.pending.is_empty() {
            let step = decoder.decode(&self.pending).map_err(InputError::Wrong)?;
            let piece = self.pending.slice(step.data);
            self.pending.advance(step.consumed);
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}
