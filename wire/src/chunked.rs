//! The chunked coding (RFC 9112 §7.1), octet by octet.
//!
//! A state machine, because a chunk header may be cut anywhere. It accepts less than the grammar:
//! no whitespace in chunk headers, line ends are CRLF, lengths are bounded. Payload is stepped over
//! in one go, so the cost is in the few octets of framing around it. Extensions and trailers are
//! checked and otherwise ignored.
//!
//! ```text
//!  Size ─► [Ext…] ─► SizeLf ─► Data ─► DataCr ─► DataLf ─► Size
//!                      └─(size 0)─► LineStart ─► Name ─► Value ─► ValueLf ─► LineStart
//!                                       └─► EndLf ─► Done
//! ```

use crate::body::Step;
use crate::error::Error;
use crate::limits::{CHUNK_EXTENSION_BYTES_MAX, LENGTH_BYTES_MAX, TRAILER_BYTES_MAX, TRAILERS_MAX};
use crate::octets::{is_token_octet, is_value_octet};

/// Most hexadecimal digits in a chunk size, leading zeros included: what 64 bits need.
const SIZE_DIGITS_MAX: u8 = 16;

/// The longest name in [`FORBIDDEN_TRAILERS`]; longer ones need not be remembered.
const NAME_BYTES_MAX: usize = 19;

/// Names that a trailer must not use (RFC 9110 §6.5.1): whoever merges trailers into the head
/// would let them change framing, routing, authentication or the meaning of the content.
const FORBIDDEN_TRAILERS: [&[u8]; 25] = [
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"location",
    b"max-forwards",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"range",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"www-authenticate",
    b"x-forwarded-for",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// After `;` or after `=`: a first octet must come.
    ExtNameStart,
    ExtName,
    ExtValueStart,
    ExtValue,
    ExtQuoted,
    ExtEscape,
    ExtQuotedEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
}

/// The state of one chunked body.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Digits of the chunk size so far.
    digits: u8,
    /// The chunk size while it is read, then the bytes of the chunk still to come.
    left: u64,
    /// Bytes of this chunk's extension, or of all trailers.
    bytes: u16,
    /// Trailers so far.
    trailers: u8,
    /// The name of the trailer that is read, in small letters, as far as it matters.
    name: [u8; NAME_BYTES_MAX],
    /// Its length; [`NAME_BYTES_MAX`] + 1 for all longer ones.
    name_len: u8,
}

impl Chunked {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Size,
            digits: 0,
            left: 0,
            bytes: 0,
            trailers: 0,
            name: [0; NAME_BYTES_MAX],
            name_len: 0,
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// One stretch of payload at most, with the framing before and behind it.
    pub(crate) fn decode(&mut self, input: &[u8]) -> Result<Step, Error> {
        let mut at = self.skip_framing(input, 0)?;
        let data = at..at + self.take_payload(input.len() - at);
        at = self.skip_framing(input, data.end)?;
        Ok(Step {
            consumed: at,
            data,
            done: self.is_done(),
        })
    }

    /// All there is of the body: bytes consumed, payload bytes among them, and whether it ends.
    pub(crate) fn decode_raw(&mut self, input: &[u8]) -> Result<(usize, usize, bool), Error> {
        let mut payload_bytes = 0;
        let mut at = self.skip_framing(input, 0)?;
        while at < input.len() && self.state == State::Data {
            let taken = self.take_payload(input.len() - at);
            payload_bytes += taken;
            at = self.skip_framing(input, at + taken)?;
        }
        Ok((at, payload_bytes, self.is_done()))
    }

    /// Reads framing from `at` on, until payload or the end of the body or of the input.
    fn skip_framing(&mut self, input: &[u8], mut at: usize) -> Result<usize, Error> {
        while let Some(&octet) = input.get(at) {
            if matches!(self.state, State::Data | State::Done) {
                break;
            }
            self.state = self.next_state(octet)?;
            at += 1;
        }
        Ok(at)
    }

    /// Takes payload of the chunk that is read, if one is: gives how many bytes.
    fn take_payload(&mut self, available: usize) -> usize {
        if self.state != State::Data {
            return 0;
        }
        let taken = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(available);
        self.left -= taken as u64;
        if self.left == 0 {
            self.state = State::DataCr;
        }
        taken
    }

    fn next_state(&mut self, octet: u8) -> Result<State, Error> {
        match self.state {
            State::Size => self.size(octet),
            State::ExtNameStart
            | State::ExtName
            | State::ExtValueStart
            | State::ExtValue
            | State::ExtQuoted
            | State::ExtEscape
            | State::ExtQuotedEnd => self.extension(octet),
            State::SizeLf => self.size_end(octet),
            State::DataCr => expect(octet, b'\r', State::DataLf, Error::BadChunkEnd),
            State::DataLf => {
                self.digits = 0;
                expect(octet, b'\n', State::Size, Error::BadChunkEnd)
            }
            State::LineStart | State::Name | State::Value | State::ValueLf | State::EndLf => {
                self.trailer(octet)
            }
            // The callers stop before these two.
            State::Data | State::Done => Ok(self.state),
        }
    }

