//! Every limit of the codec, with its unit in its name.
//!
//! What a caller may choose is in [`Limits`]; the rest are constants, because nobody honest comes
//! near them. This file does not enforce anything: each limit is applied where its bytes are read.

/// Header slots a head is split into, on the stack. [`Limits::headers_max`] cannot exceed it.
pub const HEADERS_CAP: usize = 128;

/// Longest extension of one chunk in bytes, its `;` included.
pub const CHUNK_EXTENSION_BYTES_MAX: u16 = 256;

/// Longest trailer section of a chunked body in bytes, line ends included.
pub const TRAILER_BYTES_MAX: u16 = 8 * 1024;

/// Most lines in a trailer section: whoever reads it next has a limit, too.
pub const TRAILERS_MAX: u8 = 64;

/// Largest `Content-Length` and largest chunk in bytes.
///
/// Many peers read lengths into a signed 64-bit number. A length that turns negative there, but
/// not here, would let the two of us disagree about where the message ends.
pub const LENGTH_BYTES_MAX: u64 = i64::MAX as u64;

/// Longest `Connection` value in bytes that names other fields than the usual ones.
///
/// Every field of the head is looked up in it, so its length multiplies with their number.
pub const NOMINATING_BYTES_MAX: usize = 256;

/// How much of a head is accepted. What is over a limit is refused with 414 or 431.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest head in bytes, from its first byte to the blank line inclusive.
    pub head_bytes_max: usize,
    /// Most field lines in a head; values above [`HEADERS_CAP`] mean [`HEADERS_CAP`].
    pub headers_max: usize,
    /// Longest request target in bytes.
    pub target_bytes_max: usize,
}

impl Limits {
    /// 64 KiB of head, 100 field lines, 16 KiB of target.
    pub const DEFAULT: Self = Self {
        head_bytes_max: 64 * 1024,
        headers_max: 100,
        target_bytes_max: 16 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = {
    assert!(Limits::DEFAULT.headers_max <= HEADERS_CAP);
    // Otherwise a long target would be reported as a large head.
    assert!(Limits::DEFAULT.target_bytes_max < Limits::DEFAULT.head_bytes_max);
};
