//! Connections that come and go, in every way that they can: nothing is mixed up, nothing is left.
//!
//! `RINGWAY_TEST_CHURN=100000` makes it that many connections for each driver.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    Builder, Connection, Driver, Gateway, Upstream, eventually, hold_for, http::request_bytes,
    processes, under_each_driver,
};

under_each_driver! {
    whoever_comes_and_goes_gets_his_own_answer_and_no_other
    updates_under_churn_leave_no_descriptor
    an_upstream_that_is_too_slow_is_left_and_everybody_sees_the_end
    a_head_that_races_its_limit_is_answered_whole_or_not_at_all
    resets_in_the_middle_of_everything_leave_nothing
}

const CLIENTS: usize = 8;

/// What may be open beside clients.
const FEW: usize = 40;

/// Answers each request with its own body.
fn echo() -> Upstream {
    Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            let head = format!(
                "HTTP/1.1 200 OK\r\nX-Tag: {}\r\nContent-Length: {}\r\n\r\n",
                seen.header("x-tag").unwrap_or("none"),
                seen.body.len()
            );
            peer.send([head.as_bytes(), &seen.body].concat());
        }
    })
}

/// Waits until the gateway holds no more than it did, and no connection that its peer has ended.
fn until_nothing_is_left(gateway: &Gateway, before: usize) {
    eventually("descriptors are free again", || {
        let now = processes::descriptors(gateway.pid()).unwrap();
        (now <= before + FEW).then_some(())
    });
    eventually("no connection waits for its close", || {
        (processes::closes_wait(gateway.pid()) == 0).then_some(())
    });
    let metrics = gateway.settled_metrics();
    assert!(metrics.sum("gateway_requests_in_flight", &[]) <= 1.0);
    // The connection that asks, and those that this process has not seen the end of yet.
    eventually("clients are no more", || {
        let count = gateway.metrics().sum("gateway_connections", &[]);
        (count <= 2.0).then_some(())
    });
}

/// A body that nobody else sends, of any size.
fn tagged(number: usize, random: &mut fastrand::Rng) -> (String, Vec<u8>) {
    let tag = format!("<{number}>");
    let length = match random.u8(0..20) {
        0 => random.usize(20_000..60_000),
        _ => random.usize(1..2_000),
    };
    let body = tag.bytes().cycle().take(length).collect();
    (tag, body)
}

/// Goal: a descriptor that is used again never brings what was meant for its former connection.
/// Steps: 10,000 connections, each with a body of its own; some are reset with their request or
/// answer under way, some are used twice; every answer is that of its request.
fn whoever_comes_and_goes_gets_his_own_answer_and_no_other(driver: Driver) {
    let total = std::env::var("RINGWAY_TEST_CHURN").ok();
    let total: usize = total.map_or(10_000, |total| total.parse().unwrap());
    let upstream = echo();
    let gateway = Builder::new(driver).serving("f", &upstream).start();
    assert_eq!(gateway.call("f", b"x").text(), "x");
    let before = processes::descriptors(gateway.pid()).unwrap();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(client as u64);
                for number in 0..total / CLIENTS {
                    churn(gateway, number * CLIENTS + client, &mut random);
                }
            });
        }
    });
    until_nothing_is_left(&gateway, before);
}

fn churn(gateway: &Gateway, number: usize, random: &mut fastrand::Rng) {
    let (tag, body) = tagged(number, random);
    let headers = format!("X-Tag: {tag}\r\n");
    let request = request_bytes("POST", "/function/f", &headers, &body);
    let mut connection = gateway.connect();
    match random.u8(0..10) {
        // Leaves in the middle of its request.
        0 => {
            connection.send(&request[..random.usize(1..request.len())]);
            connection.reset();
        }
        // Leaves with its answer under way.
        1 => {
            connection.send(request);
            connection.reset();
        }
        // As before, in good manners.
        2 => connection.send(request),
        kind => {
            for _ in 0..if kind == 3 { 3 } else { 1 } {
                connection.send(&request);
                let answer = connection.response_to("POST");
                assert_eq!(answer.status(), 200, "{tag}: {}", answer.text());
                assert_eq!(answer.head.header("x-tag"), Some(tag.as_str()));
                assert!(answer.body == body, "{tag} got: {}", answer.text());
            }
        }
    }
}

