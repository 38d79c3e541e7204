//! The head of a request, written anew for the function's own server.
//!
//! Fields go through as they came but for those that concern one connection only. `Host` stays the
//! client's, as of-watchdog has it: functions make links of it. Nothing is added to a request: what
//! a gateway has to say (`X-Forwarded-*`, `X-Call-Id`) it has said.

use conduit::offered_protocol;
use wire::{Framing, RequestHead, Version, encode};

use crate::config::Http;

/// Writes the head of a request. Where the body is to be collected first, it is left open for
/// [`end_collected`].
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    use wire::{Limits, Parsed};

    use crate::config::UpstreamUrl;
    use crate::mode::head::end_collected;

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
            end_collected(&mut head, 5);
            assert_eq!(
                String::from_utf8(head).unwrap(),
                "POST / HTTP/1.1\r\nHost: x\r\nX-A: b\r\nContent-Length: 5\r\n\r\n"
            );
        }
        let bare = request("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &buffered);
        assert!(bare.ends_with("\r\n\r\n"), "{bare}");
    }
}
