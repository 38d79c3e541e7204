//! The parts of heads that all our proxies treat alike: which switch of protocols they let through,
//! and the two answers that pass as they are.
//!
//! What it does not do: final answers and requests, to which each proxy adds its own fields.

use wire::{RequestHead, ResponseHead, encode};

/// The protocol that the client offers to switch to, if the offer may be passed on: WebSocket
/// alone. Others (`h2c`, `TLS/1.0`) would carry requests past our eyes.
#[must_use]
pub fn offered_protocol<'b>(head: &RequestHead<'b>) -> Option<&'b [u8]> {
    // The flag first: it is known from parsing, and nearly every request ends here.
    if !head.upgrade || !head.framing.is_empty() {
        return None;
    }
    let offered = head.headers.get("upgrade")?;
    offered
        .eq_ignore_ascii_case(b"websocket")
        .then_some(offered)
}

/// Writes the answer that accepts a switch of protocols.
pub fn encode_switch(out: &mut Vec<u8>, answer: &ResponseHead<'_>) {
    encode::status_line(out, answer.status);
    answer.headers.copy_end_to_end(out, |_| true);
    encode::header(out, "Connection", "Upgrade");
    if let Some(protocol) = answer.headers.get("upgrade") {
        encode::header(out, "Upgrade", protocol);
    }
    encode::end_of_headers(out);
}

/// Writes an interim answer (103 and the like), which goes through as it is.
pub fn encode_interim(out: &mut Vec<u8>, answer: &ResponseHead<'_>) {
    encode::status_line(out, answer.status);
    answer
        .headers
        .copy_end_to_end(out, |header| !header.is("content-length"));
    encode::end_of_headers(out);
}
