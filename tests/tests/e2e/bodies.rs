//! Large bodies: whole, both ways at once, and with bounded memory.

use std::{io::Write, thread};

use tests::{
    Connection, Driver, Gateway, Upstream, http::request_bytes, processes, under_each_driver,
};

use crate::forwarding::serving;

under_each_driver! {
    sixty_four_mebibytes_pass_through_a_process_in_bounded_memory
    sixty_four_mebibytes_in_chunks_pass_as_well
    a_slow_reader_holds_the_function_back
    bytes_are_not_held_back
}

const MIB: usize = 1024 * 1024;
const LARGE: usize = 64 * MIB;
/// How much a process may grow while a large body passes: buffers, not bodies.
const GROWTH_MAX: u64 = 16 * 1024 * 1024;

/// Bytes that repeat with a period that no buffer size divides.
fn pattern(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(64);
    let period: Vec<u8> = (0..65_521).map(|_| random.u8(..)).collect();
    period.iter().copied().cycle().take(length).collect()
}

/// Sends and receives at the same time, as a body that is larger than all buffers needs.
fn echo(mut client: Connection, request: Vec<u8>) -> Vec<u8> {
    let mut writer = client.writer();
    let sending = thread::spawn(move || writer.write_all(&request).unwrap());
    let answer = client.response();
    assert_eq!(answer.status(), 200, "{}", answer.text());
    sending.join().unwrap();
    answer.body
}

/// The gateway and everything that it started, with what each has resident.
fn resident(gateway: &Gateway) -> Vec<(i32, u64)> {
    let pids = [gateway.pid()].into_iter().chain(gateway.descendants());
    pids.map(|pid| (pid, processes::resident_bytes(pid)))
        .collect()
}

fn assert_no_growth(gateway: &Gateway, before: &[(i32, u64)]) {
    for (pid, bytes) in before {
        let now = processes::peak_bytes(*pid);
        let name = processes::command_line(*pid);
        assert!(
            now <= bytes + GROWTH_MAX,
            "{name} grew from {bytes} to as much as {now} bytes"
        );
    }
    let log = gateway.log();
    assert!(!log.contains("ERROR"), "{log}");
}

fn assert_echoed_without_growth(gateway: &Gateway, request: Vec<u8>, body: &[u8]) {
    let before = resident(gateway);
    assert_eq!(before.len(), 2, "the gateway and one watchdog");
    let echoed = echo(gateway.connect(), request);
    assert!(
        echoed == body,
        "{} of {} bytes, or others",
        echoed.len(),
        body.len()
    );
    assert_no_growth(gateway, &before);
}

fn sixty_four_mebibytes_pass_through_a_process_in_bounded_memory(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    assert_eq!(gateway.call("cat", b"warm").text(), "warm");
    let body = pattern(LARGE);
    let request = request_bytes("POST", "/function/cat", "", &body);
    assert_echoed_without_growth(&gateway, request, &body);
}

fn sixty_four_mebibytes_in_chunks_pass_as_well(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    assert_eq!(gateway.call("cat", b"warm").text(), "warm");
    let body = pattern(LARGE);
    let mut request =
        b"POST /function/cat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    // Sizes from one byte up, so that frames and buffers never line up.
    let (mut at, mut size) = (0, 1);
    while at < body.len() {
        let chunk = &body[at..body.len().min(at + size)];
        request.extend(format!("{:X}\r\n", chunk.len()).as_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
        at += chunk.len();
        size = size * 5 % 262_139 + 1;
    }
    request.extend(b"0\r\n\r\n");
    assert_echoed_without_growth(&gateway, request, &body);
}

fn a_slow_reader_holds_the_function_back(driver: Driver) {
    // 1. A function that writes without end. 2. A client that reads a little, then nothing for a
    // while. 3. Nobody's memory grows. 4. The client leaves: the function's process ends.
    let gateway = Gateway::start(driver);
    gateway.deploy("endless", "cat /dev/zero");
    gateway.deploy("cat", "cat");
    let before = resident(&gateway);
    let mut client = gateway.connect();
    client.send(request_bytes("POST", "/function/endless", "", b""));
    assert_eq!(client.head().status, 200);
    for _ in 0..20 {
        assert_eq!(gateway.call("cat", b"others are served").status(), 200);
    }
    assert_no_growth(&gateway, &before);
    drop(client);
    tests::eventually("the process of the client that left has ended", || {
        (gateway.descendants().len() == before.len() - 1).then_some(())
    });
}

fn bytes_are_not_held_back(driver: Driver) {
    // Each end sends one byte only after it has seen the other's: whoever buffers, blocks.
    let upstream = Upstream::start(|peer| {
        if peer.head().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for _ in 0..20 {
                // One chunk of one byte: six bytes on the wire.
                let chunk = peer.exactly(6).unwrap();
                peer.send(chunk);
            }
            peer.exactly(5);
            peer.send("0\r\n\r\n");
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    client.send("POST /function/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for number in 0..20 {
        let chunk = format!("1\r\n{}\r\n", char::from(b'a' + number));
        client.send(&chunk);
        assert_eq!(client.raw(6), chunk.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.raw(5), b"0\r\n\r\n");
}
