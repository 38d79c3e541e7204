//! What a function and a client see of each other, header by header and byte by byte.

use std::time::Duration;

use tests::{Driver, Gateway, Upstream, hold_for, http::request_bytes, under_each_driver};

under_each_driver! {
    a_function_learns_who_called
    the_callers_id_is_kept_and_an_answer_names_it
    answers_without_a_body_have_none
    lengths_and_chunks_pass_both_ways
    an_answer_that_ends_with_its_connection_ends_in_chunks
    a_client_of_1_0_gets_what_it_can_read
    pipelined_requests_are_answered_in_order
    a_client_that_waits_for_100_gets_it
    a_dead_connection_is_not_the_clients_problem
    a_post_that_may_have_run_is_not_sent_again
    interim_answers_go_through
    a_unix_socket_serves_as_well
    bytes_that_are_no_text_pass_unchanged
    a_connection_may_switch_its_protocol
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway with one function, `f`.
pub(crate) fn serving(driver: Driver, upstream: &Upstream) -> Gateway {
    tests::Builder::new(driver).serving("f", upstream).start()
}

fn a_function_learns_who_called(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    let answer = client.get("/function/f");
    let seen = upstream.last();
    assert_eq!(
        seen.header("host"),
        upstream.place().strip_prefix("http://")
    );
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-host"), Some("test"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    let start: u128 = seen.header("x-start-time").unwrap().parse().unwrap();
    assert!(
        start > 1_700_000_000_000_000_000,
        "not nanoseconds: {start}"
    );
    let id = seen.header("x-call-id").unwrap();
    assert_eq!(
        (id.len(), id.matches('-').count()),
        (36, 4),
        "no UUID: {id}"
    );
    assert_eq!(answer.head.header("x-call-id"), Some(id));
    assert_eq!(
        answer.head.header("x-start-time"),
        seen.header("x-start-time")
    );
    assert!(answer.head.header("date").is_some());

    // What a peer claims is extended, so that the last element is always ours.
    let claims = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n\
                  X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Start-Time: 1\r\n";
    client.request("GET", "/function/f", claims, b"");
    let seen = upstream.last();
    assert_eq!(
        seen.header("x-forwarded-for"),
        Some("1.2.3.4, 5.6.7.8, 127.0.0.1")
    );
    assert_eq!(seen.header("x-forwarded-host"), Some("evil, test"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https, http"));
    assert_ne!(seen.header("x-start-time"), Some("1"));
}

fn the_callers_id_is_kept_and_an_answer_names_it(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let answer = gateway
        .connect()
        .request("GET", "/function/f", "X-Call-Id: mine-7\r\n", b"");
    assert_eq!(upstream.last().header("x-call-id"), Some("mine-7"));
    assert_eq!(answer.head.header("x-call-id"), Some("mine-7"));
}

fn answers_without_a_body_have_none(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            peer.send(match seen.line() {
                "GET /204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "GET /304" => {
                    "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 9\r\n\r\n"
                }
                "HEAD /" => "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
                "HEAD /chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                _ => OK,
            });
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    let head = client.request("HEAD", "/function/f", "", b"");
    assert_eq!(head.head.header("content-length"), Some("12345"));
    assert_eq!(
        client
            .request("HEAD", "/function/f/chunked", "", b"")
            .status(),
        200
    );
    assert_eq!(client.get("/function/f/204").status(), 204);
    let unchanged = client.get("/function/f/304");
    assert_eq!(unchanged.head.header("etag"), Some("\"1\""));
    assert_eq!(
        client.get("/function/f").text(),
        "ok",
        "the connection is in step"
    );
    assert_eq!(upstream.opened(), 1);
}

fn lengths_and_chunks_pass_both_ways(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            let body = String::from_utf8(seen.body.clone()).unwrap();
            if seen.line().ends_with("/chunked") {
                let (first, second) = body.split_at(body.len() / 2);
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for part in [first, second] {
                    peer.send(format!("{:x};x=y\r\n{part}\r\n", part.len()));
                }
                peer.send("0\r\nX-Trailer: t\r\n\r\n");
            } else {
                let length = body.len();
                peer.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
                ));
            }
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for path in ["/function/f/plain", "/function/f/chunked"] {
        assert_eq!(client.post(path, b"hello world").text(), "hello world");
        assert_eq!(upstream.last().header("content-length"), Some("11"));
        client.send(format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n"
        ));
        client.send("5\r\nworld\r\n0\r\n\r\n");
        let answer = client.response();
        assert_eq!(answer.text(), "hello world");
        assert_eq!(upstream.last().header("transfer-encoding"), Some("chunked"));
        assert_eq!(upstream.last().body, b"hello world");
    }
}