/// Goal: routes that change while connections come and go leave nothing behind.
/// Steps: a function is updated ten times while clients connect, call, and reset; at the end as many
/// descriptors are open as before.
fn updates_under_churn_leave_no_descriptor(driver: Driver) {
    let upstream = echo();
    let gateway = Builder::new(driver).serving("f", &upstream).start();
    gateway.deploy("cat", "cat");
    assert_eq!(gateway.call("cat", b"x").text(), "x");
    let before = processes::descriptors(gateway.pid()).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..4 {
            let (gateway, is_over) = (&gateway, &is_over);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(client);
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    churn(gateway, number, &mut random);
                    let mut leaving = gateway.connect();
                    leaving.send(request_bytes("POST", "/function/cat", "", b"x"));
                    leaving.reset();
                    assert_eq!(gateway.call("cat", b"x").text(), "x");
                }
            });
        }
        for version in 0..10 {
            let body = json!({
                "service": "cat", "envProcess": "cat", "envVars": { "V": version.to_string() },
            });
            let answer = gateway.api("PUT", "/system/functions", &body);
            assert_eq!(answer.status(), 202, "{}", answer.text());
            eventually("the new version is there", || {
                (gateway.available("cat") == 1).then_some(())
            });
        }
        is_over.store(true, Ordering::Relaxed);
    });
    until_nothing_is_left(&gateway, before);
}

/// Goal: closing a connection with a receive under way ends it: both ends see it, and nothing
/// stays half closed.
/// Steps: 100 clients ask for what never comes, 100 for what stops in the middle; the limit passes;
/// each client sees the end, each connection to the server ends, none is left in CLOSE_WAIT.
fn an_upstream_that_is_too_slow_is_left_and_everybody_sees_the_end(driver: Driver) {
    const CALLS: usize = 100;
    let upstream = Upstream::start(|peer| {
        let Some(seen) = peer.request() else {
            return;
        };
        if seen.line().ends_with("/begins") {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbut");
        }
        peer.wait_for_end();
    });
    let gateway = Builder::new(driver)
        .serving("f", &upstream)
        .arg("--first-byte-timeout=500ms")
        .arg("--stream-idle-timeout=500ms")
        .start();
    let before = processes::descriptors(gateway.pid()).unwrap();
    let ask = |path: &str| {
        let mut client = gateway.connect();
        let headers = "Connection: close\r\n";
        client.send(request_bytes("GET", path, headers, b""));
        client
    };
    let mut silent: Vec<_> = (0..CALLS).map(|_| ask("/function/f/silent")).collect();
    let mut begun: Vec<_> = (0..CALLS).map(|_| ask("/function/f/begins")).collect();
    for client in &mut silent {
        assert_eq!(client.response().status(), 504);
        assert!(client.some().is_empty(), "it is closed");
    }
    for client in &mut begun {
        assert_eq!(client.head().status, 200);
        assert_eq!(client.raw(3), b"but");
        assert!(client.some().is_empty(), "it is broken off");
    }
    upstream.until_closed(2 * CALLS);
    // Not one of the clients has closed its end yet.
    eventually("no connection waits for its close", || {
        (processes::closes_wait(gateway.pid()) == 0).then_some(())
    });
    drop((silent, begun));
    until_nothing_is_left(&gateway, before);
}

