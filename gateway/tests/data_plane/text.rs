//! HTTP by hand: this suite shares no line with the codec that it tries.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// An answer, with the body out of its framing.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request and reads the answer.
pub(crate) fn exchange(client: &mut TcpStream, request: &str) -> Answer {
    client.write_all(request.as_bytes()).unwrap();
    read_answer(client)
}

/// Reads one answer and not a byte more.
pub(crate) fn read_answer(client: &mut TcpStream) -> Answer {
    let head = read_until(client, "\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let lower = head.to_lowercase();
    let mut body = String::new();
    if let Some((_, rest)) = lower.split_once("content-length: ") {
        let length: usize = rest.split("\r\n").next().unwrap().parse().unwrap();
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).unwrap();
        body = String::from_utf8(bytes).unwrap();
    } else if lower.contains("transfer-encoding: chunked") {
        loop {
            let line = read_until(client, "\r\n").expect("a chunk");
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let mut bytes = vec![0; size + 2];
            client.read_exact(&mut bytes).unwrap();
            body.push_str(std::str::from_utf8(&bytes[..size]).unwrap());
            if size == 0 {
                break;
            }
        }
    }
    Answer { status, head, body }
}

/// Reads up to and with `end`; `None` when the stream ends before its first byte.
pub(crate) fn read_until(stream: &mut impl Read, end: &str) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let mut byte = [0];
        // Not `read`: with a time limit set, it may end early with EINTR (signal(7)).
        if stream.read_exact(&mut byte).is_err() {
            assert!(
                bytes.is_empty(),
                "cut short: {}",
                String::from_utf8_lossy(&bytes)
            );
            return None;
        }
        bytes.push(byte[0]);
    }
    Some(String::from_utf8(bytes).unwrap())
}
