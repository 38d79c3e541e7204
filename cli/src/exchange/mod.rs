//! One request to a function, whose body and answer may both stream and may both be endless.
//!
//! A function like `cat` answers while it still reads. A client that first sends all and then reads
//! would stand still as soon as the buffers between the two are full, so over plain TCP the body
//! has a thread of its own (`plain`). Over TLS (`tls`) the body is sent first: there the answer
//! must fit into the buffers on the way until the body has gone. Nothing of the gateway's
//! credentials is sent, since a function would see them.

mod plain;
mod tls;

use std::fmt;
use std::io::Read;

use crate::address::Address;
use crate::exit::Failure;

/// What to send.
pub(crate) struct Request {
    /// Method, a token.
    pub method: String,
    /// Path and query, as they go on the wire; only visible ASCII.
    pub target: String,
    /// Fields that were checked with [`check_header`].
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// The body of a request.
pub(crate) enum Body {
    /// None at all.
    None,
    /// One of known length in bytes.
    Sized(u64, Box<dyn Read + Send>),
    /// One whose length is known when it ends.
    Chunked(Box<dyn Read + Send>),
}

/// What came back: the head, and the body as it comes.
pub(crate) struct Response {
    /// HTTP status, 200 to 599.
    pub status: u16,
    /// Fields in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body without its framing; an error where it was broken off.
    pub body: Box<dyn Read>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Sized(..) => "Sized",
            Self::Chunked(_) => "Chunked",
        })
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// The first field of that name, ASCII case ignored.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }
}

/// Sends `request` to the gateway at `address`, and comes back with the head of the answer.
///
/// # Errors
/// Unavailable or protocol. A status is never an error here.
pub(crate) fn exchange(address: &Address, request: Request) -> Result<Response, Failure> {
    if address.tls() {
        tls::exchange(address, request)
    } else {
        plain::exchange(address, request)
    }
}

/// Checks a field that a user gave.
///
/// # Errors
/// A sentence: the name is no token, the value has control characters, or the field belongs to the
/// client itself.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), String> {
    if wire_name(name).is_none() {
        return Err(format!(
            "`{}` is not the name of a header",
            name.escape_default()
        ));
    }
    if [
        "content-length",
        "transfer-encoding",
        "connection",
        "expect",
        "te",
        "upgrade",
    ]
    .contains(&name.to_ascii_lowercase().as_str())
    {
        return Err(format!(
            "`{name}` is not yours to set: it is made from the body and the connection"
        ));
    }
    if value
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t')
    {
        return Err(format!("the value of `{name}` has control characters"));
    }
    Ok(())
}

/// Header names and methods are tokens of the same grammar (RFC 9110 §5.6.2).
fn wire_name(name: &str) -> Option<wire::Method<'_>> {
    wire::Method::new(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_before_they_are_sent() {
        assert_eq!(check_header("X-A", "b c\tö"), Ok(()));
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("X", "a\r\nB: c"),
            ("X", "\0"),
            ("Content-Length", "1"),
            ("TRANSFER-ENCODING", "x"),
        ] {
            assert!(check_header(name, value).is_err(), "{name} {value}");
        }
    }
}
