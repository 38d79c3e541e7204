//! Metrics: what is counted, where it is handed out, and to whom not.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use support::{PATIENCE, Watchdog, on_each_driver, wait_until};

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Sends bytes to the metrics' port and returns all that comes until the other side closes.
fn ask(port: u16, request: &str) -> String {
    let mut stream = None;
    wait_until("it listens", || {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    let mut stream = stream.expect("it listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    stream
        .write_all(request.as_bytes())
        .expect("it can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn metrics(port: u16) -> String {
    ask(port, "GET /metrics HTTP/1.0\r\n\r\n")
}

/// The value of a sample whose name and labels are these.
fn value(text: &str, sample: &str) -> Option<f64> {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

#[test]
fn requests_are_counted_by_status_and_method() {
    on_each_driver(|driver| {
        // Goal: everything that the function is asked is counted once, under what its client got.
        let port = free_port();
        let watchdog = Watchdog::start(
            driver,
            &[
                (
                    "fprocess",
                    "sh -c 'read x; test \"$x\" = slow && exec sleep 1000; test \"$x\" = good && echo yes'",
                ),
                ("metrics_port", &port.to_string()),
                ("max_inflight", "1"),
            ],
        );
        for (body, status) in [("good\n", 200), ("bad\n", 500), ("good\n", 200)] {
            assert_eq!(watchdog.post(body).status, status);
        }
        assert_eq!(watchdog.get("/").status, 500);
        let strange = watchdog.call("PROPFIND / HTTP/1.1\r\nHost: x\r\n", "good\n");
        assert_eq!(strange.status, 200);
        for path in ["/_/health", "/_/ready"] {
            assert_eq!(watchdog.get(path).status, 200);
        }
        // One that takes its time, and one more, which is one too many.
        let mut slow = watchdog.connect();
        slow.send("POST / HTTP/1.1\r\nHost: x\r\n", b"slow\n");
        wait_until("it runs", || !watchdog.children().is_empty());
        assert_eq!(watchdog.post("x").status, 429);

        // What is answered is counted then, which its client may see first.
        let mut text = String::new();
        wait_until("only the slow one is left", || {
            text = metrics(port);
            value(&text, "http_requests_in_flight") == Some(1.0)
        });
        assert!(text.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        let total = |code: u16, method: &str| {
            let labels = format!("{{code=\"{code}\",method=\"{method}\"}}");
            let total = value(&text, &format!("http_requests_total{labels}"));
            let count = value(
                &text,
                &format!("http_request_duration_seconds_count{labels}"),
            );
            assert_eq!(total, count);
            total
        };
        assert_eq!(total(200, "post"), Some(2.0), "{text}");
        assert_eq!(total(500, "post"), Some(1.0), "{text}");
        assert_eq!(total(500, "get"), Some(1.0), "{text}");
        assert_eq!(total(429, "post"), Some(1.0), "{text}");
        assert_eq!(total(200, "unknown"), Some(1.0), "{text}");
        assert_eq!(total(200, "get"), None, "health is not a request: {text}");
        assert_eq!(value(&text, "watchdog_processes_started_total"), Some(6.0));
        // A client that leaves has a status of its own.
        drop(slow);
        wait_until("its leaving is counted", || {
            let gone = "http_requests_total{code=\"499\",method=\"post\"}";
            value(&metrics(port), gone) == Some(1.0)
        });
        assert_eq!(value(&metrics(port), "http_requests_in_flight"), Some(0.0));
    });
}

#[test]
fn nothing_but_metrics_is_at_their_port() {
    let port = free_port();
    let settings = [("fprocess", "cat"), ("metrics_port", &port.to_string())];
    let _watchdog = Watchdog::start("epoll", &settings);
    let answer = ask(port, "GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(answer.contains("at /metrics"), "{answer}");
    let answer = ask(port, "POST /metrics HTTP/1.0\r\nContent-Length: 1\r\n\r\nx");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("\r\nAllow: GET, HEAD\r\n"), "{answer}");
    let answer = ask(port, "nonsense\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = ask(port, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    // Two on one connection, the second with a query.
    let two = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics?a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(port, two).matches("HTTP/1.1 200 ").count(), 2);
}

#[test]
fn too_many_connections_for_metrics_are_closed_and_calls_go_on() {
    let port = free_port();
    let settings = [("fprocess", "cat"), ("metrics_port", &port.to_string())];
    let watchdog = Watchdog::start("epoll", &settings);
    metrics(port);
    let held: Vec<_> = (0..32)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();
    let mut more = TcpStream::connect(("127.0.0.1", port)).unwrap();
    more.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(more.read(&mut [0]).unwrap_or(0), 0, "it is closed");
    assert_eq!(watchdog.post("on").text(), "on");
    drop(held);
    wait_until("there is room again", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent = stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n");
        let mut answer = String::new();
        sent.is_ok() && stream.read_to_string(&mut answer).is_ok() && !answer.is_empty()
    });
}

#[test]
fn a_port_that_is_taken_ends_the_start() {
    let taken = TcpListener::bind(("::", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = [("fprocess", "cat"), ("metrics_port", &port.to_string())];
    let mut watchdog = Watchdog::start("epoll", &settings);
    assert_eq!(watchdog.wait(), process::Exit::Code(69));
    let log = watchdog.log();
    let want = format!("metrics_port: {port} cannot be listened on: ");
    assert!(log.starts_with(&want), "{log}");
    assert!(log.ends_with("; set `metrics_port` to a free one, or to 0 for no metrics\n"));
}
