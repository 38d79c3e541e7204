//! A function with an HTTP server of its own, for the watchdog's http mode: what it does with a
//! request is in the request's path.
//!
//! It listens at `function.sock` in its `TMPDIR`, or at 127.0.0.1 and `PORT` if that is set. With
//! `WAIT_FOR` in its environment it listens only once a file of that name is there.
//!
//! What it does not do: HTTP well. It trusts whoever sends, so that what it gets can be compared byte
//! by byte.

use std::{
    env, fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process, thread,
};

use crate::{Peer, Upstream, time::eventually};

/// Serves until the process is ended.
///
/// # Panics
/// When it cannot listen.
pub fn serve() {
    if let Some(gate) = env::var_os("WAIT_FOR") {
        eventually("the function may listen", || {
            Path::new(&gate).exists().then_some(())
        });
    }
    if let Ok(port) = env::var("PORT") {
        serve_port(&port);
    }
    let _upstream = Upstream::start_unix(own_file("function.sock"), |peer| {
        let mut requests = 0;
        while let Some(head) = peer.head() {
            requests += 1;
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            if !answer(peer, &head, &target, requests) {
                return;
            }
        }
    });
    loop {
        thread::park();
    }
}

/// Says which port it was given, and nothing else.
fn serve_port(port: &str) -> ! {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        // A look whether it listens sends nothing.
        let length = stream.read(&mut [0; 4096]).unwrap_or(0);
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", port.len());
        if length > 0 {
            stream.write_all(format!("{head}{port}").as_bytes()).ok();
        }
    }
}

fn own_file(name: &str) -> PathBuf {
    Path::new(&env::var_os("TMPDIR").unwrap()).join(name)
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "));
    lines
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

fn reply(peer: &mut Peer, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    peer.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    peer.send(body);
}

/// Answers one request; false ends the connection.
fn answer(peer: &mut Peer, head: &str, target: &str, requests: usize) -> bool {
    match target.split('?').next().unwrap_or_default() {
        "/echo" => {
            let body = whole_body(peer, head);
            reply(peer, body);
        }
        "/head" => reply(peer, head),
        "/pid" => reply(peer, process::id().to_string()),
        "/connection" => reply(peer, format!("{} {requests}", peer.number)),
        "/pipe" => pipe(peer, head),
        "/events" => events(peer),
        "/trailers" => trailers(peer),
        "/interim" => {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
            reply(peer, "at last");
        }
        "/early" => {
            peer.send(
                "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large",
            );
            // Closed by the other side first.
            peer.wait_for_end();
            return false;
        }
        "/until-close" => {
            peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
            return false;
        }
        "/no-body" => peer.send("HTTP/1.1 204 No Content\r\n\r\n"),
        "/only-head" => peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        "/last" => {
            reply(peer, "the last");
            return false;
        }
        "/garbage" => peer.send("HTTP/1.1 2000 What\r\n\r\n"),
        "/die" => die(),
        "/die-late" => {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            // Told by the client that it has seen the beginning.
            peer.exactly(1);
            die();
        }
        "/hang" => {
            fs::write(own_file("hanging"), "").unwrap();
            peer.wait_for_end();
            fs::write(own_file("gone"), "").unwrap();
            return false;
        }
        "/socket" => {
            peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
            while let Some(byte) = peer.exactly(1) {
                peer.send(byte);
            }
            fs::write(own_file("gone"), "").unwrap();
            return false;
        }
        _ => reply(peer, "hello"),
    }
    true
}

#[expect(clippy::exit, reason = "to go down is what the test asked for")]
fn die() -> ! {
    process::exit(7);
}

fn line(peer: &mut Peer) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let Some(byte) = peer.exactly(1) else {
            return String::new();
        };
        line.extend(byte);
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).unwrap()
}

/// The next chunk; none at the last one, whose trailers are left.
fn chunk(peer: &mut Peer) -> Option<Vec<u8>> {
    let size = usize::from_str_radix(&line(peer), 16).ok()?;
    if size == 0 {
        return None;
    }
    let data = peer.exactly(size)?;
    line(peer);
    Some(data)
}

fn whole_body(peer: &mut Peer, head: &str) -> Vec<u8> {
    if header(head, "transfer-encoding").is_none() {
        let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
        return peer.exactly(length).unwrap_or_default();
    }
    let mut body = Vec::new();
    while let Some(data) = chunk(peer) {
        body.extend(data);
    }
    line(peer);
    body
}

/// Gives the body back as it comes.
fn pipe(peer: &mut Peer, head: &str) {
    let mut left: usize = header(head, "content-length").unwrap().parse().unwrap();
    peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n"));
    while left > 0 {
        let Some(data) = peer.exactly(left.min(64 * 1024)) else {
            return;
        };
        peer.send(&data);
        left -= data.len();
    }
}

/// An event for each chunk of the request, as soon as it comes.
fn events(peer: &mut Peer) {
    peer.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    while let Some(data) = chunk(peer) {
        let event = format!("data: {}\n\n", String::from_utf8_lossy(&data));
        peer.send(format!("{:x}\r\n{event}\r\n", event.len()));
    }
    line(peer);
    peer.send("0\r\n\r\n");
}

/// Answers with the trailers of the request as trailers.
fn trailers(peer: &mut Peer) {
    while chunk(peer).is_some() {}
    let mut lines = String::new();
    loop {
        let next = line(peer);
        if next.is_empty() {
            break;
        }
        lines.push_str(&format!("{next}\r\n"));
    }
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n");
    peer.send(format!("{lines}\r\n"));
}
