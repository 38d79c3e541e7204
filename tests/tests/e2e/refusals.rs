//! What is ambiguous is refused, wherever the bytes are cut, and nobody sees any of it.
//!
//! `requests` and `answers` are tables of messages; here is what is done with each. A request is
//! sent in one write, behind a good one in one write, and behind a good one in two writes cut at
//! every place: the answer to the good one shows that the gateway has read up to the cut. Each is
//! followed by a good request that somebody wants to smuggle through. What a replica received is
//! looked at when the gateway is gone, so that nothing can still be on its way.

mod answers;
mod requests;

use std::sync::{Arc, Mutex, mpsc};

use tests::{
    Builder, Connection, Driver, Gateway, Peer, Response, Upstream, http::find_head_end,
    under_each_driver,
};

use answers::{ANSWER_BODIES, ANSWER_HEADS};
use requests::{BODIES, HEADS, Head, large_heads};

under_each_driver! {
    a_doubtful_head_is_refused_and_not_a_byte_of_it_is_passed_on
    a_doubtful_body_is_refused_and_not_a_byte_of_the_doubt_is_passed_on
    a_head_over_a_limit_is_refused_and_not_a_byte_of_it_is_passed_on
    a_body_over_the_limit_is_refused_with_what_follows
    a_doubtful_answer_is_a_502_and_its_connection_is_not_used_again
    a_doubtful_answers_body_is_cut_and_its_connection_is_not_used_again
}

const GOOD: &str = "GET /function/f/good HTTP/1.1\r\nHost: h\r\n\r\n";
const SMUGGLED: &str = "GET /function/f/smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What each connection of a replica received, byte by byte.
type Record = Arc<Mutex<Vec<Vec<u8>>>>;

/// A replica that answers what is good and waits over everything else.
fn recording() -> (Upstream, Record) {
    let record = Record::default();
    let kept = Arc::clone(&record);
    let upstream = Upstream::start(move |peer| {
        let mut answered = 0;
        while let Some(piece) = peer.some() {
            let mut connections = kept.lock().unwrap();
            let needed = connections.len().max(peer.number + 1);
            connections.resize_with(needed, Vec::new);
            let own = &mut connections[peer.number];
            own.extend(piece);
            let mut answers = 0;
            while let Some(end) = good_request(&own[answered..]) {
                answered += end;
                answers += 1;
            }
            drop(connections);
            (0..answers).for_each(|_| peer.send(OK));
        }
    });
    (upstream, record)
}

/// The length of the good request at the front of `bytes`, if one is there.
fn good_request(bytes: &[u8]) -> Option<usize> {
    let end = find_head_end(bytes)?;
    bytes.starts_with(b"GET /good HTTP/1.1\r\n").then_some(end)
}

/// One worker, so that it is certain which connection a request takes.
fn gateway_before(driver: Driver, upstream: &Upstream) -> Builder {
    Builder::new(driver).threads(1).serving("f", upstream)
}

/// Sends a bad request in all its forms; `cuts` are the places where it is cut in two.
fn assert_refused(gateway: &Gateway, bad: &[u8], status: u16, cuts: impl Iterator<Item = usize>) {
    let whole = [bad, SMUGGLED.as_bytes()].concat();
    let mut client = gateway.connect();
    client.try_send(&whole).ok();
    expect_refusal(&mut client, bad, status, "in one write");

    let mut client = gateway.connect();
    client.try_send([GOOD.as_bytes(), &whole].concat()).ok();
    assert_eq!(client.response().text(), "ok");
    expect_refusal(&mut client, bad, status, "behind another");

    for cut in cuts {
        let mut client = gateway.connect();
        client.send([GOOD.as_bytes(), &whole[..cut]].concat());
        assert_eq!(client.response().text(), "ok");
        // It may have been refused already.
        client.try_send(&whole[cut..]).ok();
        expect_refusal(&mut client, bad, status, &format!("cut at {cut}"));
    }
}

