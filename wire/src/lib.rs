//! The HTTP/1 codec that gateway and watchdog share: bytes in, values out.
//!
//! A proxy is only as safe as its reading of a message agrees with everybody else's. This crate
//! therefore reads strictly by RFC 9110 and RFC 9112 and refuses what could be read in two ways
//! (both `Content-Length` and `Transfer-Encoding`, bare CR or LF, folded lines, odd chunk sizes)
//! instead of guessing. `httparse` splits a head into its parts; the rooms here judge the parts.
//!
//! The tree in reading order:
//! - [`Limits`]: how much of everything is accepted.
//! - [`parse_request`], [`parse_response`]: one head out of the front of a buffer.
//! - [`Headers`]: the fields of a head, walked without an index.
//! - [`Framing`] and [`BodyDecoder`]: where the body ends.
//! - [`names_json`]: the form in which a client reads errors.
//! - [`encode`]: the way back, into a caller's `Vec<u8>`.
//! - [`duration`]: lengths of time as headers and settings of functions write them.
//! - [`Error`]: why a message was refused, with the status a client is told.
//!
//! What it does not do: no sockets, no clock, no allocation while parsing, no routing, no
//! normalisation of paths, no HTTP/2. It never panics on what came from a network.
#![forbid(unsafe_code)]

mod limits;

mod head;
mod method;
mod request;
mod response;

mod diagnose;
mod fields;
mod target;

mod headers;

mod body;
mod chunked;
mod framing;

mod accept;
pub mod duration;
pub mod encode;

mod error;

mod octets;

pub use accept::names_json;
pub use body::{BodyDecoder, RawStep, Step};
pub use error::Error;
pub use framing::Framing;
pub use head::{Parsed, Version};
pub use headers::{Header, Headers, Iter};
pub use limits::{
    CHUNK_EXTENSION_BYTES_MAX, HEADERS_CAP, LENGTH_BYTES_MAX, Limits, NOMINATING_BYTES_MAX,
    TRAILER_BYTES_MAX, TRAILERS_MAX,
};
pub use method::Method;
pub use request::{RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};
