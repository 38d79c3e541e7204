//! Which request heads are accepted, and with what meaning. The refused ones are in `cases/`.

use super::*;

/// The verdict on bytes that hold one head and perhaps more.
fn parse(input: &[u8]) -> Result<RequestHead<'_>, Error> {
    match parse_request(input, &Limits::DEFAULT)? {
        Parsed::Complete { head, .. } => Ok(head),
        Parsed::Partial => panic!("partial: {}", input.escape_ascii()),
    }
}

#[track_caller]
fn accept(input: &[u8]) -> RequestHead<'_> {
    match parse(input) {
        Ok(head) => head,
        Err(error) => panic!("{error:?} for {}", input.escape_ascii()),
    }
}

#[test]
fn a_whole_request_is_read_part_by_part() {
    let input = b"POST /function/wc/a?b=c HTTP/1.1\r\nHost: example.org:8080\r\n\
        X-Empty:\r\nX-Wide: \t a  b \t\r\nx-high: \xc3\xa9\r\nContent-Length: 0012\r\n\r\nhello";
    let Ok(Parsed::Complete { head, len }) = parse_request(input, &Limits::DEFAULT) else {
        panic!("not complete");
    };
    assert_eq!(len, input.len() - 5);
    assert_eq!(head.method, Method::POST);
    assert_eq!(head.target, b"/function/wc/a?b=c");
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.framing, Framing::Length(12));
    assert_eq!(head.host, Some(&b"example.org:8080"[..]));
    assert!(head.keep_alive && !head.expect_continue && !head.upgrade);
    assert_eq!(head.headers.get("x-empty"), Some(&b""[..]));
    assert_eq!(head.headers.get("X-WIDE"), Some(&b"a  b"[..]));
    assert_eq!(head.headers.get("X-High"), Some(&b"\xc3\xa9"[..]));
    assert_eq!(head.headers.iter().count(), 5);
}

#[test]
fn targets_are_reduced_to_origin_form() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", Some("a")),
        (
            "GET /%00%2f..//./x?y=?z HTTP/1.1\r\nHost: a\r\n\r\n",
            "/%00%2f..//./x?y=?z",
            Some("a"),
        ),
        (
            "GET /a|b{c}\"<>\\^`d HTTP/1.1\r\nHost: a\r\n\r\n",
            "/a|b{c}\"<>\\^`d",
            Some("a"),
        ),
        ("GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n", "//b/c", Some("a")),
        (
            "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
            "/b?c",
            Some("a"),
        ),
        (
            "GET HTTP://A:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
            "/",
            Some("a:80"),
        ),
        (
            "GET http://a?/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
            "?/b?c",
            Some("a"),
        ),
        (
            "OPTIONS http://a:1? HTTP/1.1\r\nHost: a:1\r\n\r\n",
            "?",
            Some("a:1"),
        ),
        ("GET https://a HTTP/1.1\r\nHost: a\r\n\r\n", "/", Some("a")),
        (
            "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
            "*",
            Some("a"),
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", Some("a")),
        ("GET http://a/b HTTP/1.0\r\n\r\n", "/b", Some("a")),
        ("GET /b HTTP/1.0\r\n\r\n", "/b", None),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "/", Some("")),
    ];
    for (input, target, host) in cases {
        let head = accept(input.as_bytes());
        assert_eq!(
            head.target.escape_ascii().to_string(),
            target.as_bytes().escape_ascii().to_string()
        );
        assert_eq!(head.host, host.map(str::as_bytes), "{input:?}");
    }
}

