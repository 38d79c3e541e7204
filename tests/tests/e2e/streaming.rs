//! Bodies that flow: as large as one likes in bounded memory, at the pace of the slower side, and
//! each piece as it was written, not when a buffer is full.
//!
//! `bodies` does the same with processes at the far end; here the far end is the test, so that it
//! decides when a piece is written and who waits for whom.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tests::{Driver, Gateway, Peer, Upstream, eventually, hold_for, processes, under_each_driver};

use crate::forwarding::serving;

under_each_driver! {
    a_gibibyte_goes_up_and_comes_down_at_once_in_bounded_memory
    a_client_that_stops_reading_stops_the_function
    a_function_that_stops_reading_stops_the_client
    each_event_arrives_before_the_next_is_written
    each_piece_of_an_upload_arrives_before_the_next_is_written
    many_small_writes_arrive_as_they_are_written
    a_process_answers_each_line_before_it_gets_the_next
}

const MIB: usize = 1024 * 1024;
/// How much the gateway may grow, whatever passes: buffers, not bodies.
const GROWTH_MAX: u64 = 16 * 1024 * 1024;
/// What the kernel holds of a stream that nobody reads: four socket buffers (tcp(7): at most 4 MiB to
/// send and 6 MiB to receive by default) and what the gateway has in hand.
const IN_FLIGHT_MAX: u64 = 32 * 1024 * 1024;

const CHUNKED_ANSWER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNKED_UPLOAD: &str =
    "POST /function/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A chunk of a mebibyte with its framing, of bytes that no two places have alike.
fn large_chunk() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(30);
    let data: Vec<u8> = (0..MIB).map(|_| random.u8(..)).collect();
    [b"100000\r\n".as_slice(), &data, b"\r\n"].concat()
}

/// Sends back what comes, framing and all.
fn echo(peer: &mut Peer) {
    if peer.head().is_none() {
        return;
    }
    peer.send(CHUNKED_ANSWER);
    while let Some(piece) = peer.some() {
        peer.send(piece);
    }
}

fn a_gibibyte_goes_up_and_comes_down_at_once_in_bounded_memory(driver: Driver) {
    const CHUNKS: usize = 1024;
    let upstream = Upstream::start(echo);
    let gateway = serving(driver, &upstream);
    let before = processes::resident_bytes(gateway.pid());
    let mut client = gateway.connect();
    let chunk = large_chunk();
    let mut writer = client.writer();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(CHUNKED_UPLOAD.as_bytes()).unwrap();
            for _ in 0..CHUNKS {
                writer.write_all(&chunk).unwrap();
            }
            writer.write_all(b"0\r\n\r\n").unwrap();
        });
        assert_eq!(client.head().status, 200);
        for number in 0..CHUNKS {
            let echoed = client.raw(chunk.len());
            assert!(echoed == chunk, "chunk {number} came back otherwise");
        }
        assert_eq!(client.raw(5), b"0\r\n\r\n");
    });
    let peak = processes::peak_bytes(gateway.pid());
    assert!(
        peak <= before + GROWTH_MAX,
        "grew from {before} to as much as {peak} bytes"
    );
}

/// Waits until `count` stands still, which is what backpressure looks like from the sender's side.
fn until_it_stands_still(count: &AtomicU64) -> u64 {
    eventually("the sender is held back", || {
        let before = count.load(Ordering::Relaxed);
        hold_for(Duration::from_millis(200));
        (before > 0 && before == count.load(Ordering::Relaxed)).then_some(before)
    })
}

fn assert_bounded(gateway: &Gateway, before: u64, accepted: u64) {
    assert!(
        accepted <= IN_FLIGHT_MAX,
        "{accepted} bytes were accepted that nobody reads"
    );
    let peak = processes::peak_bytes(gateway.pid());
    assert!(
        peak <= before + GROWTH_MAX,
        "grew from {before} to as much as {peak} bytes"
    );
}

fn a_client_that_stops_reading_stops_the_function(driver: Driver) {
    // 1. A function that writes without end. 2. A client that reads the head and no more. 3. The
    // function is stopped after a bounded number of bytes. 4. The client reads on, and so it goes on.
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::start(move |peer| {
        let chunk = large_chunk();
        if peer.request().is_some() {
            peer.send(CHUNKED_ANSWER);
            while peer.try_send(&chunk).is_ok() {
                count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
        }
    });
    let gateway = serving(driver, &upstream);
    let before = processes::resident_bytes(gateway.pid());
    let mut client = gateway.connect();
    client.send("GET /function/f HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.head().status, 200);
    let accepted = until_it_stands_still(&written);
    assert_bounded(&gateway, before, accepted);
    let mut read = 0;
    while read <= 2 * accepted {
        read += client.some().len() as u64;
    }
    assert!(written.load(Ordering::Relaxed) > accepted);
}

fn a_function_that_stops_reading_stops_the_client(driver: Driver) {
    let (go_on, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |peer| {
        if peer.head().is_some() {
            told.lock().unwrap().recv().unwrap();
            echo_only_the_end(peer);
        }
    });
    let gateway = serving(driver, &upstream);
    let before = processes::resident_bytes(gateway.pid());
    let mut client = gateway.connect();
    let mut writer = client.writer();
    let chunk = large_chunk();
    let written = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(CHUNKED_UPLOAD.as_bytes()).unwrap();
            for _ in 0..64 {
                writer.write_all(&chunk).unwrap();
                written.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
            writer.write_all(b"0\r\n\r\n").unwrap();
        });
        let accepted = until_it_stands_still(&written);
        assert_bounded(&gateway, before, accepted);
        go_on.send(()).unwrap();
        assert_eq!(client.response().status(), 204);
    });
}

