//! How a data plane ends: who is still answered, and what it waits for.
//!
//! A limit that must not be reached is an hour here, one that must be is short; so nothing depends
//! on how fast the machine is.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use gateway::limits::Limits;

use crate::{
    GET, OK,
    plane::{Plane, connect},
    replica::Replica,
    text::{Answer, exchange, read_answer, read_until},
};

under_each_driver! {
    a_drain_ends_idle_connections_and_finishes_busy_ones
    an_idle_connection_has_time_for_one_more_request
    an_answer_that_was_begun_before_leaves_time_for_one_more_request
    a_connection_that_nobody_had_accepted_is_answered
    a_drain_without_connections_is_over_at_once
    leaving_at_once_waits_for_nobody
}

const HOUR: Duration = Duration::from_secs(3600);
const SLOW: &[u8] = b"GET /function/f/slow HTTP/1.1\r\nHost: h\r\n\r\n";

fn limits(drain_idle_timeout: Duration) -> Limits {
    Limits {
        drain_idle_timeout,
        drain_timeout: HOUR,
        ..Limits::default()
    }
}

/// Answers at once, but what is slow only when it is released.
fn replica() -> Replica {
    Replica::start(|mut connection, _| {
        while let Some(head) = connection.read_head() {
            if head.contains("/slow") {
                connection.wait_for_release();
            }
            connection.send(OK);
        }
    })
}

/// A connection that waits for a request, and one whose answer is waited for.
fn idle_and_busy(plane: &Plane, replica: &Replica) -> (TcpStream, TcpStream) {
    let mut idle = plane.connect();
    assert_eq!(exchange(&mut idle, GET).status, 200);
    let mut busy = plane.connect();
    busy.write_all(SLOW).unwrap();
    replica.until_heads(2);
    (idle, busy)
}

fn assert_last(answer: &Answer, client: &mut TcpStream) {
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
}

fn a_drain_ends_idle_connections_and_finishes_busy_ones(driver: &str) {
    let replica = replica();
    let plane = Plane::start(driver, limits(Duration::from_millis(20)), &[&replica]);
    let (mut idle, mut busy) = idle_and_busy(&plane, &replica);
    plane.drain();
    assert_eq!(idle.read_to_end(&mut Vec::new()).unwrap(), 0);
    replica.release();
    let answer = read_answer(&mut busy);
    assert_last(&answer, &mut busy);
    plane.join();
}

fn an_idle_connection_has_time_for_one_more_request(driver: &str) {
    let replica = replica();
    let plane = Plane::start(driver, limits(HOUR), &[&replica]);
    let mut client = plane.connect();
    let answer = exchange(&mut client, GET);
    assert!(!answer.head.contains("Connection: close"));
    plane.drain();
    let answer = exchange(&mut client, GET);
    assert_last(&answer, &mut client);
    plane.join();
}

fn an_answer_that_was_begun_before_leaves_time_for_one_more_request(driver: &str) {
    for (drain_idle_timeout, asks_again) in [(HOUR, true), (Duration::from_millis(20), false)] {
        let replica = Replica::start(|mut connection, _| {
            connection.read_head();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
            connection.wait_for_release();
            connection.send("lf");
            connection.serve(OK);
        });
        let plane = Plane::start(driver, limits(drain_idle_timeout), &[&replica]);
        let mut client = plane.connect();
        client.write_all(GET.as_bytes()).unwrap();
        let head = read_until(&mut client, "\r\n\r\n").unwrap();
        assert!(!head.contains("Connection: close"), "{head}");
        plane.drain();
        replica.release();
        let mut body = [0; 4];
        client.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"half");
        if asks_again {
            let answer = exchange(&mut client, GET);
            assert_last(&answer, &mut client);
        } else {
            assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
        }
        plane.join();
    }
}

/// Goal: what waits in the backlog when the end begins is not lost.
/// Steps: clients connect and ask before there is a worker; the word to drain comes then, too.
fn a_connection_that_nobody_had_accepted_is_answered(driver: &str) {
    let replica = replica();
    let (plane, clients) =
        Plane::start_after(driver, limits(HOUR), &[&replica], |address, shared| {
            let clients: Vec<_> = (0..100)
                .map(|_| {
                    let mut client = connect(address);
                    client.write_all(GET.as_bytes()).unwrap();
                    client
                })
                .collect();
            shared.start_draining();
            clients
        });
    plane.drain();
    for mut client in clients {
        let answer = read_answer(&mut client);
        assert_last(&answer, &mut client);
    }
    plane.join();
}

fn a_drain_without_connections_is_over_at_once(driver: &str) {
    let replica = replica();
    let plane = Plane::start(driver, limits(HOUR), &[&replica]);
    let mut client = plane.connect();
    assert_eq!(exchange(&mut client, GET).status, 200);
    drop(client);
    plane.drain();
    plane.join();
}

fn leaving_at_once_waits_for_nobody(driver: &str) {
    let replica = replica();
    let plane = Plane::start(driver, limits(HOUR), &[&replica]);
    let (_idle, _busy) = idle_and_busy(&plane, &replica);
    plane.drain();
    plane.leave_at_once();
    plane.join();
}
