//! The bytes that are written.

use super::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_request_line_joins_the_parts_of_its_target() {
    let line = written(|out| request_line(out, Method::GET, &[b"/a", b"", b"/b?c"]));
    assert_eq!(line, "GET /a/b?c HTTP/1.1\r\n");
}

#[test]
fn a_status_line_has_the_standard_phrase_or_none() {
    for (status, line) in [
        (100, "HTTP/1.1 100 Continue\r\n"),
        (200, "HTTP/1.1 200 OK\r\n"),
        (431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        (299, "HTTP/1.1 299 \r\n"),
        (999, "HTTP/1.1 999 \r\n"),
    ] {
        assert_eq!(written(|out| status_line(out, status)), line);
    }
    assert_eq!(
        (reason_phrase(504), reason_phrase(418)),
        ("Gateway Timeout", "")
    );
}

#[test]
fn headers_are_written_with_one_space() {
    assert_eq!(written(|out| header(out, "A", "b c")), "A: b c\r\n");
    assert_eq!(written(|out| header(out, b"A", b"")), "A: \r\n");
    assert_eq!(
        written(|out| header_u64(out, "A", u64::MAX)),
        "A: 18446744073709551615\r\n"
    );
    assert_eq!(written(end_of_headers), "\r\n");
}

#[test]
#[should_panic(expected = "a header value has no line end")]
#[cfg(debug_assertions)]
fn a_line_end_in_our_own_header_is_our_own_fault() {
    header(&mut Vec::new(), "A", "b\r\nC: d");
}

#[test]
fn chunk_sizes_are_hexadecimal_without_leading_zeros() {
    for (len, line) in [(1, "1"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000")] {
        assert_eq!(written(|out| chunk_header(out, len)), format!("{line}\r\n"));
    }
    assert_eq!(
        written(|out| chunk_header(out, u64::MAX)),
        "ffffffffffffffff\r\n"
    );
}
