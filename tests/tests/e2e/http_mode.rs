//! Functions with an HTTP server of their own: what passes through gateway and watchdog, both ways.
//! `lives` is about the process behind it.

mod lives;

use std::{io::Write, path::PathBuf, thread};

use serde_json::json;
use tests::{
    Connection, Driver, Gateway, eventually, http::request_bytes, processes, under_each_driver,
};

under_each_driver! {
    a_request_reaches_the_functions_own_server_as_it_was_sent
    answers_of_every_kind_pass
    an_event_arrives_before_the_next_is_asked_for
    large_bodies_pass_both_ways_at_once_in_bounded_memory
    trailers_pass_both_ways
    an_answer_may_come_before_the_body_is_through
    a_body_can_be_collected_first
    a_websocket_passes_gateway_and_watchdog
    a_silent_tunnel_ends_at_its_limit
    a_call_may_lower_its_time_limit
    a_client_that_leaves_closes_the_functions_connection
    a_full_function_says_so
}

/// Deploys the harness's function, one replica, and waits until it is ready.
fn deploy(gateway: &Gateway, name: &str, settings: &[(&str, &str)]) {
    let mut variables = json!({ "mode": "http", "http_upstream_url": "unix:function.sock" });
    for (setting, value) in settings {
        variables[*setting] = (*value).into();
    }
    let command = env!("CARGO_BIN_EXE_http_function");
    gateway.deploy_with(name, command, &json!({ "envVars": variables }));
}

fn with(driver: Driver, settings: &[(&str, &str)]) -> Gateway {
    let gateway = Gateway::start(driver);
    deploy(&gateway, "f", settings);
    gateway
}

/// Watchdog and function of the only replica.
fn replica(gateway: &Gateway) -> (i32, i32) {
    let watchdogs = processes::children(gateway.pid());
    let [watchdog] = watchdogs[..] else {
        panic!("not one watchdog: {watchdogs:?}");
    };
    let functions = processes::children(watchdog);
    let [function] = functions[..] else {
        panic!("not one function: {functions:?}");
    };
    (watchdog, function)
}

/// The folder that the replica calls `TMPDIR`.
fn own_folder(gateway: &Gateway) -> PathBuf {
    let (watchdog, _) = replica(gateway);
    processes::temp_dir(watchdog)
}

fn wait_for_file(gateway: &Gateway, name: &str) {
    let file = own_folder(gateway).join(name);
    eventually("the function has said so", || file.exists().then_some(()));
}

fn a_request_reaches_the_functions_own_server_as_it_was_sent(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    let headers = "X-Own: a b\r\nConnection: x-hop\r\nX-Hop: 1\r\n";
    let answer = client.request("PUT", "/function/f/head?a=%2f&b", headers, b"");
    assert_eq!(answer.status(), 200);
    let seen = answer.text();
    assert!(seen.starts_with("PUT /head?a=%2f&b HTTP/1.1\r\n"), "{seen}");
    for line in [
        "Host: f",
        "X-Own: a b",
        "Content-Length: 0",
        "X-Forwarded-For: 127.0.0.1",
    ] {
        assert!(seen.lines().any(|own| own == line), "no {line} in {seen}");
    }
    assert!(!seen.to_lowercase().contains("x-hop"), "{seen}");
    let seconds = answer.head.header("x-duration-seconds").unwrap();
    assert!(seconds.parse::<f64>().unwrap() < 20.0, "{seconds}");
    for length in [0, 1, 5_000, 300_000] {
        let body = vec![b'x'; length];
        let answer = client.post("/function/f/echo", &body);
        assert_eq!(
            (answer.status(), answer.body == body),
            (200, true),
            "{length}"
        );
    }
    // All of that went over one connection; the watchdog keeps it.
    let text = client.get("/function/f/connection").text();
    assert!(text.ends_with(" 6"), "{text}");
}

fn answers_of_every_kind_pass(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    let answer = client.get("/function/f/until-close");
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (200, "until the end")
    );
    assert_eq!(client.get("/function/f/no-body").status(), 204);
    let answer = client.request("HEAD", "/function/f/only-head", "", b"");
    assert_eq!(answer.head.header("content-length"), Some("1000"));
    client.send(request_bytes("GET", "/function/f/interim", "", b""));
    let hint = client.head();
    assert_eq!((hint.status, hint.header("link")), (103, Some("</a.css>")));
    assert_eq!(client.response().text(), "at last");
    client.send("POST /function/f/echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("hi");
    assert_eq!(client.response().text(), "hi");
    let answer = client.get("/function/f/garbage");
    assert_eq!(answer.status(), 502);
    assert!(
        answer.text().contains("not valid HTTP"),
        "{}",
        answer.text()
    );
    let mut old = gateway.connect();
    old.send("GET /function/f/events HTTP/1.0\r\n\r\n");
    assert_eq!(old.head().header("transfer-encoding"), None);
}

