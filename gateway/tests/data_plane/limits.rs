//! Each limit: what the client is told beyond it, in words and status, and how it is counted.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::{UnixListener, UnixStream},
    time::Duration,
};

use gateway::{
    failure::Reason,
    limits::{FunctionLimits, Limits},
};
use net::Endpoint;

use crate::{
    GET, OK,
    plane::Plane,
    replica::Replica,
    text::{exchange, read_answer, read_until},
};

under_each_driver! {
    a_call_that_takes_too_long_is_told_which_limit_it_was
    a_call_can_only_lower_its_limit
    an_answer_that_goes_on_too_long_is_broken_off
    a_functions_own_limits_replace_the_gateways
    a_replica_that_does_not_accept_is_a_504
    an_answer_that_falls_silent_is_broken_off
    a_client_that_does_not_read_loses_its_answer
    an_idle_connection_is_closed_without_a_word
    heads_are_bounded_in_every_way
    a_body_in_chunks_over_the_limit_is_a_413
    the_last_request_of_a_connection_says_so
    connections_beyond_the_limit_are_refused_until_one_is_closed
    connections_of_one_peer_are_limited
}

const SHORT: Duration = Duration::from_millis(150);

fn silent() -> Replica {
    Replica::start(|mut connection, _| {
        connection.read_head();
        connection.wait_for_end();
    })
}

fn with_timeout(value: &str) -> String {
    GET.replace("Host: h", &format!("Host: h\r\nX-Timeout: {value}"))
}

fn a_call_that_takes_too_long_is_told_which_limit_it_was(driver: &str) {
    let replica = silent();
    let limits = Limits {
        upstream_timeout: Some(SHORT),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    for request in [GET.to_owned(), with_timeout("1h")] {
        let answer = exchange(&mut client, &request);
        assert_eq!(answer.status, 504);
        let said = "longer than 0.15 s (upstream time limit, --upstream-timeout)";
        assert!(answer.body.contains(said), "{}", answer.body);
    }
    plane.until_failed(Reason::UpstreamTimeout, 2);
    replica.until_closed(2);
}

fn a_call_can_only_lower_its_limit(driver: &str) {
    let replica = silent();
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    let answer = exchange(&mut client, &with_timeout("150ms"));
    assert_eq!(answer.status, 504);
    let said = "longer than 0.15 s (the request's X-Timeout header)";
    assert!(answer.body.contains(said), "{}", answer.body);
    plane.until_failed(Reason::CallTimeout, 1);
    for wrong in ["soon", "0", "-1s", "", "1 s"] {
        let answer = exchange(&mut client, &with_timeout(wrong));
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.body.contains("X-Timeout"), "{}", answer.body);
    }
    plane.until_failed(Reason::BadTimeout, 5);
    assert_eq!(replica.connections(), 1);
}

fn an_answer_that_goes_on_too_long_is_broken_off(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
        connection.wait_for_end();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    client.write_all(with_timeout("150ms").as_bytes()).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("\r\n1\r\nx\r\n"), "no last chunk: {all}");
    plane.until_failed(Reason::CallTimeout, 1);
    replica.until_closed(1);
}

fn a_functions_own_limits_replace_the_gateways(driver: &str) {
    let replica = silent();
    let gateway = Limits {
        upstream_timeout: Some(Duration::from_secs(60)),
        body_bytes_max: Some(1),
        ..Limits::default()
    };
    let own = FunctionLimits {
        first_byte_timeout: None,
        upstream_timeout: Some(SHORT),
        body_bytes_max: Some(10),
    };
    let endpoints = vec![Endpoint::Tcp(replica.address)];
    let plane = Plane::start_with(driver, gateway, endpoints, own);
    let post = |length: usize| {
        let body = "x".repeat(length);
        format!("POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let answer = exchange(&mut plane.connect(), &post(10));
    assert_eq!(answer.status, 504);
    assert!(
        answer.body.contains("ringway.upstream-timeout"),
        "{}",
        answer.body
    );
    let answer = exchange(&mut plane.connect(), &post(11));
    assert_eq!(answer.status, 413);
    assert!(
        answer.body.contains("larger than 10 bytes"),
        "{}",
        answer.body
    );
    plane.until_failed(Reason::BodyTooLarge, 1);
}

/// Goal: a replica whose backlog is full is a 504, not a wait without end.
/// Steps: a Unix socket that nobody accepts on, filled until it takes no more.
fn a_replica_that_does_not_accept_is_a_504(driver: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    let socket = || {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let address = socket2::SockAddr::unix(&path).unwrap();
    let waiting: Vec<UnixStream> = std::iter::repeat_with(socket)
        .take_while(|socket| socket.connect(&address).is_ok())
        .map(UnixStream::from)
        .collect();
    let limits = Limits {
        connect_timeout: SHORT,
        ..Limits::default()
    };
    let endpoints = vec![Endpoint::Unix(path)];
    let plane = Plane::start_with(driver, limits, endpoints, FunctionLimits::default());
    let answer = exchange(&mut plane.connect(), GET);
    assert_eq!(answer.status, 504);
    let said = "did not accept a connection within 0.15 s (connect time limit)";
    assert!(answer.body.contains(said), "{}", answer.body);
    plane.until_failed(Reason::ConnectTimeout, 1);
    drop(waiting);
}

fn an_answer_that_falls_silent_is_broken_off(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun");
        connection.wait_for_end();
    });
    let limits = Limits {
        stream_idle_timeout: SHORT,
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("\r\n\r\nbegun"), "{all}");
    plane.until_failed(Reason::StreamIdle, 1);
}

fn a_client_that_does_not_read_loses_its_answer(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        connection.flood();
    });
    let limits = Limits {
        body_timeout: SHORT,
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    plane.until_failed(Reason::ClientStalled, 1);
    replica.until_closed(1);
}

