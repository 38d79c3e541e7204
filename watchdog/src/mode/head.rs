//! Heads that are the same for every function that speaks HTTP: the end of a request whose body was
//! collected, and an answer as its client gets it.
//!
//! What it does not do: the rest of a request's head, in which the modes differ.

use std::time::Duration;

use conduit::{BodyError, Passage, Pump};
use net::{Chunk, ChunkMut};
use wire::{ResponseHead, Version, encode};

use crate::clock;

/// Ends the head of a request whose body was collected.
pub(crate) fn end_collected(out: &mut Vec<u8>, body_bytes: usize) {
    let length = u64::try_from(body_bytes).unwrap_or(u64::MAX);
    encode::header_u64(out, "Content-Length", length);
    encode::end_of_headers(out);
}

/// What the head of an answer says in our words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dress {
    pub(crate) passage: Passage,
    pub(crate) version: Version,
    /// Whether the client's connection goes on.
    pub(crate) keep: bool,
    /// How long the function took to answer.
    pub(crate) took: Duration,
}

/// The beginning of an answer as it goes out.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The head, and what there is of the body where that needs no large copy.
    pub(crate) head: Chunk,
    /// What there is of the body, where it does.
    pub(crate) piece: Chunk,
    /// The state of the body after that.
    pub(crate) pump: Pump,
}

impl Opening {
    /// Takes what belongs to the body from the front of `unread`.
    ///
    /// # Errors
    /// As [`Pump::take`].
    pub(crate) fn new(
        answer: &ResponseHead<'_>,
        dress: Dress,
        unread: &mut Chunk,
    ) -> Result<Self, BodyError> {
        let mut out = ChunkMut::new();
        encode_answer(&mut out, answer, dress);
        let mut pump = Pump::new(answer.framing, dress.passage.reframe, None);
        let mut piece = pump.take(unread)?;
        if piece.len() <= out.room() {
            out.extend_from_slice(&piece);
            piece = Chunk::default();
        }
        Ok(Self {
            head: out.freeze(),
            piece,
            pump,
        })
    }
}

/// Writes the head of an answer as the client gets it.
fn encode_answer(out: &mut Vec<u8>, answer: &ResponseHead<'_>, dress: Dress) {
    encode::status_line(out, answer.status);
    let mut has_date = false;
    // RFC 9110, 8.6: an answer that can have no body has no length either.
    let no_length = answer.status == 204;
    answer.headers.copy_end_to_end(out, |header| {
        match header.name.len() {
            4 => has_date |= header.is("date"),
            14 if no_length => return !header.is("content-length"),
            18 => return !header.is("x-duration-seconds"),
            _ => {}
        }
        true
    });
    if !has_date {
        // RFC 9110, 6.6.1: a recipient with a clock adds it.
        clock::http_date(|date| encode::header(out, "Date", date));
    }
    duration_header(out, dress.took);
    if dress.passage.chunked {
        encode::header(out, "Transfer-Encoding", "chunked");
    }
    match (dress.keep, dress.version) {
        (false, _) => encode::header(out, "Connection", "close"),
        (true, Version::Http10) => encode::header(out, "Connection", "keep-alive"),
        (true, Version::Http11) => {}
    }
    encode::end_of_headers(out);
}

/// `X-Duration-Seconds: 0.001234`. By hand, since formatting a float costs more than all of the
/// other lines.
fn duration_header(out: &mut Vec<u8>, took: Duration) {
    out.extend_from_slice(b"X-Duration-Seconds: ");
    out.extend_from_slice(itoa::Buffer::new().format(took.as_secs()).as_bytes());
    // The leading one keeps the zeros behind it.
    let micros = took.subsec_micros() + 1_000_000;
    out.push(b'.');
    out.extend_from_slice(&itoa::Buffer::new().format(micros).as_bytes()[1..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    use wire::{Limits, Method, Parsed};

    #[test]
    fn an_answer_says_how_long_it_took_and_how_the_connection_goes_on() {
        let answer = |text: &str, keep, version| {
            let parsed = wire::parse_response(text.as_bytes(), Method::GET, &Limits::DEFAULT);
            let Ok(Parsed::Complete { head, .. }) = parsed else {
                panic!("the test's head is not complete")
            };
            let mut out = Vec::new();
            let dress = Dress {
                passage: Passage::of(head.framing, version),
                version,
                keep,
                took: Duration::from_micros(12_000_034),
            };
            encode_answer(&mut out, &head, dress);
            String::from_utf8(out).unwrap()
        };
        let sent = "HTTP/1.1 200 Fine\r\nDate: now\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\n\
                    X-Duration-Seconds: 9\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(
            answer(sent, true, Version::Http11),
            "HTTP/1.1 200 OK\r\nDate: now\r\nX-Duration-Seconds: 12.000034\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            answer(sent, false, Version::Http10),
            "HTTP/1.1 200 OK\r\nDate: now\r\nX-Duration-Seconds: 12.000034\r\nConnection: close\r\n\r\n"
        );
        let none = answer(
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            true,
            Version::Http10,
        );
        assert!(
            !none.contains("Content-Length") && none.contains("\r\nDate: "),
            "{none}"
        );
        assert!(none.contains("\r\nConnection: keep-alive\r\n"), "{none}");
    }
}
