//! The request as one JSON document on standard input, for `marshal_request=true`:
//! `{"header": {"Name": ["value"]}, "body": {"raw": "base64"}}`.
//!
//! The body is encoded as it streams by; only up to two bytes wait for a third.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wire::RequestHead;

use crate::by_name::by_name;
use crate::json;

/// Writes one document.
#[derive(Debug)]
pub(crate) struct Marshal {
    /// What goes before the encoded body.
    start: Vec<u8>,
    /// Bytes that do not fill a group of three yet.
    rest: Vec<u8>,
}

impl Marshal {
    pub(crate) fn new(head: &RequestHead<'_>) -> Self {
        let mut start = b"{\"header\":{".to_vec();
        for (nth, (header, values)) in by_name(head.headers).enumerate() {
            if nth > 0 {
                start.push(b',');
            }
            json::string(&mut start, &canonical(header.name));
            start.extend_from_slice(b":[");
            for (nth, value) in values.enumerate() {
                if nth > 0 {
                    start.push(b',');
                }
                json::string(&mut start, value);
            }
            start.push(b']');
        }
        start.extend_from_slice(b"},\"body\":{\"raw\":\"");
        Self {
            start,
            rest: Vec::new(),
        }
    }

    /// Encodes the next bytes of the body, and the beginning of the document before the first.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.start);
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.len() - self.rest.len() % 3;
        out.extend_from_slice(STANDARD.encode(&self.rest[..whole]).as_bytes());
        self.rest.drain(..whole);
        out
    }

    /// Ends the document.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.start);
        out.extend_from_slice(STANDARD.encode(&self.rest).as_bytes());
        out.extend_from_slice(b"\"}}");
        out
    }
}

/// `content-type` as `Content-Type`, which is how Go programs know headers.
fn canonical(name: &[u8]) -> Vec<u8> {
    let mut is_first = true;
    let capital = |byte: &u8| {
        let byte = if is_first {
            byte.to_ascii_uppercase()
        } else {
            byte.to_ascii_lowercase()
        };
        is_first = byte == b'-';
        byte
    };
    name.iter().map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Limits, Parsed};

    fn document(pieces: &[&[u8]]) -> String {
        let head =
            b"POST / HTTP/1.1\r\nHost: x\r\nx-a: 1\r\nX-A: \"2\"\r\nContent-Length: 9\r\n\r\n";
        let Parsed::Complete { head, .. } = wire::parse_request(head, &Limits::DEFAULT).unwrap()
        else {
            panic!("the test's head is not complete");
        };
        let mut marshal = Marshal::new(&head);
        let mut out: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| marshal.push(piece))
            .collect();
        out.extend(marshal.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn is_the_same_however_the_body_arrives() {
        let want = "{\"header\":{\"Host\":[\"x\"],\"X-A\":[\"1\",\"\\\"2\\\"\"],\"Content-Length\":[\"9\"]},\
                    \"body\":{\"raw\":\"aGVsbG8gdHU=\"}}";
        assert_eq!(document(&[b"hello tu"]), want);
        assert_eq!(document(&[b"h", b"el", b"", b"lo t", b"u"]), want);
    }

    #[test]
    fn an_empty_body_is_an_empty_string() {
        assert!(document(&[]).ends_with("\"body\":{\"raw\":\"\"}}"));
    }
}