/// Reads the rest of a chunked body and answers.
fn echo_only_the_end(peer: &mut Peer) {
    let mut tail = Vec::new();
    while !tail.ends_with(b"\r\n0\r\n\r\n") {
        let Some(piece) = peer.some() else { return };
        let keep = tail.len().saturating_sub(8);
        tail.drain(..keep);
        tail.extend(piece);
    }
    peer.send("HTTP/1.1 204 No Content\r\n\r\n");
}

/// An answer whose every event is written only after the client has seen the one before.
fn stepwise(events: &'static [&'static str], head: &'static str) -> (Upstream, mpsc::Sender<()>) {
    let (next, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |peer| {
        if peer.request().is_none() {
            return;
        }
        peer.send(head);
        for event in events {
            if told.lock().unwrap().recv().is_err() {
                return;
            }
            peer.send(event);
        }
    });
    (upstream, next)
}

fn each_event_arrives_before_the_next_is_written(driver: Driver) {
    const PLAIN: [&str; 4] = ["data: 1\n\n", ": \n", "x", "data: 2\n\n"];
    const CHUNKS: [&str; 4] = [
        "9\r\ndata: 1\n\n\r\n",
        "3\r\n: \n\r\n",
        "1\r\nx\r\n",
        "9\r\ndata: 2\n\n\r\n",
    ];
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    // What the replica's head and events are, the client's version, and what the client reads.
    for (head, written, version, read) in [
        (CHUNKED_ANSWER, &CHUNKS, "1.1", &CHUNKS),
        (until_close, &PLAIN, "1.1", &CHUNKS),
        (length, &PLAIN, "1.1", &PLAIN),
        (CHUNKED_ANSWER, &CHUNKS, "1.0", &PLAIN),
        (until_close, &PLAIN, "1.0", &PLAIN),
    ] {
        let (upstream, next) = stepwise(written, head);
        let gateway = serving(driver, &upstream);
        let mut client = gateway.connect();
        client.send(format!(
            "GET /function/f HTTP/{version}\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"
        ));
        // The head itself is not held back until there is a body.
        assert_eq!(client.head().status, 200);
        for event in read {
            next.send(()).unwrap();
            let came = client.raw(event.len());
            assert_eq!(String::from_utf8(came).unwrap(), **event, "{head}");
        }
    }
}

fn each_piece_of_an_upload_arrives_before_the_next_is_written(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        if peer.head().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 40\r\nConnection: close\r\n\r\n");
            while let Some(piece) = peer.some() {
                peer.send(piece);
            }
        }
    });
    let gateway = serving(driver, &upstream);
    for (framing, piece) in [
        ("Content-Length: 40", "event"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n"),
    ] {
        let mut client = gateway.connect();
        client.send(format!(
            "POST /function/f HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"
        ));
        assert_eq!(client.head().status, 200);
        for _ in 0..40 / piece.len() {
            client.send(piece);
            assert_eq!(client.raw(piece.len()), piece.as_bytes(), "{framing}");
        }
    }
}

fn many_small_writes_arrive_as_they_are_written(driver: Driver) {
    // Ten thousand writes of a byte each by the function, in chunks of one: nothing is lost or out of
    // order when they come faster than they are read, and nothing is held back at the end: the
    // stream does not end, yet the last of them arrives.
    const WRITES: usize = 10_000;
    let upstream = Upstream::start(|peer| {
        if peer.request().is_some() {
            peer.send(CHUNKED_ANSWER);
            for number in 0..WRITES {
                peer.send(format!("1\r\n{}\r\n", number % 10));
            }
            peer.wait_for_end();
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    client.send("GET /function/f HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for number in 0..WRITES {
        let digit = client.chunk().unwrap();
        assert_eq!(digit, (number % 10).to_string().as_bytes(), "{number}");
    }
}

fn a_process_answers_each_line_before_it_gets_the_next(driver: Driver) {
    // Up to 64 KiB of output are held, so that the status can still say whether the program failed;
    // what comes behind them is sent as it is written.
    const FIRST: usize = 100_000;
    let gateway = Gateway::start(driver);
    let script =
        format!("head -c {FIRST} /dev/zero; while read -r line; do echo \"got $line\"; done");
    gateway.deploy("talk", &format!("sh -c '{script}'"));
    let mut client = gateway.connect();
    client.send(CHUNKED_UPLOAD.replace("/f ", "/talk "));
    assert_eq!(client.head().status, 200);
    let mut came = 0;
    while came < FIRST {
        came += client.chunk().unwrap().len();
    }
    for word in ["one", "two", "three"] {
        client.send(format!("{:x}\r\n{word}\n\r\n", word.len() + 1));
        let line = client.chunk().unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), format!("got {word}\n"));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
}
