//! The walk over fields, and what is left of them for the next hop.

use crate::{Limits, Parsed, RequestHead, parse_request};

fn head(input: &[u8]) -> RequestHead<'_> {
    match parse_request(input, &Limits::DEFAULT) {
        Ok(Parsed::Complete { head, .. }) => head,
        other => panic!("{other:?} for {}", input.escape_ascii()),
    }
}

fn names(head: &RequestHead<'_>) -> Vec<String> {
    head.headers
        .iter()
        .filter(|header| !head.headers.is_hop_by_hop(header.name))
        .map(|header| String::from_utf8_lossy(header.name).into())
        .collect()
}

const MIXED: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nAccept:*/*\r\nTE: trailers\r\nX-A: 1\r\n\
    Connection: close, X-B, te,,x-g\r\nx-b: 2\r\nX-C:  3\r\nX-D: \r\nX-E:\r\nX-F: a: b\r\n\
    Keep-Alive: 5\r\nconnection: keep-alive\r\nTrailer: z\r\nX-G: 4\r\nX-H: 5 \r\nUpgrade: u\r\n\
    Proxy-Connection: close\r\nProxy-Authorization: p\r\nX-A: 6\r\n\r\n";

#[test]
fn fields_come_in_order_and_are_found_in_any_case() {
    let head = head(MIXED);
    assert_eq!(head.headers.iter().count(), 19);
    assert_eq!(head.headers.get("ACCEPT"), Some(&b"*/*"[..]));
    assert_eq!(head.headers.get("x-f"), Some(&b"a: b"[..]));
    assert_eq!(head.headers.get("x-z"), None);
    assert_eq!(
        head.headers.get_all("x-a").collect::<Vec<_>>(),
        [b"1", b"6"]
    );
    assert_eq!(
        head.headers.into_iter().last().map(|last| last.value),
        Some(&b"6"[..])
    );
}

#[test]
fn hop_by_hop_fields_stay_behind() {
    assert_eq!(
        names(&head(MIXED)),
        [
            "Host", "Accept", "X-A", "X-C", "X-D", "X-E", "X-F", "Trailer", "X-H", "X-A"
        ]
    );
}

#[test]
fn every_field_of_one_hop_is_known() {
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Authentication-Info",
        "TE",
        "Transfer-Encoding",
        "Upgrade",
    ] {
        assert!(super::is_hop_by_hop_by_nature(name.as_bytes()), "{name}");
        assert!(
            super::is_hop_by_hop_by_nature(name.to_ascii_lowercase().as_bytes()),
            "{name}"
        );
    }
    for name in ["Content-Length", "Host", "Trailer", "Upgrades", "T", ""] {
        assert!(!super::is_hop_by_hop_by_nature(name.as_bytes()), "{name}");
    }
}

#[test]
fn a_copy_holds_what_is_kept_in_plain_lines() {
    let mut out = b"before|".to_vec();
    head(MIXED)
        .headers
        .copy_end_to_end(&mut out, |header| !header.is("x-d"));
    assert_eq!(
        out.escape_ascii().to_string(),
        b"before|Host: a\r\nAccept: */*\r\nX-A: 1\r\nX-C: 3\r\nX-E: \r\nX-F: a: b\r\nTrailer: z\r\n\
            X-H: 5\r\nX-A: 6\r\n"
            .escape_ascii()
            .to_string()
    );
}

#[test]
fn a_line_that_only_looks_plain_by_length_is_written_anew() {
    let mut out = Vec::new();
    head(b"GET / HTTP/1.0\r\nA:b \r\nC:d\t\r\nE:\tf\r\n\r\n")
        .headers
        .copy_end_to_end(&mut out, |_| true);
    assert_eq!(out.escape_ascii().to_string(), r"A: b\r\nC: d\r\nE: f\r\n");
}

#[test]
fn a_head_without_fields_has_none() {
    let head = head(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(head.headers.iter().count(), 0);
    let mut out = Vec::new();
    head.headers.copy_end_to_end(&mut out, |_| true);
    assert!(out.is_empty());
}

#[test]
fn debug_output_names_fields_but_keeps_their_values() {
    let head = head(b"GET / HTTP/1.0\r\nAuthorization: secret\r\n\r\n");
    let text = format!("{head:?}");
    assert!(text.contains("Authorization") && !text.contains("secret"));
}
