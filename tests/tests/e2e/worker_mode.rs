//! Functions as workers on pipes: what passes through gateway and watchdog, both ways, and what
//! becomes of a worker that does wrong. `lives` is about the processes, `alone` about a watchdog
//! without a gateway, `bindings` about those that are ready-made for languages.

mod alone;
mod bindings;
mod lives;

use std::{fs, path::PathBuf, thread};

use serde_json::json;
use tests::{
    Connection, Driver, Gateway, eventually, http::request_bytes, processes, under_each_driver,
};

under_each_driver! {
    a_request_reaches_a_worker_with_a_length_and_end_to_end_headers
    bodies_of_every_size_and_form_pass
    answers_of_every_kind_pass
    an_answer_that_breaks_the_protocol_is_a_502
    a_body_over_the_limit_is_refused_before_it_is_sent
    requests_wait_their_turn_in_order
    more_workers_are_started_when_all_are_busy
    a_full_function_says_so
    many_clients_at_once_get_their_own_answers
}

/// Deploys the harness's worker, one replica, and waits until it is ready.
fn deploy(gateway: &Gateway, name: &str, settings: &[(&str, &str)]) {
    let mut variables = json!({ "mode": "worker", "workers": "1" });
    for (setting, value) in settings {
        variables[*setting] = (*value).into();
    }
    let command = env!("CARGO_BIN_EXE_worker_function");
    gateway.deploy_with(name, command, &json!({ "envVars": variables }));
}

fn with(driver: Driver, settings: &[(&str, &str)]) -> Gateway {
    let gateway = Gateway::start(driver);
    deploy(&gateway, "f", settings);
    gateway
}

/// The only watchdog.
fn watchdog(gateway: &Gateway) -> i32 {
    let watchdogs = processes::children(gateway.pid());
    let [watchdog] = watchdogs[..] else {
        panic!("not one watchdog: {watchdogs:?}");
    };
    watchdog
}

/// The workers of the only replica.
fn workers(gateway: &Gateway) -> Vec<i32> {
    processes::children(watchdog(gateway))
}

/// A file in the folder that the only replica calls `TMPDIR`.
fn own_file(gateway: &Gateway, name: &str) -> PathBuf {
    processes::temp_dir(watchdog(gateway)).join(name)
}

/// Sends a request that is answered once [`open_gate`] was called with its name, and waits until a
/// worker has it.
fn hold(gateway: &Gateway, name: &str) -> Connection {
    let client = ask(gateway, name);
    let begun = own_file(gateway, &format!("{name}.begun"));
    eventually("a worker has it", || begun.exists().then_some(()));
    client
}

fn ask(gateway: &Gateway, name: &str) -> Connection {
    let mut client = gateway.connect();
    client.send(request_bytes(
        "GET",
        &format!("/function/f/gate?{name}"),
        "",
        b"",
    ));
    client
}

fn open_gate(gateway: &Gateway, name: &str) {
    fs::write(own_file(gateway, name), "").unwrap();
}

fn a_request_reaches_a_worker_with_a_length_and_end_to_end_headers(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    let headers = "X-Own: a b\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\n";
    let answer = client.request("PUT", "/function/f/head?a=%2f&b", headers, b"12345");
    assert_eq!(answer.status(), 200);
    let seen = answer.text();
    assert!(seen.starts_with("PUT /head?a=%2f&b HTTP/1.1\r\n"), "{seen}");
    for line in [
        "Host: f",
        "X-Own: a b",
        "Content-Length: 5",
        "X-Forwarded-For: 127.0.0.1",
    ] {
        assert!(seen.lines().any(|own| own == line), "no {line} in {seen}");
    }
    let lower = seen.to_lowercase();
    for name in ["x-hop:", "connection:", "te:", "expect:"] {
        assert!(lower.lines().all(|line| !line.starts_with(name)), "{seen}");
    }
    let seconds = answer.head.header("x-duration-seconds").unwrap();
    assert!(seconds.parse::<f64>().unwrap() < 20.0, "{seconds}");
    // A request without a body has a length as well.
    let seen = client.get("/function/f/head").text();
    assert!(seen.contains("\r\nContent-Length: 0\r\n"), "{seen}");
}

