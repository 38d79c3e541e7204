//! Writes heads and chunk framing, appended to a caller's `Vec<u8>`.
//!
//! A caller keeps its `Vec` from message to message, so that nothing is allocated once it has
//! grown. Names and values come from a head that was judged or from our own code; here they are
//! only checked in debug builds. Nothing is written that was not asked for: no `Date`, no `Server`.

mod reason;

use crate::method::Method;
use crate::octets::{is_token, is_value_octet};

pub use reason::reason_phrase;

/// The last chunk of a body, without trailers (RFC 9112 §7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What follows the payload of every other chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The interim response that a client with `Expect: 100-continue` waits for (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends `METHOD SP target SP HTTP/1.1 CRLF`; the target is the parts one after the other, so
/// that a rewritten path needs no buffer of its own.
pub fn request_line(out: &mut Vec<u8>, method: Method<'_>, target_parts: &[&[u8]]) {
    debug_assert!(target_parts.iter().any(|part| !part.is_empty()));
    debug_assert!(
        target_parts
            .iter()
            .all(|part| part.iter().all(u8::is_ascii_graphic))
    );
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    for part in target_parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Appends `HTTP/1.1 SP status SP reason CRLF` with the standard reason phrase; a status without
/// one gets an empty phrase. `status` is 100 to 999.
pub fn status_line(out: &mut Vec<u8>, status: u16) {
    debug_assert!((100..=999).contains(&status));
    if let Some(line) = reason::standard_status_line(status) {
        out.extend_from_slice(line);
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    // The space is due even without a phrase (RFC 9112 §4).
    out.extend_from_slice(b" \r\n");
}

/// Appends `name: value CRLF`.
pub fn header(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
    let (name, value) = (name.as_ref(), value.as_ref());
    debug_assert!(is_token(name), "a header name is a token");
    debug_assert!(
        value.iter().copied().all(is_value_octet),
        "a header value has no line end"
    );
    // One check of the capacity for the whole line.
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: number CRLF`.
pub fn header_u64(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: u64) {
    header(out, name, itoa::Buffer::new().format(value));
}

/// Appends the blank line that ends a head.
pub fn end_of_headers(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the size line of a chunk of `len` bytes. Its payload and [`CHUNK_END`] must follow.
///
/// `len` is not 0: that would be the last chunk, see [`LAST_CHUNK`].
pub fn chunk_header(out: &mut Vec<u8>, len: u64) {
    debug_assert!(len > 0, "a chunk of no bytes would end the body");
    let digits = (u64::BITS - len.leading_zeros()).div_ceil(4).max(1);
    for index in (0..digits).rev() {
        let digit = len >> (index * 4) & 0xf;
        out.push(b"0123456789abcdef"[usize::try_from(digit).unwrap_or(0)]);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