fn an_event_arrives_before_the_next_is_asked_for(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    client
        .send("POST /function/f/events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for number in 0..50 {
        let text = format!("event {number}");
        client.send(format!("{:x}\r\n{text}\r\n", text.len()));
        let event = client.chunk().unwrap();
        assert_eq!(event, format!("data: {text}\n\n").as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
    // The answer began before the request was through, so it had to announce the end.
    client.expect_close();
}

fn large_bodies_pass_both_ways_at_once_in_bounded_memory(driver: Driver) {
    const BYTES: usize = 64 * 1024 * 1024;
    let gateway = with(driver, &[]);
    assert_eq!(gateway.get("/function/f/pid").status(), 200);
    let (watchdog, _) = replica(&gateway);
    let before = processes::resident_bytes(watchdog);
    let mut random = fastrand::Rng::with_seed(6);
    let period: Vec<u8> = (0..65_521).map(|_| random.u8(..)).collect();
    let body: Vec<u8> = period.iter().copied().cycle().take(BYTES).collect();
    let request = request_bytes("POST", "/function/f/pipe", "", &body);
    let mut client = gateway.connect();
    let mut writer = client.writer();
    let sending = thread::spawn(move || writer.write_all(&request).unwrap());
    let answer = client.response();
    sending.join().unwrap();
    assert!(
        answer.body == body,
        "{} of {BYTES} bytes, or others",
        answer.body.len()
    );
    let peak = processes::peak_bytes(watchdog);
    assert!(
        peak < before + 16 * 1024 * 1024,
        "the watchdog grew from {before} to {peak} bytes"
    );
}

fn trailers_pass_both_ways(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    client.send(
        "POST /function/f/trailers HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n",
    );
    assert_eq!(client.head().status, 200);
    let expected = b"2\r\nok\r\n0\r\nX-Sum: 6\r\n\r\n";
    assert_eq!(client.raw(expected.len()), expected);
    assert_eq!(client.get("/function/f/pid").status(), 200);
}

fn an_answer_may_come_before_the_body_is_through(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    client.send(
        "POST /function/f/early HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\nbegun",
    );
    let answer = client.response();
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (413, "too large")
    );
    assert_eq!(answer.head.header("connection"), Some("close"));
}

fn a_body_can_be_collected_first(driver: Driver) {
    let gateway = with(
        driver,
        &[
            ("http_buffer_req_body", "true"),
            ("http_buffer_bytes_max", "100000"),
        ],
    );
    let mut client = gateway.connect();
    let chunked = "POST /function/f/head HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{chunked}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"));
    let seen = client.response().text();
    assert!(seen.contains("\r\nContent-Length: 3\r\n"), "{seen}");
    assert!(!seen.to_lowercase().contains("transfer-encoding"), "{seen}");
    let body = vec![b'y'; 100_000];
    let answer = gateway.call("f/echo", &body);
    assert!(answer.body == body, "{}", answer.status());
    let answer = gateway.call("f/echo", &[&body[..], b"y"].concat());
    assert_eq!(answer.status(), 413);
    assert!(
        answer
            .text()
            .contains("http_buffer_bytes_max (100000 bytes)"),
        "{}",
        answer.text()
    );
}

const UPGRADE: &str = "GET /function/f/socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

fn open_tunnel(gateway: &Gateway) -> Connection {
    let mut client = gateway.connect();
    client.send(UPGRADE);
    let head = client.head();
    assert_eq!(
        (head.status, head.header("upgrade")),
        (101, Some("websocket"))
    );
    assert_eq!(client.raw(5), b"hello");
    client
}

fn a_websocket_passes_gateway_and_watchdog(driver: Driver) {
    // Longer than both time limits of calls, which do not concern it.
    let gateway = with(
        driver,
        &[
            ("exec_timeout", "500ms"),
            ("write_timeout", "500ms"),
            ("max_inflight", "1"),
        ],
    );
    let mut client = open_tunnel(&gateway);
    tests::hold_for(std::time::Duration::from_millis(700));
    for text in ["\u{1}frame", "GET / HTTP/1.1\r\n\r\n"] {
        client.send(text);
        assert_eq!(client.raw(text.len()), text.as_bytes());
    }
    // It counts as a call.
    assert_eq!(gateway.get("/function/f/pid").status(), 429);
    client.finish_sending();
    client.expect_close();
    wait_for_file(&gateway, "gone");
    eventually("its place is free", || {
        (gateway.get("/function/f/pid").status() == 200).then_some(())
    });
}

fn a_silent_tunnel_ends_at_its_limit(driver: Driver) {
    let gateway = with(driver, &[("tunnel_idle_timeout", "200ms")]);
    let mut client = open_tunnel(&gateway);
    client.expect_close();
    wait_for_file(&gateway, "gone");
}

fn a_call_may_lower_its_time_limit(driver: Driver) {
    let gateway = with(driver, &[("exec_timeout", "1h"), ("write_timeout", "1h")]);
    let mut client = gateway.connect();
    let answer = client.request("GET", "/function/f/hang", "X-Timeout: 200ms\r\n", b"");
    assert_eq!(answer.status(), 504, "{}", answer.text());
    wait_for_file(&gateway, "gone");
    deploy(&gateway, "limited", &[("exec_timeout", "200ms")]);
    let answer = client.request("GET", "/function/limited/hang", "X-Timeout: 1h\r\n", b"");
    let said = answer.text();
    assert_eq!(answer.status(), 504, "{said}");
    let want =
        "the function did not end its answer within exec_timeout (200ms); raise exec_timeout";
    assert!(said.contains(want), "{said}");
}

fn a_client_that_leaves_closes_the_functions_connection(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    client.send(request_bytes("GET", "/function/f/hang", "", b""));
    wait_for_file(&gateway, "hanging");
    drop(client);
    wait_for_file(&gateway, "gone");
}

fn a_full_function_says_so(driver: Driver) {
    let gateway = with(driver, &[("max_inflight", "1")]);
    let mut first = gateway.connect();
    first.send(request_bytes("GET", "/function/f/hang", "", b""));
    wait_for_file(&gateway, "hanging");
    let answer = gateway.get("/function/f/pid");
    assert_eq!(answer.status(), 429);
    assert!(answer.text().contains("max_inflight"), "{}", answer.text());
    drop(first);
    eventually("its place is free", || {
        (gateway.get("/function/f/pid").status() == 200).then_some(())
    });
}
