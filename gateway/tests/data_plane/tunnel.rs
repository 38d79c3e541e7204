//! Connections that switch protocols: what becomes a tunnel, how it ends, and what stays HTTP.

use std::{
    io::{Read, Write},
    net::Shutdown,
    time::Duration,
};

use gateway::limits::Limits;

use crate::{
    GET, OK,
    plane::Plane,
    replica::Replica,
    text::{exchange, read_answer},
};

under_each_driver! {
    a_switch_of_protocols_becomes_a_tunnel
    a_tunnel_passes_each_end_on_and_ends_with_both
    a_silent_tunnel_ends_at_its_limit
    an_offer_that_is_declined_stays_http
    a_switch_that_nobody_offered_is_a_502
    an_offer_of_http2_is_not_passed_on
}

const UPGRADE: &str = "GET /function/f HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n";

/// Reads exactly as many bytes as `expected` has.
fn expect_bytes(client: &mut impl Read, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

fn a_switch_of_protocols_becomes_a_tunnel(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        let head = connection.read_head().unwrap();
        assert!(head.contains("\r\nConnection: Upgrade\r\n"), "{head}");
        assert!(head.contains("\r\nUpgrade: websocket\r\n"), "{head}");
        // What follows at once must not be lost between head and tunnel.
        connection.send(&format!("{SWITCH}hello"));
        connection.echo();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    // Nor what the client sends before it is answered.
    client.write_all(UPGRADE.as_bytes()).unwrap();
    client.write_all(b"early").unwrap();
    let head = read_answer(&mut client).head;
    assert!(head.contains("Upgrade: websocket"), "{head}");
    assert!(head.contains("Sec-WebSocket-Accept: y"), "{head}");
    expect_bytes(&mut client, "helloearly");
    for text in ["\0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        client.write_all(text.as_bytes()).unwrap();
        expect_bytes(&mut client, text);
    }
}

fn a_tunnel_passes_each_end_on_and_ends_with_both(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send(SWITCH);
        connection.wait_for_end();
        connection.send("after your end");
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    client.write_all(UPGRADE.as_bytes()).unwrap();
    read_answer(&mut client);
    client.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "after your end");
}

fn a_silent_tunnel_ends_at_its_limit(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send(SWITCH);
        connection.wait_for_end();
    });
    let limits = Limits {
        tunnel_idle_timeout: Duration::from_millis(150),
        ..Limits::default()
    };
    let plane = Plane::start(driver, limits, &[&replica]);
    let mut client = plane.connect();
    client.write_all(UPGRADE.as_bytes()).unwrap();
    read_answer(&mut client);
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
    replica.until_closed(1);
}

fn an_offer_that_is_declined_stays_http(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let mut client = plane.connect();
    for _ in 0..2 {
        assert_eq!(exchange(&mut client, UPGRADE).body, "ok");
    }
}

fn a_switch_that_nobody_offered_is_a_502(driver: &str) {
    let replica = Replica::start(|mut connection, _| {
        connection.read_head();
        connection.send(SWITCH);
        connection.wait_for_end();
    });
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    assert_eq!(exchange(&mut plane.connect(), GET).status, 502);
}

fn an_offer_of_http2_is_not_passed_on(driver: &str) {
    let replica = Replica::start(|mut connection, _| connection.serve(OK));
    let plane = Plane::start(driver, Limits::default(), &[&replica]);
    let request = UPGRADE.replace("websocket", "websocket, h2c");
    assert_eq!(exchange(&mut plane.connect(), &request).body, "ok");
    let head = replica.heads().remove(0).to_lowercase();
    assert!(!head.contains("upgrade"), "{head}");
}
