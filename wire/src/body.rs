//! Where a body ends, told as its bytes come.
//!
//! A [`BodyDecoder`] looks at the next unread bytes of a connection and says how many of them
//! belong to the body and which are payload. It never copies them: the caller forwards slices of
//! its own buffer. It does not read, buffer or limit a body's size; that is the caller's.

use std::ops::Range;

use crate::chunked::Chunked;
use crate::error::Error;
use crate::framing::Framing;

/// The state of one message's body. About 64 bytes; nothing is allocated.
///
/// After an error the body's end cannot be known any more: close the connection.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    payload_bytes: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Bytes still to come.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// What [`BodyDecoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that were body, chunk framing included. Never more than the input.
    pub consumed: usize,
    /// Payload within `input[..consumed]`; may be empty.
    pub data: Range<usize>,
    /// The body ends after `consumed`; what follows is the next message.
    pub done: bool,
}

/// What [`BodyDecoder::decode_raw`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawStep {
    /// Bytes of the input that were body, chunk framing included. Never more than the input.
    pub consumed: usize,
    /// The body ends after `consumed`; what follows is the next message.
    pub done: bool,
}

impl BodyDecoder {
    /// For the body of a message with this framing.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        let kind = match framing {
            Framing::None => Kind::Length(0),
            Framing::Length(length) => Kind::Length(length),
            Framing::Chunked => Kind::Chunked(Chunked::new()),
            Framing::UntilClose => Kind::UntilClose,
        };
        Self {
            payload_bytes: 0,
            kind,
        }
    }

    /// Takes the next bytes of the connection, up to the end of one stretch of payload and the
    /// framing behind it. Call again with the rest until all is consumed or `done` is set.
    ///
    /// A chunk is not waited for: what is there of its payload is given at once.
    ///
    /// # Errors
    /// The variants of [`Error`] that speak of chunks and trailers.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, Error> {
        let step = match &mut self.kind {
            Kind::Chunked(chunked) => chunked.decode(input)?,
            _ => self.advance_plain(input.len()),
        };
        self.count(step.data.len());
        Ok(step)
    }

    /// Takes as many of the next bytes as belong to the body, over any number of chunks, for a
    /// caller that passes `input[..consumed]` on as it is, framing included.
    ///
    /// That is safe because every byte of the framing is checked as strictly as in
    /// [`BodyDecoder::decode`]: the next reader finds the same chunks.
    ///
    /// # Errors
    /// As [`BodyDecoder::decode`].
    pub fn decode_raw(&mut self, input: &[u8]) -> Result<RawStep, Error> {
        let (consumed, payload_bytes, done) = match &mut self.kind {
            Kind::Chunked(chunked) => chunked.decode_raw(input)?,
            _ => {
                let step = self.advance_plain(input.len());
                (step.consumed, step.data.len(), step.done)
            }
        };
        self.count(payload_bytes);
        Ok(RawStep { consumed, done })
    }

    /// Has the whole body come? True from the start where there is none. Never true for
    /// [`Framing::UntilClose`], which only the end of the connection ends.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Length(left) => *left == 0,
            Kind::Chunked(chunked) => chunked.is_done(),
            Kind::UntilClose => false,
        }
    }

    /// The verdict when the connection ends now.
    ///
    /// # Errors
    /// [`Error::Truncated`] where more of the body was to come.
    pub const fn finish_on_eof(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::UntilClose => Ok(()),
            _ if self.is_done() => Ok(()),
            _ => Err(Error::Truncated),
        }
    }

    /// Payload bytes so far, framing not counted.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// A step over bytes that have no framing among them.
    fn advance_plain(&mut self, available: usize) -> Step {
        let consumed = match &mut self.kind {
            Kind::Length(left) => {
                let consumed = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
                *left -= consumed as u64;
                consumed
            }
            _ => available,
        };
        Step {
            consumed,
            data: 0..consumed,
            done: self.is_done(),
        }
    }

    fn count(&mut self, payload_bytes: usize) {
        self.payload_bytes = self.payload_bytes.saturating_add(payload_bytes as u64);
    }
}

#[cfg(test)]
mod tests;