    fn size(&mut self, octet: u8) -> Result<State, Error> {
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            b'A'..=b'F' => octet - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(State::SizeLf),
            b';' if self.digits > 0 => {
                self.bytes = 1;
                return Ok(State::ExtNameStart);
            }
            _ => return Err(Error::BadChunkSize),
        };
        if self.digits == 0 {
            self.left = 0;
        }
        if self.digits == SIZE_DIGITS_MAX {
            return Err(Error::BadChunkSize);
        }
        self.digits += 1;
        // Sixteen digits fit: nothing is shifted out.
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn size_end(&mut self, octet: u8) -> Result<State, Error> {
        if octet != b'\n' {
            return Err(Error::BadChunkSize);
        }
        if self.left > LENGTH_BYTES_MAX {
            return Err(Error::ChunkTooLarge);
        }
        if self.left > 0 {
            return Ok(State::Data);
        }
        self.bytes = 0;
        Ok(State::LineStart)
    }

    /// RFC 9112 §7.1.1: `*( ";" name [ "=" ( token / quoted-string ) ] )`.
    fn extension(&mut self, octet: u8) -> Result<State, Error> {
        if octet != b'\r' {
            self.bytes += 1;
            if self.bytes > CHUNK_EXTENSION_BYTES_MAX {
                return Err(Error::ChunkExtensionTooLong);
            }
        }
        match (self.state, octet) {
            (State::ExtNameStart | State::ExtName, _) if is_token_octet(octet) => {
                Ok(State::ExtName)
            }
            (State::ExtName, b'=') => Ok(State::ExtValueStart),
            (State::ExtValueStart, b'"') => Ok(State::ExtQuoted),
            (State::ExtValueStart | State::ExtValue, _) if is_token_octet(octet) => {
                Ok(State::ExtValue)
            }
            (State::ExtQuoted, b'"') => Ok(State::ExtQuotedEnd),
            (State::ExtQuoted, b'\\') => Ok(State::ExtEscape),
            (State::ExtQuoted | State::ExtEscape, _) if is_value_octet(octet) => {
                Ok(State::ExtQuoted)
            }
            (State::ExtName | State::ExtValue | State::ExtQuotedEnd, b';') => {
                Ok(State::ExtNameStart)
            }
            (State::ExtName | State::ExtValue | State::ExtQuotedEnd, b'\r') => Ok(State::SizeLf),
            _ => Err(Error::BadChunkExtension),
        }
    }

    /// RFC 9112 §7.1.2: field lines, then an empty one.
    fn trailer(&mut self, octet: u8) -> Result<State, Error> {
        self.bytes += 1;
        if self.bytes > TRAILER_BYTES_MAX {
            return Err(Error::TrailersTooLarge);
        }
        match (self.state, octet) {
            (State::LineStart, b'\r') => Ok(State::EndLf),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::LineStart | State::Name, _) if is_token_octet(octet) => {
                if self.state == State::LineStart {
                    self.name_len = 0;
                    self.trailers += 1;
                    if self.trailers > TRAILERS_MAX {
                        return Err(Error::TrailersTooLarge);
                    }
                }
                self.remember(octet);
                Ok(State::Name)
            }
            (State::Name, b':') => {
                if FORBIDDEN_TRAILERS.contains(&self.name_so_far()) {
                    return Err(Error::ForbiddenTrailer);
                }
                Ok(State::Value)
            }
            (State::Value, b'\r') => Ok(State::ValueLf),
            (State::Value, _) if is_value_octet(octet) => Ok(State::Value),
            (State::ValueLf, b'\n') => Ok(State::LineStart),
            _ => Err(Error::BadTrailer),
        }
    }

    fn remember(&mut self, octet: u8) {
        let len = usize::from(self.name_len);
        if let Some(slot) = self.name.get_mut(len) {
            *slot = octet.to_ascii_lowercase();
        }
        if len <= NAME_BYTES_MAX {
            self.name_len += 1;
        }
    }

    /// Empty for a name that is too long to be a forbidden one.
    fn name_so_far(&self) -> &[u8] {
        self.name
            .get(..usize::from(self.name_len))
            .unwrap_or_default()
    }
}

fn expect(octet: u8, wanted: u8, next: State, otherwise: Error) -> Result<State, Error> {
    if octet == wanted {
        Ok(next)
    } else {
        Err(otherwise)
    }
}

const _: () = {
    let mut index = 0;
    while index < FORBIDDEN_TRAILERS.len() {
        assert!(FORBIDDEN_TRAILERS[index].len() <= NAME_BYTES_MAX);
        index += 1;
    }
};
