//! Replicas that cannot be connected to: they are left out, but somebody always is asked.

use std::net::{SocketAddr, TcpListener};

use gateway::limits::{FunctionLimits, Limits};
use net::Endpoint;

use crate::{GET, OK, plane::Plane, replica::Replica, text::exchange};

under_each_driver! {
    a_replica_that_cannot_be_connected_to_is_left_out
    the_last_replica_is_never_left_out
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Goal: of two replicas the dead one costs a connection now and then, not every second request.
/// Steps: 200 requests, each on a connection of its own to the replica; all are answered, and few
/// had to be tried twice (without a time out it would be about a hundred).
fn a_replica_that_cannot_be_connected_to_is_left_out(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    });
    let endpoints = vec![Endpoint::Tcp(nobody()), Endpoint::Tcp(replica.address)];
    let own = FunctionLimits::default();
    let plane = Plane::start_with(driver, Limits::default(), endpoints, own);
    let mut client = plane.connect();
    for _ in 0..200 {
        assert_eq!(exchange(&mut client, GET).status, 200);
    }
    let left_out = plane.cells().left_out.get();
    let retries = plane.cells().retries.get();
    assert!(left_out >= 1, "it was never left out");
    assert!(retries == left_out && retries < 20, "{retries} retries");
}

fn the_last_replica_is_never_left_out(driver: &str) {
    let address = nobody();
    let endpoints = vec![Endpoint::Tcp(address)];
    let own = FunctionLimits::default();
    let plane = Plane::start_with(driver, Limits::default(), endpoints, own);
    let mut client = plane.connect();
    for _ in 0..5 {
        let answer = exchange(&mut client, GET);
        assert_eq!(answer.status, 502);
        assert!(answer.body.contains("cannot be reached"), "{}", answer.body);
    }
    // It comes up, and the next request finds it whatever went before.
    let replica = Replica::start_at(address, |mut connection, _| connection.serve(OK));
    assert_eq!(exchange(&mut client, GET).status, 200);
    assert_eq!(replica.connections(), 1);
}