fn an_answer_that_ends_with_its_connection_ends_in_chunks(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\n\r\nhello");
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.get("/function/f");
        assert_eq!(answer.head.header("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.text(), "hello");
    }
}

fn a_client_of_1_0_gets_what_it_can_read(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            peer.send(if seen.line().ends_with("/chunked") {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            } else {
                OK
            });
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    client.send("GET /function/f/chunked HTTP/1.0\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.head.header("transfer-encoding"), None);
    assert_eq!(answer.text(), "hello");

    let mut client = gateway.connect();
    client.send("GET /function/f HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
    client.expect_close();

    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send("GET /function/f HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.response();
        assert_eq!(answer.head.header("connection"), Some("keep-alive"));
        assert_eq!(answer.text(), "ok");
    }
}

fn pipelined_requests_are_answered_in_order(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            let echo = format!("{} {}", seen.line(), String::from_utf8_lossy(&seen.body));
            let length = echo.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{echo}"
            ));
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    let mut requests = Vec::new();
    for n in 0..40 {
        let body = n.to_string().repeat(n);
        requests.extend(request_bytes(
            "POST",
            &format!("/function/f/{n}"),
            "",
            body.as_bytes(),
        ));
        requests.extend(request_bytes("GET", "/nowhere", "", b""));
    }
    client.send(requests);
    for n in 0..40 {
        let body = n.to_string().repeat(n);
        assert_eq!(client.response().text(), format!("POST /{n} {body}"));
        assert_eq!(client.response().status(), 404);
    }
}

fn a_client_that_waits_for_100_gets_it(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    let head = "POST /function/f HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    client.send(head);
    assert_eq!(client.head().status, 100);
    client.send("hello");
    assert_eq!(client.response().text(), "ok");
    assert_eq!(upstream.last().body, b"hello");
    assert_eq!(upstream.last().header("expect"), None);

    // Nobody is there to take the body: a client that waits has not sent it in vain.
    client.send(head.replace("/function/f", "/function/nobody"));
    assert_eq!(client.head().status, 404);
}

fn a_dead_connection_is_not_the_clients_problem(driver: Driver) {
    // Each connection answers three requests, then closes as the next one comes.
    let upstream = Upstream::start(|peer| {
        for _ in 0..3 {
            if peer.request().is_some() {
                peer.send(OK);
            }
        }
        peer.head();
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for number in 0..30 {
        assert_eq!(client.get("/function/f").status(), 200, "request {number}");
    }
    assert!(gateway.settled_metrics().sum("gateway_retries_total", &[]) >= 5.0);
}

fn a_post_that_may_have_run_is_not_sent_again(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        if peer.request().is_some() {
            peer.send(OK);
        }
        peer.request();
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    assert_eq!(client.post("/function/f", b"1").status(), 200);
    assert_eq!(client.post("/function/f", b"2").status(), 502);
    assert_eq!(upstream.seen().len(), 2, "the second came once");
}

fn interim_answers_go_through(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            hold_for(Duration::from_millis(20));
            peer.send(OK);
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    client.send(request_bytes("GET", "/function/f", "", b""));
    let early = client.head();
    assert_eq!((early.status, early.header("link")), (103, Some("</a>")));
    assert_eq!(client.response().text(), "ok");
}

fn a_unix_socket_serves_as_well(driver: Driver) {
    let builder = tests::Builder::new(driver);
    let upstream = Upstream::start_unix(builder.folder().join("f.sock"), |peer| {
        while peer.request().is_some() {
            peer.send(OK);
        }
    });
    let gateway = builder.serving("f", &upstream).start();
    let mut client = gateway.connect();
    assert_eq!(client.post("/function/f/a", b"hi").text(), "ok");
    assert_eq!(upstream.last().header("host"), Some("f"));
    assert_eq!(upstream.last().body, b"hi");
}

fn bytes_that_are_no_text_pass_unchanged(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            let same = seen.head.contains("GET /%ff/a|b?{c}") && seen.body.is_empty();
            peer.send(if same {
                OK
            } else {
                "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"
            });
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    let answer = client.request("GET", "/function/f/%ff/a|b?{c}", "X-Text: \u{e4}\r\n", b"");
    assert_eq!(answer.status(), 200, "{}", upstream.last().head);
    assert_eq!(upstream.last().header("x-text"), Some("\u{e4}"));
    let body: Vec<u8> = (0..=255).collect();
    client.post("/function/f", &body);
    assert_eq!(upstream.last().body, body);
}

fn a_connection_may_switch_its_protocol(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        if peer.request().is_some() {
            peer.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            );
            while let Some(byte) = peer.exactly(1) {
                peer.send(byte);
            }
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    client.send(request_bytes(
        "GET",
        "/function/f",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        b"",
    ));
    let head = client.head();
    assert_eq!(
        (head.status, head.header("upgrade")),
        (101, Some("websocket"))
    );
    assert_eq!(upstream.last().header("upgrade"), Some("websocket"));
    for text in ["not HTTP", "\0\r\n\r\n"] {
        client.send(text);
        assert_eq!(client.raw(text.len()), text.as_bytes());
    }
    client.finish_sending();
    client.expect_close();
    upstream.until_closed(1);
}
