//! What the heads of requests and responses have in common: how a head is cut out of a buffer.
//!
//! `httparse` finds the parts with vector instructions but is lenient about line ends. The check
//! here costs two bytes a line instead of a second pass: `httparse` lets no LF into a name or a
//! value, so the only place for a bare LF is the end of a line, and every line ends right before
//! the next one's name. What the parts mean is judged elsewhere.

use std::mem::MaybeUninit;

use crate::error::Error;
use crate::fields::Fields;
use crate::headers::Headers;
use crate::limits::{HEADERS_CAP, Limits};

/// The version of a message. Others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// `HTTP/1.0`, RFC 1945.
    Http10,
    /// `HTTP/1.1`, RFC 9112.
    Http11,
}

impl Version {
    /// `minor` is what `httparse` gives for the two versions that it knows.
    pub(crate) const fn from_minor(minor: Option<u8>) -> Self {
        match minor {
            Some(1) => Self::Http11,
            _ => Self::Http10,
        }
    }

    /// Does the connection go on after this message, given its `Connection` options?
    /// RFC 9112 §9.3.
    pub(crate) const fn keeps_alive(self, close: bool, keep_alive: bool) -> bool {
        match self {
            Self::Http11 => !close,
            Self::Http10 => keep_alive && !close,
        }
    }
}

/// What the front of a buffer holds.
#[derive(Clone, Copy, Debug)]
pub enum Parsed<T> {
    /// A whole head.
    Complete {
        /// The head; it borrows from the buffer.
        head: T,
        /// Bytes of the buffer that the head takes, its blank line included. The body, or the next
        /// message, begins there.
        len: usize,
    },
    /// The beginning of a head that is right so far. Ask again with more bytes.
    Partial,
}

/// Room for the parts of a head. It is not filled before use, so its size costs nothing.
pub(crate) type Slots<'b> = [MaybeUninit<httparse::Header<'b>>; HEADERS_CAP];

/// Empty room for the parts of a head.
pub(crate) const fn slots<'b>() -> Slots<'b> {
    [const { MaybeUninit::uninit() }; HEADERS_CAP]
}

/// The part of `slots` that the limits allow to be used.
pub(crate) fn allowed<'s, 'b>(
    slots: &'s mut Slots<'b>,
    limits: &Limits,
) -> &'s mut [MaybeUninit<httparse::Header<'b>>] {
    &mut slots[..limits.headers_max.min(HEADERS_CAP)]
}

/// The front of `buf` in which a head must end.
///
/// Cutting it here makes the verdict on a head that is too large the same however its bytes arrive.
pub(crate) fn window<'b>(buf: &'b [u8], limits: &Limits) -> &'b [u8] {
    buf.get(..limits.head_bytes_max).unwrap_or(buf)
}

/// The verdict on a head that does not end within `window`.
pub(crate) const fn partial<T>(window: &[u8], limits: &Limits) -> Result<Parsed<T>, Error> {
    if window.len() >= limits.head_bytes_max {
        return Err(Error::HeadTooLarge);
    }
    Ok(Parsed::Partial)
}

/// Checks the line ends of `head` and reads the fields that this codec cares for.
///
/// `head` is the bytes of the head with its blank line; `headers` are its parts; `fields` is empty.
pub(crate) fn judge<'b>(
    head: &'b [u8],
    headers: &[httparse::Header<'b>],
    fields: &mut Fields<'b>,
) -> Result<Headers<'b>, Error> {
    let mut block_start = head.len().saturating_sub(2);
    for (index, header) in headers.iter().enumerate() {
        let start = offset_in(head, header.name);
        if !head
            .get(..start)
            .is_some_and(|before| before.ends_with(b"\r\n"))
        {
            return Err(Error::BareLf);
        }
        if index == 0 {
            block_start = start;
        }
        fields.read(header.name.as_bytes(), header.value)?;
    }
    // Both the last line and the blank line: without fields, the last line is the first one.
    if !head.ends_with(b"\r\n\r\n") {
        return Err(Error::BareLf);
    }
    let block = head.get(block_start..head.len() - 2).unwrap_or_default();
    Ok(Headers::new(block, fields.nominating))
}

/// Where `part` begins in `whole`; `httparse` gives slices, not positions.
fn offset_in(whole: &[u8], part: &str) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
}
