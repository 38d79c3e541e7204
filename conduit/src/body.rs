//! One body on its way: which of the bytes that came belong to it, and in what form they go on.
//!
//! Bytes are handed on in the buffers in which they came. Only an answer that ends with its
//! connection is copied, to be put into chunks.
//!
//! What it does not do: read or write; its user does.

use net::{Chunk, ChunkMut};
use wire::{BodyDecoder, Framing, encode};

/// Why a body cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It breaks RFC 9112, or has ended too early.
    #[error("{0}")]
    Malformed(wire::Error),
    /// Its payload is over the limit, in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
}

/// In what form a body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reframe {
    /// As it came, chunk framing included.
    Keep,
    /// Without the chunk framing in which it came.
    Bare,
    /// In chunks, having come without.
    Chunks,
}

/// The state of one body.
#[derive(Debug)]
pub struct Pump {
    decoder: BodyDecoder,
    reframe: Reframe,
    payload_bytes_max: u64,
    /// The connection has ended, and that was the end of the body.
    ended: bool,
}

impl Pump {
    /// For a body that comes with `framing`. More than `payload_bytes_max` bytes of payload are an
    /// error.
    #[must_use]
    pub fn new(framing: Framing, reframe: Reframe, payload_bytes_max: Option<u64>) -> Self {
        Self {
            decoder: BodyDecoder::new(framing),
            reframe,
            payload_bytes_max: payload_bytes_max.unwrap_or(u64::MAX),
            ended: false,
        }
    }

    /// Whether all of the body has been taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ended || self.decoder.is_done()
    }

    /// Takes what belongs to the body from the front of `unread`, in the form in which it goes on:
    /// all of it, or for [`Reframe::Bare`] up to the end of a chunk.
    ///
    /// # Errors
    /// [`BodyError`]; what belongs to the body cannot be known any more then.
    pub fn take(&mut self, unread: &mut Chunk) -> Result<Chunk, BodyError> {
        if self.is_done() {
            return Ok(Chunk::default());
        }
        let piece = match self.reframe {
            Reframe::Keep => {
                let step = self
                    .decoder
                    .decode_raw(unread)
                    .map_err(BodyError::Malformed)?;
                unread.split_to(step.consumed)
            }
            Reframe::Bare => {
                let step = self.decoder.decode(unread).map_err(BodyError::Malformed)?;
                let piece = unread.slice(step.data);
                unread.advance(step.consumed);
                piece
            }
            Reframe::Chunks => {
                let step = self
                    .decoder
                    .decode_raw(unread)
                    .map_err(BodyError::Malformed)?;
                let payload = unread.split_to(step.consumed);
                in_a_chunk(&payload)
            }
        };
        if self.decoder.payload_bytes() > self.payload_bytes_max {
            return Err(BodyError::TooLarge(self.payload_bytes_max));
        }
        Ok(piece)
    }

    /// The connection has ended: was that the end of the body? Gives what is still to be sent.
    ///
    /// # Errors
    /// [`BodyError::Malformed`] where more was to come.
    pub fn end(&mut self) -> Result<Chunk, BodyError> {
        self.decoder.finish_on_eof().map_err(BodyError::Malformed)?;
        self.ended = true;
        Ok(match self.reframe {
            Reframe::Chunks => Chunk::copied(encode::LAST_CHUNK),
            Reframe::Keep | Reframe::Bare => Chunk::default(),
        })
    }
}

fn in_a_chunk(payload: &[u8]) -> Chunk {
    if payload.is_empty() {
        // An empty chunk would be the last one.
        return Chunk::default();
    }
    let mut out = ChunkMut::new();
    encode::chunk_header(&mut out, payload.len() as u64);
    out.extend_from_slice(payload);
    out.extend_from_slice(encode::CHUNK_END);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut pump: Pump, bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BodyError> {
        let mut unread = Chunk::copied(bytes);
        let mut out = Vec::new();
        while !pump.is_done() {
            let piece = if unread.is_empty() {
                pump.end()?
            } else {
                pump.take(&mut unread)?
            };
            out.extend_from_slice(&piece);
        }
        Ok((out, unread.to_vec()))
    }

    const CHUNKED: &[u8] = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET";

    #[test]
    fn kept_chunks_go_on_byte_for_byte_and_the_next_request_stays() {
        let (out, rest) = all(Pump::new(Framing::Chunked, Reframe::Keep, None), CHUNKED).unwrap();
        assert_eq!(out, &CHUNKED[..CHUNKED.len() - 3]);
        assert_eq!(rest, b"GET");
    }

    #[test]
    fn bare_chunks_lose_their_framing() {
        let (out, rest) = all(Pump::new(Framing::Chunked, Reframe::Bare, None), CHUNKED).unwrap();
        assert_eq!(out, b"hello world");
        assert_eq!(rest, b"GET");
    }

    #[test]
    fn a_body_that_ends_with_its_connection_is_put_into_chunks() {
        let pump = Pump::new(Framing::UntilClose, Reframe::Chunks, None);
        let (out, _) = all(pump, b"hello").unwrap();
        assert_eq!(out, b"5\r\nhello\r\n0\r\n\r\n");
    }

    #[test]
    fn a_body_cut_short_is_an_error() {
        let pump = Pump::new(Framing::Length(10), Reframe::Keep, None);
        let error = all(pump, b"hello").unwrap_err();
        assert_eq!(error, BodyError::Malformed(wire::Error::Truncated));
    }

    #[test]
    fn a_body_over_the_limit_is_refused_when_it_gets_there() {
        let pump = Pump::new(Framing::Chunked, Reframe::Keep, Some(10));
        assert_eq!(all(pump, CHUNKED), Err(BodyError::TooLarge(10)));
    }
}