fn expect_refusal(client: &mut Connection, bad: &[u8], status: u16, how: &str) {
    let start = String::from_utf8_lossy(&bad[..bad.len().min(300)]);
    let answer = client.response();
    assert_eq!(
        answer.status(),
        status,
        "{how}: {start:?}: {}",
        answer.text()
    );
    let close = answer.head.header("connection");
    assert_eq!(close, Some("close"), "{how}: {start:?}");
    let rest = client.rest();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty(), "{how}: {start:?}: then came {rest}");
}

/// Ends the gateway and gives what each connection received behind good requests.
fn leftovers(gateway: Gateway, upstream: &Upstream, record: &Record) -> Vec<Vec<u8>> {
    assert_eq!(gateway.connect().get("/function/f/good").text(), "ok");
    gateway.kill();
    upstream.until_closed(upstream.opened());
    let mut connections = std::mem::take(&mut *record.lock().unwrap());
    for connection in &mut connections {
        while let Some(end) = good_request(connection) {
            connection.drain(..end);
        }
    }
    connections.retain(|connection| !connection.is_empty());
    connections
}

fn assert_unseen(gateway: Gateway, upstream: &Upstream, record: &Record) {
    let seen = leftovers(gateway, upstream, record).concat();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.is_empty(), "the replica saw {seen:?}");
}

fn a_doubtful_head_is_refused_and_not_a_byte_of_it_is_passed_on(driver: Driver) {
    let (upstream, record) = recording();
    let gateway = gateway_before(driver, &upstream).start();
    for Head(bytes, status) in HEADS {
        assert_refused(&gateway, bytes, *status, 1..bytes.len());
    }
    assert_unseen(gateway, &upstream, &record);
}

fn a_head_over_a_limit_is_refused_and_not_a_byte_of_it_is_passed_on(driver: Driver) {
    let (upstream, record) = recording();
    let gateway = gateway_before(driver, &upstream).start();
    for (bytes, status) in large_heads() {
        let cuts = [1, 30, bytes.len() / 2, bytes.len() - 1];
        assert_refused(&gateway, &bytes, status, cuts.into_iter());
    }
    assert_unseen(gateway, &upstream, &record);
}

fn a_body_over_the_limit_is_refused_with_what_follows(driver: Driver) {
    let (upstream, record) = recording();
    let limited = gateway_before(driver, &upstream).arg("--body-bytes-max");
    let gateway = limited.arg("10").start();
    let head = "POST /function/f/evil HTTP/1.1\r\nHost: h\r\n";
    let announced = format!("{head}Content-Length: 200\r\n\r\n12345678901");
    let cuts = 1..announced.len();
    assert_refused(&gateway, announced.as_bytes(), 413, cuts);
    assert_unseen(gateway, &upstream, &record);
}