fn bodies_of_every_size_and_form_pass(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    for length in [0, 1, 4096, 31_000, 33_000, 65_536, 300_000, 5_000_000] {
        let body: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0] ^ 7).collect();
        let answer = client.post("/function/f/echo", &body);
        assert_eq!(answer.status(), 200, "{length}");
        assert!(answer.body == body, "{length} bytes came back different");
    }
    client.send(
        "POST /function/f/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    assert_eq!(client.response().text(), "hello world");
    client.send("POST /function/f/echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("hi");
    assert_eq!(client.response().text(), "hi");
    assert_eq!(workers(&gateway).len(), 1);
    // All of that was one process.
    assert_eq!(client.get("/function/f/count").text(), "11");
}

fn answers_of_every_kind_pass(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    let answer = client.get("/function/f/chunked");
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (201, "hello world")
    );
    assert_eq!(answer.head.header("x-own"), Some("1"));
    assert_eq!(client.get("/function/f/no-content").status(), 204);
    assert_eq!(client.get("/function/f/unknown").status(), 404);
    let answer = client.request("HEAD", "/function/f/only-head", "", b"");
    assert_eq!(answer.head.header("content-length"), Some("1000"));
    // An interim answer is dropped.
    client.send(request_bytes("GET", "/function/f/interim", "", b""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.raw(2), b"hi");
    let answer = client.get("/function/f/large?3000000");
    assert_eq!(answer.body.len(), 3_000_000);
    let mut old = gateway.connect();
    old.send("GET /function/f/chunked HTTP/1.0\r\n\r\n");
    assert_eq!(old.head().header("transfer-encoding"), None);
    assert_eq!(old.rest(), b"hello world");
    assert_eq!(client.get("/function/f/count").text(), "8");
}

fn an_answer_that_breaks_the_protocol_is_a_502(driver: Driver) {
    let gateway = with(driver, &[]);
    for (path, word) in [
        ("garbage", "HTTP version"),
        ("no-length", "Content-Length"),
        ("switch", "101"),
        ("bad-chunk", "chunk size"),
    ] {
        let before = gateway.get("/function/f/pid").text();
        let answer = gateway.get(&format!("/function/f/{path}"));
        let said = answer.text();
        assert_eq!(answer.status(), 502, "{path}: {said}");
        assert!(
            said.contains("breaks the protocol") && said.contains(word),
            "{said}"
        );
        let after = gateway.get("/function/f/pid");
        assert_eq!(after.status(), 200);
        assert_ne!(after.text(), before, "{path}: it was not replaced");
    }
}

fn a_body_over_the_limit_is_refused_before_it_is_sent(driver: Driver) {
    let gateway = with(driver, &[("http_buffer_bytes_max", "1000")]);
    let post = |headers: &str, body: &str| {
        let mut client = gateway.connect();
        client.send(format!(
            "POST /function/f/echo HTTP/1.1\r\nHost: h\r\n{headers}\r\n{body}"
        ));
        client.response()
    };
    let chunk = "x".repeat(600);
    let chunked = format!("258\r\n{chunk}\r\n258\r\n{chunk}\r\n0\r\n\r\n");
    for (headers, body) in [
        ("Content-Length: 1001\r\nExpect: 100-continue\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", chunked.as_str()),
    ] {
        let answer = post(headers, body);
        assert_eq!(answer.status(), 413, "{headers}");
        let said = answer.text();
        assert!(
            said.contains("http_buffer_bytes_max (1000 bytes)"),
            "{said}"
        );
    }
    let answer = gateway.call("f/echo", &[b'x'; 1000]);
    assert_eq!(answer.status(), 200);
}

fn requests_wait_their_turn_in_order(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut first = hold(&gateway, "first");
    let mut second = ask(&gateway, "second");
    // It waits for the first: nobody has begun with it, and nothing tells when it has arrived but
    // that it is counted.
    open_gate(&gateway, "first");
    assert_eq!(first.response().text(), "first");
    open_gate(&gateway, "second");
    assert_eq!(second.response().text(), "second");
    assert_eq!(gateway.get("/function/f/count").text(), "3");
    assert_eq!(workers(&gateway).len(), 1);
}

fn more_workers_are_started_when_all_are_busy(driver: Driver) {
    let gateway = with(driver, &[("workers", "3")]);
    assert_eq!(gateway.get("/function/f/pid").status(), 200);
    assert_eq!(workers(&gateway).len(), 1);
    let mut held: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|name| (name, hold(&gateway, name)))
        .collect();
    assert_eq!(workers(&gateway).len(), 3);
    let mut fourth = ask(&gateway, "d");
    for (name, client) in &mut held {
        open_gate(&gateway, name);
        assert_eq!(client.response().text(), *name);
    }
    open_gate(&gateway, "d");
    assert_eq!(fourth.response().text(), "d");
    assert_eq!(workers(&gateway).len(), 3);
}

fn a_full_function_says_so(driver: Driver) {
    let gateway = with(driver, &[("max_inflight", "1")]);
    let mut first = hold(&gateway, "first");
    let answer = gateway.get("/function/f/pid");
    assert_eq!(answer.status(), 429);
    assert!(answer.text().contains("max_inflight"), "{}", answer.text());
    open_gate(&gateway, "first");
    assert_eq!(first.response().text(), "first");
}

fn many_clients_at_once_get_their_own_answers(driver: Driver) {
    let gateway = with(driver, &[("workers", "2")]);
    thread::scope(|scope| {
        for client in 0..16_u32 {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut connection = gateway.connect();
                for round in 0..40_u32 {
                    let word = format!("{client} {round} ").into_bytes();
                    let body = word.repeat(1 + usize::try_from(client * 97 % 600).unwrap());
                    let answer = connection.post("/function/f/echo", &body);
                    assert_eq!(answer.status(), 200);
                    assert!(answer.body == body, "another's answer");
                }
            });
        }
    });
    assert_eq!(workers(&gateway).len(), 2);
}
