//! Against a second reader: what we accept, hyper accepts, with the same method, target, fields
//! and body, and the next request begins for both at the same byte.
//!
//! The other way round does not hold and need not: we refuse more. Where hyper refuses what we
//! accept, the exceptions are listed in [`hyper_refuses`], each with its reason.
#![no_main]

use fuzz::second_reader::{self, Seen};
use libfuzzer_sys::fuzz_target;
use wire::{BodyDecoder, Framing, Limits, Parsed, RequestHead, parse_request};

/// A second request, to see where the first has ended.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    let Ok(Parsed::Complete { head, len }) = parse_request(data, &Limits::DEFAULT) else {
        return;
    };
    let Some((body, end)) = read_body(head.framing, &data[len..]) else {
        return;
    };
    if hyper_refuses(&head) {
        return;
    }
    let mut input = data[..len + end].to_vec();
    input.extend_from_slice(NEXT);
    let seen = second_reader::read(&input);
    let Some(first) = seen.first() else {
        panic!("refused by hyper: {}", input.escape_ascii());
    };
    assert_eq!(*first, as_seen(&head, body), "{}", input.escape_ascii());
    if head.keep_alive {
        let second = seen.get(1).map(|second| second.target.as_str());
        assert_eq!(second, Some("/next"), "{}", input.escape_ascii());
    }
});

/// The body, and where it ends; `None` if it is refused or cut short.
fn read_body(framing: Framing, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut decoder = BodyDecoder::new(framing);
    let (mut body, mut at) = (Vec::new(), 0);
    while !decoder.is_done() {
        let rest = &bytes[at..];
        if rest.is_empty() {
            return None;
        }
        let step = decoder.decode(rest).ok()?;
        body.extend_from_slice(&rest[step.data]);
        at += step.consumed;
    }
    Some((body, at))
}

fn as_seen(head: &RequestHead<'_>, body: Vec<u8>) -> Seen {
    let mut headers: Vec<_> = head
        .headers
        .iter()
        .map(|header| {
            let name = String::from_utf8_lossy(header.name).to_ascii_lowercase();
            (name, header.value.to_vec())
        })
        .collect();
    headers.sort();
    Seen {
        method: head.method.as_str().to_owned(),
        target: String::from_utf8_lossy(&head.origin_form().concat()).into_owned(),
        headers,
        body: Some(body),
    }
}

/// Requests that we pass on and hyper does not.
fn hyper_refuses(head: &RequestHead<'_>) -> bool {
    // Its type for URIs knows characters that RFC 3986 does not allow unescaped; a gateway that
    // passes paths on as bytes leaves the judgement to the function.
    let odd =
        |byte: &u8| !byte.is_ascii_alphanumeric() && !b"-._~:/?[]@!$&'()*+,;=%|".contains(byte);
    head.target.iter().any(odd)
}
