//! `ready_path`: the test is the function's own server, and answers what the watchdog asks.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use support::{Watchdog, on_each_driver, wait_until};

/// A watchdog whose function listens, at a socket that is the test's.
fn start(driver: &str) -> (Watchdog, UnixListener) {
    let settings = [
        ("fprocess", "sleep 1000"),
        ("mode", "http"),
        ("http_upstream_url", "unix:f"),
        ("ready_path", "/ready?deep"),
        ("max_inflight", "1"),
    ];
    let watchdog = Watchdog::start(driver, &settings);
    wait_until("it is started", || {
        watchdog.log().contains("Started fprocess")
    });
    let listener = UnixListener::bind(watchdog.dir().join("f")).expect("a socket");
    wait_until("that is noticed", || {
        watchdog.get("/_/health").status == 200
    });
    (watchdog, listener)
}

/// The next request. Connections without one are looks whether anybody listens.
fn question(listener: &UnixListener) -> (UnixStream, String) {
    loop {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("a byte") > 0 {
            head.push(byte[0]);
        }
        if !head.is_empty() {
            return (stream, String::from_utf8(head).expect("text"));
        }
    }
}

#[test]
fn the_function_says_whether_it_is_ready() {
    on_each_driver(|driver| {
        let (watchdog, listener) = start(driver);
        let mut client = watchdog.connect();
        for (answer, status, said) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!", 200, "OK\n"),
            ("HTTP/1.1 204 No Content\r\n\r\n", 200, "OK\n"),
            (
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 200 OK\r\n\r\n",
                200,
                "OK\n",
            ),
            (
                "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndatabase\n\r\n8\r\nis\taway\n\r\n0\r\n\r\n",
                503,
                "not ready: the function answers GET /ready?deep with status 500: database is away\n",
            ),
            (
                "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",
                503,
                "not ready: the function answers GET /ready?deep with status 302\n",
            ),
            (
                "",
                503,
                "not ready: the function cannot be asked for /ready?deep: ",
            ),
            (
                "nonsense\r\n\r\n",
                503,
                "not ready: the function cannot be asked for ",
            ),
        ] {
            client.send_raw(b"GET /_/ready HTTP/1.1\r\nHost: x\r\n\r\n");
            let (mut stream, head) = question(&listener);
            assert!(
                head.starts_with("GET /ready?deep HTTP/1.1\r\nHost: localhost\r\n"),
                "{head}"
            );
            stream.write_all(answer.as_bytes()).expect("it is read");
            drop(stream);
            let told = client.answer();
            assert_eq!(told.status, status, "{answer}");
            assert!(told.text().starts_with(said), "{}", told.text());
        }
        // Nobody need be asked about that: all places are taken.
        let mut call = watchdog.connect();
        call.send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let _held = question(&listener);
        assert_eq!(watchdog.get("/_/ready").status, 429);
    });
}

#[test]
fn a_question_that_is_under_way_is_not_asked_again() {
    on_each_driver(|driver| {
        let (watchdog, listener) = start(driver);
        let ready = "GET /_/ready HTTP/1.1\r\nHost: x\r\n\r\n";
        let health = "GET /_/health HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut gone = watchdog.connect();
        gone.send_raw(ready.as_bytes());
        let (mut stream, _) = question(&listener);
        drop(gone);
        let mut waiting: Vec<_> = (0..5).map(|_| watchdog.connect()).collect();
        for client in &mut waiting {
            // The second of both has arrived when the first is answered.
            client.send_raw(format!("{health}{ready}").as_bytes());
            assert_eq!(client.answer().status, 200);
        }
        listener.set_nonblocking(true).expect("it can be set");
        listener.accept().expect_err("nobody else asks");
        let answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwait";
        stream.write_all(answer).expect("it is read");
        for client in &mut waiting {
            let told = client.answer();
            assert_eq!(told.status, 503);
            assert!(
                told.text().ends_with("status 503: wait\n"),
                "{}",
                told.text()
            );
        }
    });
}

#[test]
fn a_function_that_hangs_is_not_ready() {
    let (watchdog, listener) = start("epoll");
    let mut client = watchdog.connect();
    client.send_raw(b"GET /_/ready HTTP/1.1\r\nHost: x\r\n\r\n");
    let (mut stream, _) = question(&listener);
    let told = client.answer();
    assert_eq!(told.status, 503);
    assert_eq!(
        told.text(),
        "not ready: the function did not answer GET /ready?deep within 5s\n"
    );
    // It has been parted from.
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
}