#[test]
fn a_target_has_a_path_even_where_none_was_sent() {
    let cases: &[(&str, &str, &str, Option<&str>)] = &[
        ("/a?b?c", "/a?b?c", "/a", Some("b?c")),
        ("/", "/", "/", None),
        ("//?", "//?", "//", Some("")),
        ("http://a", "/", "/", None),
        ("http://a?", "/?", "/", Some("")),
        ("http://a?/b", "/?/b", "/", Some("/b")),
        ("http://a/?b", "/?b", "/", Some("b")),
    ];
    for (target, origin, path, query) in cases {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = accept(text.as_bytes());
        assert_eq!(head.origin_form().concat(), origin.as_bytes(), "{target}");
        assert_eq!(head.path(), path.as_bytes(), "{target}");
        assert_eq!(head.query(), query.map(str::as_bytes), "{target}");
    }
    let star = accept(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((star.path(), star.query()), (&b"*"[..], None));
}

#[test]
fn hosts_are_names_and_addresses() {
    for host in [
        "a",
        "a.b-c_d~e",
        "a.",
        "127.0.0.1",
        "127.0.0.1:1",
        "a:65535",
        "a:",
        "[::1]",
        "[::1]:80",
        "[::ffff:1.2.3.4]",
        "a%41b",
        "xn--bcher-kva.example",
        "!$&'()*+,;=",
    ] {
        accept(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    }
    for host in [
        "a b", "a/b", "a?b", "a@b", "a\\b", "a:b", "a:65536", "a:000080", "a:1:2", ":80", "[",
        "[]", "[::1", "[::1]x", "[::1]:x", "[::g]", "[v1.a]", "::1", "a%4", "a%zz", "a%", "\"a\"",
        "a\u{e9}", "<a>", "a]", "http://a", "a#b",
    ] {
        let input = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(
            parse(input.as_bytes()).err(),
            Some(Error::BadHost),
            "{host}"
        );
    }
}

#[test]
fn any_token_is_a_method_and_case_counts() {
    for name in ["GET", "get", "BREW", "M-SEARCH", "X!#$%&'*+-.^_`|~9"] {
        let input = format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(accept(input.as_bytes()).method.as_str(), name);
    }
    assert!(Method::GET.is_safe() && Method::DELETE.is_idempotent());
    assert!(!Method::POST.is_idempotent() && !Method::DELETE.is_safe());
    assert!(Method::new("get").is_some_and(|get| !get.is_safe()));
    assert!(Method::new("G T").is_none() && Method::new("").is_none());
}

#[test]
fn the_connection_goes_on_or_ends_as_version_and_options_say() {
    for (version, connection, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: x, ,close ,\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nconnection: close\r\n",
            false,
        ),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n");
        assert_eq!(accept(input.as_bytes()).keep_alive, keep_alive, "{input:?}");
    }
}

#[test]
fn framing_is_read_from_one_field() {
    for (fields, framing) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("CONTENT-LENGTH:5\r\n", Framing::Length(5)),
        ("content-length: \t 007\t\r\n", Framing::Length(7)),
        (
            "Content-Length: 9223372036854775807\r\n",
            Framing::Length(crate::LENGTH_BYTES_MAX),
        ),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding:CHUNKED \r\n", Framing::Chunked),
        (
            "X-Content-Length: 5\r\nTransfer_Encoding: x\r\n",
            Framing::None,
        ),
    ] {
        let input = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(accept(input.as_bytes()).framing, framing, "{input:?}");
    }
}

