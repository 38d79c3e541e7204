//! The two heads, written anew: the request for the replica, the answer for the client.
//!
//! Fields go through as they came but for those that concern one connection only, and those
//! that a gateway adds (the reference system's `X-Call-Id` and `X-Start-Time`, and the usual
//! `X-Forwarded-*`).

use conduit::offered_protocol;
use wire::{Framing, Header, ResponseHead, Version, encode};

use super::{Call, CallId};
use crate::{snapshot::Replica, worker::Client};

/// Writes the request as the replica gets it.
pub(crate) fn encode_request(
    out: &mut Vec<u8>,
    call: &Call<'_>,
    client: &Client,
    replica: &Replica,
) {
    let head = call.head;
    encode::request_line(out, head.method, &call.target());
    encode::header(out, "Host", replica.authority.as_bytes());
    head.headers
        .copy_end_to_end(out, |header| !is_rewritten(header));
    match head.framing {
        Framing::Chunked => encode::header(out, "Transfer-Encoding", "chunked"),
        // Some servers wait for a body, or answer 411, when such a request does not say.
        Framing::None if matches!(head.method.as_str(), "POST" | "PUT" | "PATCH") => {
            encode::header(out, "Content-Length", "0");
        }
        _ => {}
    }
    if let Some(protocol) = offered_protocol(head) {
        encode::header(out, "Connection", "Upgrade");
        encode::header(out, "Upgrade", protocol);
    } else if head.te_trailers {
        // They go through, so the client's word holds for us as well.
        encode::header(out, "Connection", "TE");
        encode::header(out, "TE", "trailers");
    }
    extend_list(out, call, "X-Forwarded-For", client.address.as_bytes());
    if let Some(host) = head.host {
        extend_list(out, call, "X-Forwarded-Host", host);
    }
    extend_list(out, call, "X-Forwarded-Proto", b"http");
    if let CallId::Made(id) = &call.id {
        encode::header(out, "X-Call-Id", id);
    }
    encode::header_u64(out, "X-Start-Time", call.start_time_ns);
    encode::end_of_headers(out);
}

/// Fields that the replica gets in our words, not the client's. Most names differ in length from
/// all of these, and then cost one comparison.
fn is_rewritten(header: Header<'_>) -> bool {
    match header.name.len() {
        4 => header.is("host"),
        6 => header.is("expect"),
        12 => header.is("x-start-time"),
        15 => header.is("x-forwarded-for"),
        16 => header.is("x-forwarded-host"),
        17 => header.is("x-forwarded-proto"),
        _ => false,
    }
}

/// Writes a list field: what came, then what we know ourselves. A reader that trusts only its
/// nearest proxy takes the last element.
fn extend_list(out: &mut Vec<u8>, call: &Call<'_>, name: &str, own: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for value in call.head.headers.get_all(name) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(own);
    out.extend_from_slice(b"\r\n");
}

/// How the answer's end is shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dress<'a> {
    /// Whether the body goes out in chunks.
    pub(crate) chunked: bool,
    /// Whether the client's connection goes on.
    pub(crate) keep_alive: bool,
    /// The value of `Date`, for answers that bring none.
    pub(crate) date: &'a [u8],
}

/// Writes the answer as the client gets it.
pub(crate) fn encode_answer(
    out: &mut Vec<u8>,
    call: &Call<'_>,
    answer: &ResponseHead<'_>,
    dress: Dress<'_>,
) {
    encode::status_line(out, answer.status);
    let (mut has_date, mut has_id, mut has_start) = (false, false, false);
    // RFC 9110, 8.6: an answer that can have no body has no length either.
    let no_length = answer.status == 204;
    answer.headers.copy_end_to_end(out, |header| {
        match header.name.len() {
            4 => has_date |= header.is("date"),
            9 => has_id |= header.is("x-call-id"),
            12 => has_start |= header.is("x-start-time"),
            14 if no_length => return !header.is("content-length"),
            _ => {}
        }
        true
    });
    if !has_date {
        // RFC 9110, 6.6.1: a recipient with a clock adds it.
        encode::header(out, "Date", dress.date);
    }
    if !has_id {
        encode::header(out, "X-Call-Id", call.id.as_bytes());
    }
    if !has_start {
        encode::header_u64(out, "X-Start-Time", call.start_time_ns);
    }
    if dress.chunked {
        encode::header(out, "Transfer-Encoding", "chunked");
    }
    if answer.status == 426
        && let Some(protocols) = answer.headers.get("upgrade")
    {
        // RFC 9110, 15.5.22: the client is told what to switch to.
        encode::header(out, "Upgrade", protocols);
    }
    match (dress.keep_alive, call.head.version) {
        (false, _) => encode::header(out, "Connection", "close"),
        (true, Version::Http10) => encode::header(out, "Connection", "keep-alive"),
        (true, Version::Http11) => {}
    }
    encode::end_of_headers(out);
}