/// Goal: a time limit that strikes while bytes arrive neither loses nor repeats any of them.
/// Steps: the second head of a connection is completed at the very time when its limit strikes, with
/// a third request behind it; either both are answered, each with its own body, or the client is
/// told 408 and neither has reached anybody.
fn a_head_that_races_its_limit_is_answered_whole_or_not_at_all(driver: Driver) {
    const LIMIT: Duration = Duration::from_millis(100);
    const ROUNDS: usize = 15;
    let upstream = echo();
    let gateway = Builder::new(driver)
        .serving("f", &upstream)
        .arg("--head-timeout=100ms")
        .start();
    let whole = AtomicUsize::new(0);
    let race = |client: usize| {
        let mut random = fastrand::Rng::with_seed(client as u64);
        for round in 0..ROUNDS {
            let requests: Vec<_> = (0..3)
                .map(|n| {
                    let (tag, body) = tagged((client * ROUNDS + round) * 3 + n, &mut random);
                    let headers = format!("X-Tag: {tag}\r\n");
                    let bytes = request_bytes("POST", "/function/f", &headers, &body);
                    (bytes, body)
                })
                .collect();
            let mut connection = gateway.connect();
            connection.send(&requests[0].0);
            assert!(connection.response_to("POST").body == requests[0].1);
            let (beginning, rest) = requests[1].0.split_at(20);
            let begun = Instant::now();
            connection.send(beginning);
            let strike = LIMIT + Duration::from_micros(random.u64(0..14_000));
            hold_for(strike.saturating_sub(begun.elapsed()));
            // It may have been closed already.
            connection.try_send([rest, &requests[2].0].concat()).ok();
            let first = connection.try_response_to("POST");
            match first.as_ref().map(tests::Response::status) {
                Some(200) => {
                    assert!(first.is_some_and(|answer| answer.body == requests[1].1));
                    assert!(connection.response_to("POST").body == requests[2].1);
                    whole.fetch_add(1, Ordering::Relaxed);
                }
                // What came too late may have reset the connection before the 408 was read.
                Some(408) | None => {}
                other => panic!("{other:?}"),
            }
        }
    };
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let race = &race;
            scope.spawn(move || race(client));
        }
    });
    let whole = whole.into_inner();
    assert_eq!(upstream.seen().len(), CLIENTS * ROUNDS + 2 * whole);
}

/// Goal: a peer that resets its connection, whatever is under way on it, harms nobody else.
/// Steps: clients and servers reset in the middle of heads, bodies and answers; in between, others
/// are served; at the end nothing is left over.
fn resets_in_the_middle_of_everything_leave_nothing(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            let half = "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nhalf";
            match head.split(' ').nth(1) {
                Some("/at-once") => return peer.reset(),
                Some("/in-head") => {
                    peer.send(&half[..20]);
                    return peer.reset();
                }
                Some("/in-body") => {
                    peer.send(half);
                    return peer.reset();
                }
                Some("/large") => peer.send([half.as_bytes(), &[b'x'; 499_996]].concat()),
                _ => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            }
        }
    });
    let gateway = Builder::new(driver).serving("f", &upstream).start();
    assert_eq!(gateway.get("/function/f").text(), "ok");
    let before = processes::descriptors(gateway.pid()).unwrap();
    let begin = |bytes: &str| {
        let mut client = gateway.connect();
        client.send(bytes);
        client
    };
    let upload = "POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\nhalf";
    for _ in 0..50 {
        for place in ["at-once", "in-head"] {
            let answer = gateway.get(&format!("/function/f/{place}"));
            assert_eq!(answer.status(), 502, "{place}: {}", answer.text());
        }
        let get = |path: &str| format!("GET /function/f/{path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut cut = begin(&get("in-body"));
        // Whether its head came through before the reset is a matter of time.
        cut.until_end();
        begin("GET /function/f HTTP/1.1\r\nHo").reset();
        begin(upload).reset();
        begin(&get("")).reset();
        let mut large = begin(&get("large"));
        assert!(!large.some().is_empty());
        large.reset();
        let sending = begin(upload);
        let mut writer = sending.writer();
        writer.write_all(&[b'x'; 100_000]).unwrap();
        drop(writer);
        sending.reset();
        assert_eq!(gateway.get("/function/f").text(), "ok");
    }
    until_nothing_is_left(&gateway, before);
    let log = gateway.log();
    assert!(!log.contains("panic"), "{log}");
}

/// Reads what comes until the end.
trait UntilEnd {
    fn until_end(&mut self);
}

impl UntilEnd for Connection {
    fn until_end(&mut self) {
        while !self.some().is_empty() {}
    }
}
