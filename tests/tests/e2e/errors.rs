//! Every status that the gateway gives by itself: who is told what, in which form, and that nothing
//! of a refused request reaches a function.

use std::net::TcpListener;

use serde_json::json;
use tests::{
    Builder, Driver, Gateway, Upstream, eventually, http::request_bytes, under_each_driver,
};

use crate::forwarding::serving;

under_each_driver! {
    what_is_malformed_or_ambiguous_is_refused_and_reaches_nobody
    an_unknown_function_is_told_in_the_form_that_was_asked_for
    a_refused_body_does_not_end_the_connection
    a_replica_that_refuses_or_breaks_off_is_a_502
    an_answer_that_is_not_http_is_a_502
    without_a_replica_the_client_is_told_when_to_come_again
    a_function_over_its_time_is_a_504
    a_silent_function_is_a_504_that_names_the_limit
    a_function_that_may_take_longer_than_the_gateway_waits_is_waited_for
    a_body_over_the_limit_is_a_413
    a_replica_that_is_killed_over_a_request_is_a_502
    a_document_that_is_too_large_is_a_413
    one_bad_client_harms_no_other
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Heads that are wrong by themselves, each with its status.
const WRONG_HEADS: [(&str, u16); 11] = [
    ("hello\r\n\r\n", 400),
    ("GET /function/f HTTP/1.1\r\n\r\n", 400),
    (
        "GET /function/f HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        400,
    ),
    ("GET /function/f HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n", 400),
    (
        "GET /function/f HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
        400,
    ),
    (
        "GET /function/f HTTP/1.1\r\nHost: h\r\nA: b\x01\r\n\r\n",
        400,
    ),
    ("GET /function/f HTTP/1.1\nHost: h\n\n", 400),
    (
        "GET /function/f HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
        400,
    ),
    ("GET /function/f\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    ("GET /function/f HTTP/3.0\r\nHost: h\r\n\r\n", 505),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
];

/// What stands behind the `Host` of a POST and makes its length doubtful.
const DOUBTFUL_LENGTHS: [&str; 6] = [
    "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "Content-Length: +2\r\n\r\nab",
    "Content-Length: 99999999999999999999\r\n\r\n",
    "Transfer-Encoding: chunked, gzip\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
];

fn what_is_malformed_or_ambiguous_is_refused_and_reaches_nobody(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    for (request, status) in WRONG_HEADS {
        assert_refused(&gateway, request, status);
    }
    for rest in DOUBTFUL_LENGTHS {
        let request = format!("POST /function/f HTTP/1.1\r\nHost: h\r\n{rest}");
        assert_refused(&gateway, &request, 400);
    }
    let coding = "POST /function/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n";
    assert_refused(&gateway, coding, 501);
    let get = "GET /function/f HTTP/1.1\r\nHost: h\r\n";
    let long = format!(
        "GET /function/f/{} HTTP/1.1\r\nHost: h\r\n\r\n",
        "a".repeat(17_000)
    );
    assert_refused(&gateway, &long, 414);
    assert_refused(
        &gateway,
        &format!("{get}{}\r\n", "A: b\r\n".repeat(101)),
        431,
    );
    assert_refused(
        &gateway,
        &format!("{get}A: {}\r\n\r\n", "b".repeat(66_000)),
        431,
    );
    assert_eq!(upstream.seen().len(), 0, "{:?}", upstream.seen());
}

fn assert_refused(gateway: &Gateway, request: &str, status: u16) {
    let start: String = request.chars().take(90).collect();
    let mut client = gateway.connect();
    // A refusal may come before all was sent; then the rest has nobody to go to.
    client.try_send(request).ok();
    let answer = client.response();
    assert_eq!(answer.status(), status, "{start:?}: {}", answer.text());
    assert_eq!(answer.head.header("connection"), Some("close"), "{start:?}");
    assert!(!answer.body.is_empty(), "{start:?}: without a reason");
    client.expect_close();
}

fn an_unknown_function_is_told_in_the_form_that_was_asked_for(driver: Driver) {
    let gateway = Gateway::start(driver);
    let mut client = gateway.connect();
    let text = client.get("/function/nobody");
    assert_eq!(text.status(), 404);
    assert_eq!(
        text.head.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(text.text().starts_with("nobody: "), "{}", text.text());
    assert_eq!(text.text().lines().count(), 1);
    let json = client.request(
        "GET",
        "/function/nobody",
        "Accept: application/json\r\n",
        b"",
    );
    assert_eq!(json.head.header("content-type"), Some("application/json"));
    assert_eq!(json.json()["function"], "nobody");
    assert!(
        json.json()["error"]
            .as_str()
            .unwrap()
            .contains("ringway list")
    );
    assert!(json.head.header("x-call-id").is_some());
    let head = client.request("HEAD", "/function/nobody", "", b"");
    assert_eq!(head.status(), 404);
    assert_eq!(
        client.get("/healthz").status(),
        200,
        "the connection goes on"
    );
}

fn a_refused_body_does_not_end_the_connection(driver: Driver) {
    let gateway = Gateway::start(driver);
    let mut client = gateway.connect();
    assert_eq!(client.post("/function/nobody", b"small").status(), 404);
    assert_eq!(client.get("/healthz").status(), 200);
    // A body that was not sent with its head cannot be told from the next request: then it ends.
    client.send("POST /function/nobody HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.head.header("connection"), Some("close"));
}

fn a_replica_that_refuses_or_breaks_off_is_a_502(driver: Driver) {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let upstream = Upstream::start(|peer| {
        peer.request();
    });
    let gateway = Builder::new(driver)
        .arg("--static")
        .arg(&format!("gone=http://{free}"))
        .arg("--static")
        .arg("nowhere=unix:/nonexistent/socket")
        .serving("breaks", &upstream)
        .start();
    let mut client = gateway.connect();
    for function in ["gone", "nowhere", "breaks"] {
        let answer = client.post(&format!("/function/{function}"), b"x");
        assert_eq!(answer.status(), 502, "{function}");
        let text = answer.text();
        let names_both = text.starts_with(&format!("{function}: ")) && text.contains("replica");
        assert!(names_both, "{text}");
    }
    // Half an answer must not look like a whole one.
    let cut = Upstream::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let gateway = serving(driver, &cut);
    let mut client = gateway.connect();
    client.send("GET /function/f HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.rest(), b"half");
}

fn an_answer_that_is_not_http_is_a_502(driver: Driver) {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    ] {
        let upstream = Upstream::answering(answer);
        let gateway = serving(driver, &upstream);
        let mut client = gateway.connect();
        let told = client.get("/function/f");
        assert_eq!(told.status(), 502, "{answer:?}");
        assert!(told.text().contains("not valid HTTP"), "{}", told.text());
    }
}

fn without_a_replica_the_client_is_told_when_to_come_again(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("wc", "wc");
    gateway.scale("wc", 0);
    let answer = gateway.call("wc", b"x");
    assert_eq!(answer.status(), 503);
    let seconds = answer.head.header("retry-after").unwrap();
    assert!(seconds.parse::<u32>().unwrap() > 0);
    assert!(answer.text().starts_with("wc: "), "{}", answer.text());
    gateway.scale("wc", 1);
    assert_eq!(gateway.call("wc", b"x").status(), 200);
}

fn a_function_over_its_time_is_a_504(driver: Driver) {
    let gateway = Gateway::start(driver);
    let limit = json!({ "envVars": { "exec_timeout": "200ms" } });
    gateway.deploy_with("slow", "sleep 1000", &limit);
    let answer = gateway.call("slow", b"");
    assert_eq!(answer.status(), 504);
    assert!(answer.text().contains("exec_timeout"), "{}", answer.text());
    assert_eq!(gateway.call("slow", b"").status(), 504, "and again");
}

fn a_silent_function_is_a_504_that_names_the_limit(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        peer.request();
        peer.wait_for_end();
    });
    let limited = Builder::new(driver).arg("--upstream-timeout").arg("200ms");
    let gateway = limited.serving("f", &upstream).start();
    let mut client = gateway.connect();
    for turn in 1..=2 {
        let answer = client.post("/function/f", b"x");
        assert_eq!(answer.status(), 504);
        assert!(answer.text().contains("0.2 s"), "{}", answer.text());
        upstream.until_closed(turn);
    }
}

/// Steps: a gateway that waits for 200 ms, a function that takes longer and may; its own limit is
/// the one that counts, and is named when it is over.
fn a_function_that_may_take_longer_than_the_gateway_waits_is_waited_for(driver: Driver) {
    let limited = Builder::new(driver).arg("--upstream-timeout").arg("200ms");
    let gateway = limited.start();
    let limit = json!({ "envVars": { "exec_timeout": "1s" } });
    gateway.deploy_with("slow", "sh -c 'sleep 0.5; echo done'", &limit);
    let answer = gateway.call("slow", b"");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    gateway.deploy_with("slower", "sleep 1000", &limit);
    let answer = gateway.call("slower", b"");
    assert_eq!(answer.status(), 504);
    assert!(answer.text().contains("exec_timeout"), "{}", answer.text());
}

fn a_body_over_the_limit_is_a_413(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let limited = Builder::new(driver).arg("--body-bytes-max").arg("1000");
    let gateway = limited.serving("f", &upstream).start();
    assert_eq!(gateway.call("f", &[b'x'; 1000]).status(), 200);
    // Announced: not a byte of it reaches the function.
    let mut client = gateway.connect();
    client.send("POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n");
    let answer = client.response();
    assert_eq!(answer.status(), 413);
    assert!(
        answer.text().contains("--body-bytes-max"),
        "{}",
        answer.text()
    );
    assert_eq!(upstream.seen().len(), 1);
    // Not announced: it is found out on the way.
    let mut client = gateway.connect();
    client.send("POST /function/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..11 {
        client
            .try_send(format!("64\r\n{}\r\n", "x".repeat(100)))
            .ok();
    }
    assert_eq!(client.response().status(), 413);
    assert_eq!(upstream.seen().len(), 1, "the function got half a body");
}

fn a_replica_that_is_killed_over_a_request_is_a_502(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("slow", "sleep 1007");
    let watchdog = gateway.descendants()[0];
    let mut client = gateway.connect();
    client.send(request_bytes("POST", "/function/slow", "", b""));
    eventually("it runs", || {
        (gateway.descendants().len() == 2).then_some(())
    });
    let pid = nix::unistd::Pid::from_raw(watchdog);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    let answer = client.response();
    assert_eq!(answer.status(), 502);
    assert!(answer.text().starts_with("slow: "), "{}", answer.text());
    eventually(
        "a new replica is there, and the old one's process is not",
        || {
            let now = gateway.descendants();
            let replaced = now.len() == 1 && now[0] != watchdog;
            (replaced && gateway.available("slow") == 1).then_some(())
        },
    );
}

fn a_document_that_is_too_large_is_a_413(driver: Driver) {
    let gateway = Gateway::start(driver);
    let large = json!({ "service": "f", "envProcess": "cat", "image": "x".repeat(2_000_000) });
    let mut client = gateway.connect();
    let body = large.to_string();
    let head = format!(
        "POST /system/functions HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head);
    client.try_send(body).ok();
    assert_eq!(client.response().status(), 413);
}

fn one_bad_client_harms_no_other(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut good = gateway.connect();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let mut bad = gateway.connect();
        let noise: Vec<u8> = (0..random.usize(1..300)).map(|_| random.u8(..)).collect();
        bad.try_send(noise).ok();
        bad.try_send(b"\r\n\r\n").ok();
        assert_eq!(good.get("/function/f").status(), 200);
    }
    assert!(
        gateway
            .settled_metrics()
            .sum("gateway_failures_total", &[("reason", "malformed")])
            >= 100.0
    );
}
