//! The data plane alone, between clients and replicas that are plain sockets of this test: what
//! happens when one side is slow, silent, early or gone. Each test runs under both drivers.

#![expect(
    clippy::unwrap_used,
    reason = "a test helper that fails ends the test, as it should"
)]

mod plane;
mod replica;
mod text;

use std::{
    io::{Read, Write},
    net::Shutdown,
    time::Duration,
};

use gateway::limits::Limits;

use plane::Plane;
use replica::Replica;
use text::{exchange, read_answer};

/// Instantiates each test for each driver.
macro_rules! under_each_driver {
    ($($name:ident)*) => {
        mod monoio_uring { $(#[test] fn $name() { super::$name("monoio-uring"); })* }
        mod ring { $(#[test] fn $name() { super::$name("ring"); })* }
        mod epoll { $(#[test] fn $name() { super::$name("epoll"); })* }
    };
}

// After the macro, which they use.
mod drain;
mod limits;
mod outlier;
mod parting;
mod retry;
mod slow_clients;
mod tunnel;

under_each_driver! {
    a_get_is_sent_again_when_its_reused_connection_dies
    a_post_is_not_sent_again_when_it_may_have_run
    a_connection_that_was_closed_while_idle_is_not_used
    bytes_that_nobody_asked_for_reach_nobody
    an_early_answer_reaches_a_client_that_is_still_sending
    a_client_that_leaves_ends_its_request
    a_client_that_closes_its_sending_side_gets_its_answer
    pipelined_requests_are_answered_in_order
    a_silent_replica_is_a_504_that_names_the_limit
    a_replica_that_breaks_off_is_a_502
    an_answer_that_is_not_http_is_a_502
    a_slow_head_is_a_408
    the_time_for_a_head_begins_anew_behind_a_pipelined_request
    a_stalled_body_is_a_408_and_not_the_functions_fault
    a_body_over_the_limit_is_a_413_before_it_is_sent
    an_answer_cut_short_is_cut_short_for_the_client_too
    an_answer_until_close_is_put_into_chunks
}

const GET: &str = "GET /function/f HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Limits short enough to be waited for.
fn short() -> Limits {
    Limits {
        head_timeout: Duration::from_millis(150),
        first_byte_timeout: Duration::from_millis(150),
        half_close_timeout: Duration::from_millis(150),
        body_bytes_max: Some(1000),
        ..Limits::default()
    }
}

fn a_get_is_sent_again_when_its_reused_connection_dies(driver: &str) {
    // The replica answers one request per connection, then takes the next and dies over it.
    let replica = Replica::start(|mut connection, number| {
        connection.read_head();
        connection.send(OK);
        if number == 0 {
            connection.read_head();
        } else {
            connection.serve(OK);
        }
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    for _ in 0..3 {
        assert_eq!(exchange(&mut client, GET).status, 200);
    }
    assert_eq!(replica.connections(), 2);
}

fn a_post_is_not_sent_again_when_it_may_have_run(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send(OK);
        connection.read_head();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    assert_eq!(exchange(&mut client, GET).status, 200);
    let post = "POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(exchange(&mut client, post).status, 502);
    assert_eq!(replica.heads().len(), 2, "the replica saw it once");
}

fn a_connection_that_was_closed_while_idle_is_not_used(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send(OK);
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    for expected in 1..=6 {
        // Each answer ends its connection; a POST then has to find a fresh one.
        let post = "POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(exchange(&mut client, post).status, 200);
        replica.until_closed(expected);
    }
}

fn bytes_that_nobody_asked_for_reach_nobody(driver: &str) {
    let replica = Replica::start(|mut connection, number| {
        while connection.read_head().is_some() {
            connection.send(OK);
            if number == 0 {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL");
                connection.note("it has been sent");
                connection.wait_for_release();
            }
        }
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    assert_eq!(exchange(&mut plane.connect(), GET).body, "ok");
    replica.until_heads(2);
    assert_eq!(exchange(&mut plane.connect(), GET).body, "ok");
    replica.release();
}

fn an_early_answer_reaches_a_client_that_is_still_sending(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        connection.wait_for_end();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    let head = "POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nbeginning";
    let answer = exchange(&mut client, head);
    assert_eq!((answer.status, answer.body.as_str()), (403, "no"));
    assert!(answer.head.contains("Connection: close"), "{}", answer.head);
}

fn a_client_that_leaves_ends_its_request(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.wait_for_end();
    });
    let plane = Plane::start(
        driver,
        Limits {
            first_byte_timeout: Duration::from_secs(60),
            ..short()
        },
        &[&replica],
    );
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    replica.until_heads(1);
    drop(client);
    replica.until_closed(1);
}

fn a_client_that_closes_its_sending_side_gets_its_answer(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        plane::pause_beyond_watch();
        connection.send(OK);
        connection.wait_for_end();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_answer(&mut client).body, "ok");
}

fn pipelined_requests_are_answered_in_order(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        while let Some(head) = connection.read_head() {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let length = path.len();
            connection.send(&format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}"
            ));
        }
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    let requests: String = (0..50)
        .map(|n| format!("GET /function/f/{n} HTTP/1.1\r\nHost: h\r\n\r\n"))
        .collect();
    client.write_all(requests.as_bytes()).unwrap();
    for n in 0..50 {
        assert_eq!(read_answer(&mut client).body, format!("/{n}"));
    }
}

fn a_silent_replica_is_a_504_that_names_the_limit(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.wait_for_end();
    });
    let plane = Plane::start(driver, short(), &[&replica]);
    let mut client = plane.connect();
    let answer = exchange(&mut client, GET);
    assert_eq!(answer.status, 504);
    assert!(answer.body.contains("0.15 s"), "{}", answer.body);
    replica.until_closed(1);
    assert_eq!(
        exchange(&mut client, GET).status,
        504,
        "the connection goes on"
    );
}

fn a_replica_that_breaks_off_is_a_502(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let answer = exchange(&mut plane.connect(), GET);
    assert_eq!(answer.status, 502);
    assert!(answer.body.starts_with("f: "), "{}", answer.body);
}

fn an_answer_that_is_not_http_is_a_502(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
        connection.wait_for_end();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    assert_eq!(exchange(&mut plane.connect(), GET).status, 502);
}

fn a_slow_head_is_a_408(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let plane = Plane::start(driver, short(), &[&replica]);
    let mut client = plane.connect();
    client.write_all(b"GET /function/f HTTP/1.1\r\nHo").unwrap();
    assert_eq!(read_answer(&mut client).status, 408);
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
}

fn the_time_for_a_head_begins_anew_behind_a_pipelined_request(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let limits = Limits {
        head_timeout: Duration::from_secs(20),
        ..short()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    let (beginning, rest) = GET.split_at(9);
    let answer = exchange(&mut client, &format!("{GET}{beginning}"));
    assert_eq!(answer.status, 200);
    // What was waited for while the first was answered is over by now.
    plane::pause_beyond_watch();
    assert_eq!(exchange(&mut client, rest).status, 200);
}

fn a_stalled_body_is_a_408_and_not_the_functions_fault(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.wait_for_end());
    let limits = Limits {
        body_timeout: Duration::from_millis(300),
        ..short()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let request = "POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf";
    assert_eq!(exchange(&mut plane.connect(), request).status, 408);
}

fn a_body_over_the_limit_is_a_413_before_it_is_sent(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let plane = Plane::start(driver, short(), &[&replica]);
    let announced = "POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n";
    assert_eq!(exchange(&mut plane.connect(), announced).status, 413);
    assert_eq!(replica.connections(), 0);
}

fn an_answer_cut_short_is_cut_short_for_the_client_too(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("\r\n2\r\nok\r\n"), "no last chunk: {all:?}");
}

fn an_answer_until_close_is_put_into_chunks(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.0 200 OK\r\n\r\nhello");
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    for _ in 0..2 {
        let answer = exchange(&mut client, GET);
        assert_eq!(answer.body, "hello");
        assert!(answer.head.contains("Transfer-Encoding: chunked"));
    }
}
