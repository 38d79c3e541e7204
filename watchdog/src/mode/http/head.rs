//! The two heads, written anew: the request for the function's own server, its answer for the
//! client.
//!
//! Fields go through as they came but for those that concern one connection only. `Host` stays the
//! client's, as of-watchdog has it: functions make links of it. Nothing is added to a request: what
//! a gateway has to say (`X-Forwarded-*`, `X-Call-Id`) it has said.

use std::time::Duration;

use conduit::{Passage, offered_protocol};
use wire::{Framing, RequestHead, ResponseHead, Version, encode};

use crate::clock;
use crate::config::Http;

/// Writes the head of a request. Where the body is to be collected first, it is left open for
/// [`end_buffered`].
pub(crate) fn encode_request(out: &mut Vec<u8>, head: &RequestHead<'_>, http: &Http) {
    let prefix = match head.target {
        b"*" => "",
        _ => http.upstream.prefix.as_str(),
    };
    let [slash, target] = head.origin_form();
    encode::request_line(out, head.method, &[prefix.as_bytes(), slash, target]);
    if head.version == Version::Http10 && head.headers.get("host").is_none() {
        let host = head.host.unwrap_or(http.upstream.authority.as_bytes());
        encode::header(out, "Host", host);
    }
    let is_buffered = http.buffer_bytes_max.is_some() && !head.framing.is_empty();
    head.headers
        .copy_end_to_end(out, |header| match header.name.len() {
            6 => !header.is("expect"),
            14 if is_buffered => !header.is("content-length"),
            _ => true,
        });
    if offered_protocol(head).is_some() {
        encode::header(out, "Connection", "Upgrade");
        encode::header(out, "Upgrade", "websocket");
    } else if head.te_trailers {
        // They go through, so the client's word holds for us as well.
        encode::header(out, "Connection", "TE");
        encode::header(out, "TE", "trailers");
    }
    match head.framing {
        _ if is_buffered => return,
        Framing::Chunked => encode::header(out, "Transfer-Encoding", "chunked"),
        // Some servers wait for a body, or answer 411, when such a request does not say.
        Framing::None if matches!(head.method.as_str(), "POST" | "PUT" | "PATCH") => {
            encode::header(out, "Content-Length", "0");
        }
        _ => {}
    }
    encode::end_of_headers(out);
}

/// Ends the head of a request whose body was collected.
pub(super) fn end_buffered(out: &mut Vec<u8>, body_bytes: usize) {
    let length = u64::try_from(body_bytes).unwrap_or(u64::MAX);
    encode::header_u64(out, "Content-Length", length);
    encode::end_of_headers(out);
}

/// What the head of an answer says in our words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dress {
    pub(super) passage: Passage,
    pub(super) version: Version,
    /// Whether the client's connection goes on.
    pub(super) keep: bool,
    /// How long the function took to answer.
    pub(super) took: Duration,
}

/// Writes the head of an answer as the client gets it.
pub(super) fn encode_answer(out: &mut Vec<u8>, answer: &ResponseHead<'_>, dress: Dress) {
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
    use std::path::Path;

    use wire::{Limits, Method, Parsed};

    use crate::config::UpstreamUrl;

    fn http(buffer_bytes_max: Option<u64>, url: &str) -> Http {
        Http {
            upstream: UpstreamUrl::parse(url, Path::new("/tmp")).unwrap(),
            start_timeout: Duration::ZERO,
            tunnel_idle_timeout: None,
            ready_path: None,
            buffer_bytes_max,
        }
    }

    fn request(text: &str, http: &Http) -> String {
        let Ok(Parsed::Complete { head, .. }) =
            wire::parse_request(text.as_bytes(), &Limits::DEFAULT)
        else {
            panic!("the test's head is not complete")
        };
        let mut out = Vec::new();
        encode_request(&mut out, &head, http);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_goes_on_as_it_came_but_for_what_concerns_one_connection() {
        let plain = http(None, "http://127.0.0.1:5000");
        let sent = "POST /a/..%2f?b HTTP/1.1\r\nHost: shop.example\r\nConnection: close, x-own\r\nX-Own: 1\r\n\
                    Expect: 100-continue\r\nContent-Length: 3\r\nX-Call-Id: 7\r\n\r\n";
        assert_eq!(
            request(sent, &plain),
            "POST /a/..%2f?b HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\nX-Call-Id: 7\r\n\r\n"
        );
        assert_eq!(
            request(
                "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                &plain
            ),
            "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(
            request("POST / HTTP/1.0\r\n\r\n", &plain),
            "POST / HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_path_of_the_url_goes_in_front_of_every_path() {
        let based = http(None, "http://127.0.0.1:5000/base/");
        let first = |text: &str| request(text, &based).lines().next().unwrap().to_owned();
        assert_eq!(
            first("GET /x HTTP/1.1\r\nHost: x\r\n\r\n"),
            "GET /base/x HTTP/1.1"
        );
        assert_eq!(
            first("GET http://x?y HTTP/1.1\r\nHost: x\r\n\r\n"),
            "GET /base/?y HTTP/1.1"
        );
        assert_eq!(
            first("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
            "OPTIONS * HTTP/1.1"
        );
    }

    #[test]
    fn only_an_offer_of_websocket_is_passed_on() {
        let plain = http(None, "unix:x");
        for (offer, passes) in [
            ("WebSocket", true),
            ("h2c", false),
            ("websocket, h2c", false),
        ] {
            let sent = format!(
                "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {offer}\r\n\r\n"
            );
            let passed = request(&sent, &plain).contains("Connection: Upgrade\r\nUpgrade: ");
            assert_eq!(passed, passes, "{offer}");
        }
    }

    #[test]
    fn a_body_that_is_collected_first_gets_its_length_then() {
        let buffered = http(Some(100), "unix:x");
        for framing in ["Transfer-Encoding: chunked", "Content-Length: 5"] {
            let sent = format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\nX-A: b\r\n\r\n");
            let mut head = request(&sent, &buffered).into_bytes();
            end_buffered(&mut head, 5);
            assert_eq!(
                String::from_utf8(head).unwrap(),
                "POST / HTTP/1.1\r\nHost: x\r\nX-A: b\r\nContent-Length: 5\r\n\r\n"
            );
        }
        let bare = request("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &buffered);
        assert!(bare.ends_with("\r\n\r\n"), "{bare}");
    }

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