#[test]
fn expectations_and_upgrades_count_only_where_they_can() {
    let with_body = "Content-Length: 1\r\nExpect: 100-Continue\r\n";
    for (version, fields, expect_continue, upgrade) in [
        ("1.1", with_body, true, false),
        (
            "1.1",
            "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
            true,
            false,
        ),
        ("1.1", "Expect: 100-continue\r\n", false, false),
        (
            "1.1",
            "Content-Length: 0\r\nExpect: 100-continue\r\n",
            false,
            false,
        ),
        ("1.0", with_body, false, false),
        (
            "1.1",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            false,
            true,
        ),
        (
            "1.1",
            "Connection: keep-alive, upgrade\r\nUpgrade: a/1, b\r\n",
            false,
            true,
        ),
        ("1.1", "Upgrade: websocket\r\n", false, false),
        ("1.1", "Connection: upgrade\r\n", false, false),
        (
            "1.0",
            "Connection: upgrade\r\nUpgrade: websocket\r\n",
            false,
            false,
        ),
    ] {
        let input = format!("POST / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        let head = accept(input.as_bytes());
        assert_eq!(
            (head.expect_continue, head.upgrade),
            (expect_continue, upgrade),
            "{input:?}"
        );
    }
}

#[test]
fn a_client_that_takes_trailers_says_so() {
    for (version, te, takes) in [
        ("1.1", "TE: trailers\r\n", true),
        ("1.1", "te: deflate;q=0.5, Trailers\r\n", true),
        ("1.1", "TE: gzip\r\nTE: trailers\r\n", true),
        ("1.1", "TE: trailers;q=1\r\n", false),
        ("1.1", "TE:\r\n", false),
        ("1.1", "", false),
        ("1.0", "TE: trailers\r\n", false),
    ] {
        let input = format!("GET / HTTP/{version}\r\nHost: a\r\n{te}\r\n");
        assert_eq!(accept(input.as_bytes()).te_trailers, takes, "{input:?}");
    }
}

#[test]
fn one_empty_line_before_a_request_is_skipped_and_counted() {
    let input = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let Ok(Parsed::Complete { len, .. }) = parse_request(input, &Limits::DEFAULT) else {
        panic!("not complete");
    };
    assert_eq!(len, input.len());
}

#[test]
fn what_is_over_a_limit_is_refused_as_soon_as_it_is_seen() {
    let limits = Limits {
        head_bytes_max: 100,
        headers_max: 2,
        target_bytes_max: 10,
    };
    let verdict = |input: &str| match parse_request(input.as_bytes(), &limits) {
        Ok(Parsed::Complete { len, .. }) => Ok(len),
        Ok(Parsed::Partial) => Ok(0),
        Err(error) => Err((error.status(), error)),
    };
    let long_target = Err((414, Error::TargetTooLong));
    assert_eq!(verdict("GET /234567890"), Ok(0));
    assert_eq!(verdict("GET /2345678901"), long_target);
    assert_eq!(
        verdict("GET /2345678901 HTTP/1.1\r\nHost: a\r\n\r\n"),
        long_target
    );
    assert_eq!(
        verdict("GET /2345678901 HTTP/1.1\r\nHost : a\r\n\r\n"),
        long_target
    );
    assert_eq!(
        verdict("GET /234567890 HTTP/1.1\r\nHost: a\r\n\r\n"),
        Ok(36)
    );

    let many = Err((431, Error::TooManyHeaders));
    assert_eq!(verdict("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"), Ok(33));
    assert_eq!(
        verdict("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n"),
        many
    );

    let large = Err((431, Error::HeadTooLarge));
    let exact = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "b".repeat(68));
    assert_eq!(exact.len(), 100);
    assert_eq!(verdict(&exact), Ok(100));
    assert_eq!(verdict(&exact[..99]), Ok(0));
    assert_eq!(verdict(&exact.replace("\r\n\r\n", "b\r\n\r\n")), large);
    assert_eq!(verdict(&exact.replace("\r\n\r\n", "bbbb")), large);
    assert_eq!(verdict(&format!("{exact}{exact}")), Ok(100));
}

#[test]
fn no_more_headers_are_accepted_than_there_are_slots() {
    let limits = Limits {
        headers_max: usize::MAX,
        ..Limits::DEFAULT
    };
    let request = |count| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "A: b\r\n".repeat(count)
        )
    };
    let (fits, over) = (request(crate::HEADERS_CAP - 1), request(crate::HEADERS_CAP));
    assert!(matches!(
        parse_request(fits.as_bytes(), &limits),
        Ok(Parsed::Complete { .. })
    ));
    assert_eq!(
        parse_request(over.as_bytes(), &limits).err(),
        Some(Error::TooManyHeaders)
    );
}
