//! The parts of a message that are easily lost or bent on the way: trailers, chunk extensions, the
//! tail of an answer that comes early, the answer to a client that has said its last word.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    thread,
};

use tests::{Connection, Driver, Upstream, http::request_bytes, under_each_driver};

use crate::forwarding::serving;

under_each_driver! {
    trailers_and_extensions_of_a_request_arrive_byte_for_byte
    trailers_and_extensions_of_an_answer_arrive_byte_for_byte
    a_client_of_1_0_gets_neither_trailers_nor_extensions
    an_early_answer_arrives_whole_and_is_followed_by_an_orderly_end
    an_early_answer_is_not_lost_on_a_client_that_goes_on_sending
    an_early_answer_is_whole_however_much_the_client_goes_on_sending
    a_client_that_has_said_its_last_word_gets_a_large_answer_whole
}

/// A chunked body with all that the grammar of RFC 9112, 7.1, has room for.
const ADORNED: &str = "5;name;key=value;quoted=\"a;\\\"b\\\" \t\"\r\nhello\r\n\
    B;last\r\n wide world\r\n000;end=1\r\n\
    X-Sum:abc\r\nX-Other: \t two  words \t\r\nx-empty:\r\nX-Sum: \u{e4}\r\n\r\n";

/// Answers with `answer` once a body like [`ADORNED`] has come whole, and keeps it as it came.
fn keeping_raw_bodies(answer: &'static str) -> (Upstream, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let raw = Arc::clone(&kept);
    let upstream = Upstream::start(move |peer| {
        while let Some(head) = peer.head() {
            if head.starts_with("POST") {
                let body = peer.exactly(ADORNED.len()).unwrap();
                raw.lock().unwrap().extend(body);
            }
            peer.send(answer);
        }
    });
    (upstream, kept)
}

fn trailers_and_extensions_of_a_request_arrive_byte_for_byte(driver: Driver) {
    let (upstream, raw) = keeping_raw_bodies("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for headers in ["", "TE: trailers\r\nConnection: TE\r\n"] {
        let head = format!(
            "POST /function/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{headers}\r\n"
        );
        // All at once, and cut everywhere.
        client.send(format!("{head}{ADORNED}"));
        assert_eq!(client.response().text(), "ok");
        client.send(&head);
        for byte in ADORNED.as_bytes() {
            client.send([*byte]);
        }
        assert_eq!(client.response().text(), "ok");
    }
    let raw = raw.lock().unwrap();
    assert_eq!(String::from_utf8_lossy(&raw), ADORNED.repeat(4));
}

fn trailers_and_extensions_of_an_answer_arrive_byte_for_byte(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            if seen.line().ends_with("/cut") {
                ADORNED.bytes().for_each(|byte| peer.send([byte]));
            } else {
                peer.send(ADORNED);
            }
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for headers in ["", "TE: trailers\r\nConnection: TE\r\n"] {
        for path in ["/function/f", "/function/f/cut"] {
            client.send(request_bytes("GET", path, headers, b""));
            assert_eq!(client.head().status, 200);
            let raw = client.raw(ADORNED.len());
            assert_eq!(String::from_utf8(raw).unwrap(), ADORNED);
        }
    }
    assert_eq!(upstream.opened(), 1, "the connection stays in step");
}

fn a_client_of_1_0_gets_neither_trailers_nor_extensions(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            peer.send(ADORNED);
        }
    });
    let gateway = serving(driver, &upstream);
    for _ in 0..2 {
        let mut client = gateway.connect();
        client.send("GET /function/f HTTP/1.0\r\nTE: trailers\r\n\r\n");
        let answer = client.response();
        assert_eq!(answer.head.header("transfer-encoding"), None);
        assert_eq!(answer.text(), "hello wide world");
    }
}

/// A function that answers a large upload with this many bytes as soon as it sees its head.
fn answering_early(length: usize) -> Upstream {
    Upstream::start(move |peer| {
        if peer.head().is_some() {
            peer.send(format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\n\r\n"
            ));
            peer.send(pattern(length));
            peer.wait_for_end();
        }
    })
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn begin_upload(client: &mut Connection) {
    client.send("POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: 1073741824\r\n\r\n");
}

/// Reads the answer to its last byte, and then the end of the connection, in good order.
fn expect_early_answer(client: &mut Connection, length: usize) {
    let head = client.head();
    assert_eq!(head.status, 403);
    assert_eq!(head.header("connection"), Some("close"));
    let body = client.rest_in_good_order().unwrap();
    assert!(
        body == pattern(length),
        "{} of {length} bytes, or others",
        body.len()
    );
}

fn an_early_answer_arrives_whole_and_is_followed_by_an_orderly_end(driver: Driver) {
    for length in [2, 100_000, 3_000_000] {
        let upstream = answering_early(length);
        let gateway = serving(driver, &upstream);
        let mut client = gateway.connect();
        begin_upload(&mut client);
        client.send([b'x'; 50_000]);
        expect_early_answer(&mut client, length);
        upstream.until_closed(1);
    }
}

fn an_early_answer_is_not_lost_on_a_client_that_goes_on_sending(driver: Driver) {
    // The usual simple client: it sends all it has, whatever comes meanwhile, and reads afterwards.
    // Its last bytes find the connection closed; the answer must be there all the same.
    const LENGTH: usize = 30_000;
    let upstream = answering_early(LENGTH);
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    begin_upload(&mut client);
    let piece = [b'x'; 16 * 1024];
    let sending = (0..8).try_for_each(|_| client.try_send(piece));
    assert!(sending.is_ok(), "{sending:?}: no more than is lingered for");
    expect_early_answer(&mut client, LENGTH);
}

fn an_early_answer_is_whole_however_much_the_client_goes_on_sending(driver: Driver) {
    // More than any socket buffer holds: what is lost with a reset shows.
    const LENGTH: usize = 1_000_000;
    let upstream = answering_early(LENGTH);
    let gateway = serving(driver, &upstream);
    for _ in 0..10 {
        let mut client = gateway.connect();
        begin_upload(&mut client);
        let piece = vec![b'x'; 64 * 1024];
        // It stops when nobody takes it any more.
        let sending = (0..1024).try_for_each(|_| client.try_send(&piece));
        drop(sending);
        let answer = client.response();
        assert_eq!(answer.status(), 403);
        assert!(answer.body == pattern(LENGTH));
    }
}

fn a_client_that_has_said_its_last_word_gets_a_large_answer_whole(driver: Driver) {
    const LENGTH: usize = 8 * 1024 * 1024;
    let upstream = Upstream::start(|peer| {
        if peer.request().is_some() {
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
            ));
            peer.send(pattern(LENGTH));
            peer.wait_for_end();
        }
    });
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    let mut writer = client.writer();
    let sending = thread::spawn(move || {
        let request = request_bytes("POST", "/function/f", "", &pattern(LENGTH));
        writer.write_all(&request).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let answer = client.response();
    assert_eq!(answer.status(), 200);
    assert!(answer.body == pattern(LENGTH));
    sending.join().unwrap();
    client.expect_close();
    assert_eq!(upstream.last().body.len(), LENGTH);
}