fn an_idle_connection_is_closed_without_a_word(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        idle_timeout: SHORT,
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    assert_eq!(exchange(&mut client, GET).status, 200);
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
    plane.until_failed(Reason::IdleTimeout, 1);
}

fn heads_are_bounded_in_every_way(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        head_bytes_max: 1000,
        headers_max: 20,
        target_bytes_max: 100,
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let head = |target: &str, headers: &str| {
        format!("GET /function/f{target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n")
    };
    let long = "x".repeat(1000);
    let cases = [
        (
            head(&format!("/{}", &long[..90]), ""),
            414,
            Reason::TargetTooLong,
        ),
        (
            head("", &format!("A: {long}\r\n")),
            431,
            Reason::HeadTooLarge,
        ),
        (
            head("", &"A: b\r\n".repeat(20)),
            431,
            Reason::TooManyHeaders,
        ),
        (head("", "A : b\r\n"), 400, Reason::Malformed),
    ];
    for (request, status, reason) in cases {
        let mut client = plane.connect();
        assert_eq!(exchange(&mut client, &request).status, status);
        plane.until_failed(reason, 1);
        assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0, "closed");
    }
    assert_eq!(replica.connections(), 0);
}

fn a_body_in_chunks_over_the_limit_is_a_413(driver: &str) {
    let replica = silent();
    let limits = Limits {
        body_bytes_max: Some(10),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    let head = "POST /function/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(b"6\r\nsix666\r\n").unwrap();
    replica.until_heads(1);
    assert_eq!(exchange(&mut client, "5\r\nfive5\r\n").status, 413);
    plane.until_failed(Reason::BodyTooLarge, 1);
}

fn the_last_request_of_a_connection_says_so(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        requests_per_connection_max: Some(3),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    for number in 1..=3 {
        let head = exchange(&mut client, GET).head;
        assert_eq!(head.contains("Connection: close"), number == 3, "{head}");
    }
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert_eq!(replica.connections(), 1, "the pool is not concerned");
}

/// Fills `plane` with `count` connections that are served.
fn fill(plane: &Plane, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| {
            let mut client = plane.connect();
            assert_eq!(exchange(&mut client, GET).status, 200);
            client
        })
        .collect()
}

fn refused(plane: &Plane, status: u16, said: &str) {
    let mut client = plane.connect();
    let answer = read_answer(&mut client);
    assert_eq!(answer.status, status);
    assert!(answer.head.contains("Retry-After: 1"), "{}", answer.head);
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    assert!(answer.body.contains(said), "{}", answer.body);
    assert!(read_until(&mut client, "\n").is_none(), "closed");
}

fn connections_beyond_the_limit_are_refused_until_one_is_closed(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        connections_max: 5,
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut open = fill(&plane, 5);
    refused(&plane, 503, "all 5 connections");
    plane.until_failed(Reason::TooManyConnections, 1);
    open.pop();
    plane.until(|cells| cells.connections.get() == 4);
    open.extend(fill(&plane, 1));
    for client in &mut open {
        assert_eq!(exchange(client, GET).status, 200);
    }
    // A flood is refused as well, and those who are in are served.
    let flood: Vec<TcpStream> = (0..300).map(|_| plane.connect()).collect();
    plane.until_failed(Reason::TooManyConnections, 301);
    assert_eq!(exchange(&mut open[0], GET).status, 200);
    drop(flood);
    plane.until(|cells| cells.connections.get() == 5 && cells.turned_away.get() == 0);
}

fn connections_of_one_peer_are_limited(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        connections_per_peer_max: Some(2),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut open = fill(&plane, 2);
    refused(&plane, 429, "2 connections from your address");
    plane.until_failed(Reason::TooManyFromPeer, 1);
    open.pop();
    plane.until(|cells| cells.connections.get() == 1);
    open.extend(fill(&plane, 1));
}
