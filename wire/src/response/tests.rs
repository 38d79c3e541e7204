//! Which response heads are accepted, with what framing. The refused ones are in `cases/`.

use super::*;

fn parse<'b>(input: &'b [u8], method: Method<'_>) -> Result<ResponseHead<'b>, Error> {
    match parse_response(input, method, &Limits::DEFAULT)? {
        Parsed::Complete { head, len } => {
            assert!(input[..len].ends_with(b"\r\n\r\n"));
            Ok(head)
        }
        Parsed::Partial => panic!("partial: {}", input.escape_ascii()),
    }
}

#[test]
fn a_whole_response_is_read_part_by_part() {
    let input = b"HTTP/1.1 404 Not\tF\xffund \r\nServer: x\r\nContent-Length: 3\r\n\r\nabc";
    let Ok(Parsed::Complete { head, len }) = parse_response(input, Method::GET, &Limits::DEFAULT)
    else {
        panic!("not complete");
    };
    assert_eq!(len, input.len() - 3);
    assert_eq!(head.status, 404);
    assert_eq!(head.reason, b"Not\tF\xffund ");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.framing, Framing::Length(3));
    assert!(head.keep_alive && !head.upgrade);
    assert_eq!(head.headers.get("server"), Some(&b"x"[..]));
}

#[test]
fn the_status_line_may_lack_a_reason_and_its_space() {
    for (line, reason) in [
        ("HTTP/1.1 200 OK", "OK"),
        ("HTTP/1.1 200 ", ""),
        ("HTTP/1.1 200", ""),
        ("HTTP/1.0 599 a b", "a b"),
        ("HTTP/1.1 200  OK", " OK"),
    ] {
        let input = format!("{line}\r\n\r\n");
        let head = parse(input.as_bytes(), Method::GET).unwrap();
        assert_eq!(head.reason, reason.as_bytes(), "{line:?}");
    }
}

#[test]
fn the_request_and_the_status_decide_about_the_body() {
    let length = "Content-Length: 5\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let none = Framing::None;
    for (method, status, fields, framing) in [
        ("GET", 200, length, Framing::Length(5)),
        ("GET", 200, chunked, Framing::Chunked),
        ("GET", 200, "", Framing::UntilClose),
        ("GET", 500, "", Framing::UntilClose),
        ("HEAD", 200, length, none),
        ("HEAD", 200, chunked, none),
        ("HEAD", 200, "", none),
        ("head", 200, length, Framing::Length(5)),
        ("GET", 204, length, none),
        ("GET", 204, "", none),
        ("GET", 205, "", Framing::UntilClose),
        ("GET", 304, length, none),
        ("GET", 304, chunked, none),
        ("GET", 100, "", none),
        ("GET", 103, length, none),
        ("GET", 101, "", none),
        ("CONNECT", 200, length, none),
        ("CONNECT", 299, chunked, none),
        ("CONNECT", 404, length, Framing::Length(5)),
    ] {
        let input = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        let head = parse(input.as_bytes(), Method::new(method).unwrap()).unwrap();
        assert_eq!(head.framing, framing, "{method} {input:?}");
        assert_eq!(
            head.keep_alive,
            framing != Framing::UntilClose,
            "{method} {input:?}"
        );
    }
}

#[test]
fn the_connection_goes_on_or_ends_as_version_and_options_say() {
    for (version, fields, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
    ] {
        let input = format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
        assert_eq!(
            parse(input.as_bytes(), Method::GET).unwrap().keep_alive,
            keep_alive,
            "{input:?}"
        );
    }
}

#[test]
fn only_a_101_with_both_fields_switches_protocols() {
    let both = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    for (status, fields, upgrade) in [
        (101, both, true),
        (200, both, false),
        (101, "Upgrade: websocket\r\n", false),
        (101, "Connection: upgrade\r\n", false),
    ] {
        let input = format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: 0\r\n\r\n");
        assert_eq!(
            parse(input.as_bytes(), Method::GET).unwrap().upgrade,
            upgrade,
            "{input:?}"
        );
    }
}

#[test]
fn a_response_does_not_need_a_host() {
    let head = parse(
        b"HTTP/1.1 200 OK\r\nHost: a\r\nHost: b\r\n\r\n",
        Method::GET,
    )
    .unwrap();
    assert_eq!(head.headers.get_all("host").count(), 2);
}
