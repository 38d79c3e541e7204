//! Clients that do not take their answer to its end: how long they are held, and that it is counted.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use gateway::{failure::Reason, limits::Limits};
use rustix::net::sockopt::set_socket_linger;

use crate::{
    GET, OK,
    plane::{Plane, pause_beyond_watch},
    replica::Replica,
};

under_each_driver! {
    a_client_that_does_not_read_is_let_go_at_its_first_limit
    a_client_that_left_before_its_answer_is_counted
}

fn a_client_that_does_not_read_is_let_go_at_its_first_limit(driver: &str) {
    // 1. A client stops reading. 2. Later, but before its time is over, a second one does. 3. When
    // the time of the second is over, the first is gone: it was not waited for once more.
    const LIMIT: Duration = Duration::from_millis(800);
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        connection.flood();
    });
    let limits = Limits {
        body_timeout: LIMIT,
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let begun = Instant::now();
    let mut stalled = plane.connect();
    stalled.write_all(GET.as_bytes()).unwrap();
    while begun.elapsed() < LIMIT / 2 {
        pause_beyond_watch();
    }
    let mut second = plane.connect();
    second.write_all(GET.as_bytes()).unwrap();
    plane.until_failed(Reason::ClientStalled, 2);
    let open = plane.cells().connections.get();
    assert!(open <= 1, "{open} connections are open");
    plane.until(|cells| cells.connections.get() == 0);
}

fn a_client_that_left_before_its_answer_is_counted(driver: &str) {
    // The answer goes out in one piece, which a driver may take over before the kernel refuses it.
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.wait_for_release();
        connection.send(OK);
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    client.write_all(GET.as_bytes()).unwrap();
    replica.until_heads(1);
    reset(client);
    replica.release();
    plane.until_failed(Reason::ClientGone, 1);
    plane.until(|cells| cells.connections.get() == 0);
}

/// Ends a connection by a reset: socket(7), SO_LINGER.
fn reset(client: TcpStream) {
    set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    drop(client);
}