fn a_doubtful_body_is_refused_and_not_a_byte_of_the_doubt_is_passed_on(driver: Driver) {
    let (upstream, record) = recording();
    let gateway = gateway_before(driver, &upstream).start();
    for (number, (good, bad, status)) in BODIES.iter().enumerate() {
        let head = format!(
            "POST /function/f/evil/{number} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let whole = format!("{head}{good}{bad}");
        let cuts = head.len() - 4..whole.len();
        assert_refused(&gateway, whole.as_bytes(), *status, cuts);
    }
    // A body is passed on while it comes, so its beginning may have arrived: up to the doubt, and
    // never so that it looks whole.
    for seen in leftovers(gateway, &upstream, &record) {
        let text = String::from_utf8_lossy(&seen).into_owned();
        let number = text
            .strip_prefix("POST /evil/")
            .and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        let Some(number) = number else {
            panic!("the replica saw {text:?}");
        };
        let body = &seen[find_head_end(&seen).unwrap()..];
        let (good, bad, _) = BODIES[number];
        assert!(
            good.as_bytes().starts_with(body),
            "of {good:?} and then {bad:?} the replica saw {text:?}"
        );
    }
}

/// A replica that answers `/N/K` with the `N`th answer, the first `K` bytes of it behind an interim
/// answer, the rest when it is told to; and then tries to put words into another's mouth.
fn answering(table: fn(usize) -> Vec<u8>) -> (Upstream, mpsc::Sender<()>) {
    let (go_on, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |peer: &mut Peer| {
        while let Some(seen) = peer.request() {
            let mut numbers = seen.line().split('/').skip(1).map(str::parse::<usize>);
            let (Some(Ok(number)), Some(Ok(cut))) = (numbers.next(), numbers.next()) else {
                peer.send(OK);
                continue;
            };
            let bytes = table(number);
            if cut > 0 {
                peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
                peer.send(&bytes[..cut]);
                told.lock().unwrap().recv().unwrap();
            }
            peer.send(
                [
                    &bytes[cut..],
                    b"HTTP/1.1 200 EVIL\r\nContent-Length: 4\r\n\r\nEVIL",
                ]
                .concat(),
            );
            return peer.wait_for_end();
        }
    });
    (upstream, go_on)
}

/// Asks for the `number`th answer cut at `cut`, and says when the cut has been read.
fn ask(client: &mut Connection, number: usize, cut: usize, go_on: &mpsc::Sender<()>) {
    client.send(format!(
        "GET /function/f/{number}/{cut} HTTP/1.1\r\nHost: h\r\n\r\n"
    ));
    if cut > 0 {
        assert_eq!(client.head().status, 103);
        go_on.send(()).unwrap();
    }
}

fn a_doubtful_answer_is_a_502_and_its_connection_is_not_used_again(driver: Driver) {
    let (upstream, go_on) = answering(|number| ANSWER_HEADS[number].to_vec());
    let gateway = gateway_before(driver, &upstream).start();
    let mut client = gateway.connect();
    let mut asked = 0;
    for (number, bytes) in ANSWER_HEADS.iter().enumerate() {
        for cut in 0..bytes.len() {
            assert_eq!(client.get("/function/f/good").text(), "ok");
            ask(&mut client, number, cut, &go_on);
            let told: Response = client.response();
            let start = String::from_utf8_lossy(bytes);
            assert_eq!(told.status(), 502, "{start:?} cut at {cut}");
            assert!(told.text().contains("not valid HTTP"), "{}", told.text());
            asked += 1;
            upstream.until_closed(asked);
        }
    }
    assert_eq!(client.get("/function/f/good").text(), "ok");
    assert_eq!(upstream.opened(), asked + 1, "each was asked on a new one");
}

fn a_doubtful_answers_body_is_cut_and_its_connection_is_not_used_again(driver: Driver) {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (upstream, go_on) = answering(|number| {
        let (good, bad) = ANSWER_BODIES[number];
        format!("{HEAD}{good}{bad}").into_bytes()
    });
    let gateway = gateway_before(driver, &upstream).start();
    let mut asked = 0;
    for (number, (good, bad)) in ANSWER_BODIES.iter().enumerate() {
        for cut in HEAD.len()..=HEAD.len() + good.len() + bad.len() {
            let mut client = gateway.connect();
            assert_eq!(client.get("/function/f/good").text(), "ok");
            ask(&mut client, number, cut, &go_on);
            let head = client.head();
            // Noticed before the client had been told anything, or too late for that.
            if head.status != 502 {
                assert_eq!(head.status, 200);
                let rest = client.rest();
                assert!(
                    good.as_bytes().starts_with(&rest),
                    "{good:?}, then {bad:?}, cut at {cut}: {:?}",
                    String::from_utf8_lossy(&rest)
                );
            }
            asked += 1;
            upstream.until_closed(asked);
        }
    }
    assert_eq!(gateway.connect().get("/function/f/good").text(), "ok");
    assert_eq!(upstream.opened(), asked + 1, "each was asked on a new one");
}
