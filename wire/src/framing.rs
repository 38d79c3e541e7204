//! How the end of a body is found (RFC 9112 §6), and the two fields that say so.
//!
//! Only the reading of the fields is here; the bytes of a body are counted in `body`.

use crate::error::Error;
use crate::limits::LENGTH_BYTES_MAX;
use crate::octets::{is_token, trim_ows};

/// How the end of a message's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// This many bytes, as `Content-Length` says; 0 is an empty body that was announced.
    Length(u64),
    /// Chunks, until the last one and its trailers.
    Chunked,
    /// Until the connection ends; only in responses.
    UntilClose,
}

impl Framing {
    /// Is it known from the head that no byte of body follows?
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// Reads a `Content-Length`: digits only. Leading zeros are harmless, since everyone reads them
/// alike; signs, blanks, commas and what is over [`LENGTH_BYTES_MAX`] are not.
pub(crate) fn content_length(value: &[u8]) -> Result<u64, Error> {
    if value.is_empty() {
        return Err(Error::BadContentLength);
    }
    let mut length = 0u64;
    for octet in value {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Error::BadContentLength);
        }
        length = length
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit)))
            .filter(|&length| length <= LENGTH_BYTES_MAX)
            .ok_or(Error::BadContentLength)?;
    }
    Ok(length)
}

/// Judges a `Transfer-Encoding`: exactly one `chunked`, in any case.
///
/// # Errors
/// [`Error::UnknownTransferCoding`] (501) where the value is well-formed and ends in `chunked` or
/// lacks it, but names another coding; [`Error::BadTransferEncoding`] (400) for everything else.
pub(crate) fn transfer_encoding(value: &[u8]) -> Result<(), Error> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    // From here it is refused; what is left is to say why. `chunked` anywhere but at the end, or
    // with parameters, and the old `identity`, are faults; other codings are merely unknown.
    let mut chunked_seen = false;
    for coding in value.split(|&octet| octet == b',').map(trim_ows) {
        let mut parts = coding.split(|&octet| octet == b';').map(trim_ows);
        let name = parts.next().unwrap_or_default();
        let is_chunked = name.eq_ignore_ascii_case(b"chunked");
        let has_parameters = parts.next().is_some();
        if !is_token(name)
            || chunked_seen
            || name.eq_ignore_ascii_case(b"identity")
            || (is_chunked && has_parameters)
        {
            return Err(Error::BadTransferEncoding);
        }
        chunked_seen |= is_chunked;
    }
    Err(Error::UnknownTransferCoding)
}
