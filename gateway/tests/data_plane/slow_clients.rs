//! Clients that take their time, many at once: each is ended by its limit, and nobody else notices.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use gateway::limits::Limits;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    GET, OK,
    plane::Plane,
    replica::Replica,
    text::{exchange, read_answer},
};

under_each_driver! {
    two_thousand_heads_that_drip_end_at_their_limit_and_others_are_served
    a_head_that_drips_gets_no_more_time_for_each_byte
    a_half_closed_client_waits_no_longer_than_its_limit
}

const CLIENTS: usize = 2_000;
/// Beginnings of heads, which any number of letters keeps from being wrong and from ending.
const BEGINNINGS: [&str; 4] = [
    "G",
    "GET /function/f/",
    "GET /function/f HTTP/1.1\r\nHost: h\r\nX-Slow",
    "GET /function/f HTTP/1.1\r\nHost: h\r\nX-Slow: ",
];
/// Reached only by a bug.
const DEADLINE: Duration = Duration::from_secs(20);

/// Lets this process have both ends of all connections.
fn allow_many_descriptors() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Both drivers may be at it at the same time.
    let needed = 6 * CLIENTS as u64;
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard).unwrap();
    }
}

/// Whether an answer has come, or the connection has ended.
fn is_answered(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let peeked = client.peek(&mut [0]);
    client.set_nonblocking(false).unwrap();
    !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn two_thousand_heads_that_drip_end_at_their_limit_and_others_are_served(driver: &str) {
    // 1. 2,000 clients begin a head. 2. In each round they all send one more byte, and an ordinary
    // client is served. 3. After the limit all of them, and only they, have been told 408.
    allow_many_descriptors();
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        head_timeout: Duration::from_millis(700),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut ordinary = plane.connect();
    let mut slow: Vec<_> = (0..CLIENTS).map(|_| plane.connect()).collect();
    for (client, begin) in slow.iter_mut().zip(BEGINNINGS.iter().cycle()) {
        client.write_all(begin.as_bytes()).unwrap();
    }
    let begun = Instant::now();
    let mut waiting: Vec<_> = slow.iter_mut().collect();
    while !waiting.is_empty() {
        assert!(begun.elapsed() < DEADLINE, "{} go on", waiting.len());
        for client in &mut waiting {
            // It may have been ended since the last look.
            client.write_all(b"x").ok();
        }
        assert_eq!(exchange(&mut ordinary, GET).status, 200);
        waiting.retain(|client| !is_answered(client));
    }
    for client in &mut slow {
        assert_eq!(read_answer(client).status, 408);
        assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
    }
    assert_eq!(exchange(&mut ordinary, GET).status, 200);
    assert!(
        replica
            .heads()
            .iter()
            .all(|head| head.starts_with("GET / ") && !head.contains("X-Slow")),
        "the replica saw a head that never ended"
    );
}

fn a_head_that_drips_gets_no_more_time_for_each_byte(driver: &str) {
    // The limit is for the head as a whole: a client that sends a line each time it would be over
    // is ended all the same, on its first request and on its second.
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        head_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    for requests_before in 0..2 {
        let mut client = plane.connect();
        for _ in 0..requests_before {
            assert_eq!(exchange(&mut client, GET).status, 200);
        }
        client
            .write_all(b"GET /function/f HTTP/1.1\r\nHost: h\r\n")
            .unwrap();
        let begun = Instant::now();
        while !is_answered(&client) {
            assert!(begun.elapsed() < DEADLINE, "it goes on");
            client.write_all(b"A: b\r\n").ok();
            crate::plane::pause_beyond_watch();
        }
        assert_eq!(read_answer(&mut client).status, 408);
    }
}

fn a_half_closed_client_waits_no_longer_than_its_limit(driver: &str) {
    // The function never answers, and whether the client is still there cannot be known.
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.wait_for_end();
    });
    let limits = Limits {
        half_close_timeout: Duration::from_millis(150),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
    replica.until_closed(1);
}
