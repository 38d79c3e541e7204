//! The exchange over plain TCP: a thread sends the body while the caller reads the answer.
//!
//! The head and the framing of both sides come from `wire`, the codec of the gateway itself.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use wire::{BodyDecoder, Limits, Method, Parsed, encode};

use super::{Body, Request, Response};
use crate::address::Address;
use crate::client::{CONNECT_SECONDS_MAX, unreachable, user_agent};
use crate::exit::{Exit, Failure};

/// Bytes that are read and sent at a time.
const PIECE_BYTES: usize = 64 * 1024;

pub(super) fn exchange(address: &Address, request: Request) -> Result<Response, Failure> {
    let stream = connect(address)?;
    let broken = |error: io::Error| unreachable(address, &error.to_string());
    let method = request.method.clone();
    let method = Method::new(&method)
        .ok_or_else(|| Failure::usage(format!("`{method}` is not a method")))?;
    let head = head(address, method, &request);
    let mut sender = stream.try_clone().map_err(broken)?;
    sender.write_all(&head).map_err(broken)?;
    // The thread is not joined: it may wait for a terminal that nobody types at, while the answer
    // is complete. Nor does it report: when the body cannot be sent, the answer (or its absence)
    // says why.
    thread::spawn(move || send(sender, request.body).ok());
    let mut input = Input {
        stream,
        bytes: Vec::new(),
        start: 0,
    };
    let (status, headers, framing) = read_head(&mut input, method, address)?;
    let body = BodyReader {
        input,
        decoder: BodyDecoder::new(framing),
    };
    Ok(Response {
        status,
        headers,
        body: Box::new(body),
    })
}

fn connect(address: &Address) -> Result<TcpStream, Failure> {
    let endpoint = address.endpoint();
    let candidates = endpoint
        .to_socket_addrs()
        .map_err(|error| unreachable(address, &error.to_string()))?;
    let mut last = "the host has no address".to_owned();
    for candidate in candidates {
        match TcpStream::connect_timeout(&candidate, Duration::from_secs(CONNECT_SECONDS_MAX)) {
            Ok(stream) => {
                // Pieces of a body are often smaller than a segment and somebody may wait for each.
                stream.set_nodelay(true).ok();
                return Ok(stream);
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(unreachable(address, &last))
}

fn head(address: &Address, method: Method<'_>, request: &Request) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    encode::request_line(
        &mut head,
        method,
        &[address.target(&request.target).as_bytes()],
    );
    let given = |name: &str| {
        request
            .headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    if !given("Host") {
        encode::header(&mut head, "Host", address.authority());
    }
    if !given("User-Agent") {
        encode::header(&mut head, "User-Agent", user_agent());
    }
    if !given("Accept") {
        encode::header(&mut head, "Accept", "*/*");
    }
    for (name, value) in &request.headers {
        encode::header(&mut head, name, value);
    }
    match request.body {
        Body::Sized(length, _) => encode::header_u64(&mut head, "Content-Length", length),
        Body::Chunked(_) => encode::header(&mut head, "Transfer-Encoding", "chunked"),
        Body::None => {}
    }
    encode::header(&mut head, "Connection", "close");
    encode::end_of_headers(&mut head);
    head
}

fn send(mut to: TcpStream, body: Body) -> io::Result<()> {
    match body {
        Body::None => Ok(()),
        Body::Sized(length, body) => {
            let sent = io::copy(&mut body.take(length), &mut to)?;
            // A file that shrank: the other side must not wait for bytes that will never come.
            if sent < length {
                to.shutdown(std::net::Shutdown::Write)
            } else {
                Ok(())
            }
        }
        Body::Chunked(mut body) => {
            let mut piece = vec![0; PIECE_BYTES];
            let mut frame = Vec::with_capacity(PIECE_BYTES + 32);
            loop {
                let length = match body.read(&mut piece) {
                    Ok(0) => return to.write_all(encode::LAST_CHUNK),
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    // Without the last chunk the function can tell that the body is not whole.
                    Err(_) => return to.shutdown(std::net::Shutdown::Write),
                };
                frame.clear();
                encode::chunk_header(&mut frame, length as u64);
                frame.extend_from_slice(piece.get(..length).unwrap_or(&piece));
                frame.extend_from_slice(encode::CHUNK_END);
                to.write_all(&frame)?;
            }
        }
    }
}

/// A connection with the bytes that were read and not used yet.
struct Input {
    stream: TcpStream,
    bytes: Vec<u8>,
    start: usize,
}

impl Input {
    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Reads more; 0 bytes at the end of the connection.
    fn fill(&mut self) -> io::Result<usize> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let held = self.bytes.len();
        self.bytes.resize(held + PIECE_BYTES, 0);
        let outcome = loop {
            match self
                .stream
                .read(self.bytes.get_mut(held..).unwrap_or_default())
            {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.bytes
            .truncate(held + outcome.as_ref().copied().unwrap_or(0));
        outcome
    }
}

type Head = (u16, Vec<(String, Vec<u8>)>, wire::Framing);

/// Reads heads until one is final: interim answers (1xx) are not for us.
fn read_head(input: &mut Input, method: Method<'_>, address: &Address) -> Result<Head, Failure> {
    let protocol = |reason: &str| {
        Failure::new(
            Exit::Protocol,
            format!("what answers at {address} is not a gateway: {reason}"),
        )
    };
    loop {
        let parsed = wire::parse_response(input.unread(), method, &Limits::DEFAULT)
            .map_err(|error| protocol(&error.to_string()))?;
        match parsed {
            Parsed::Complete { head, len } => {
                let headers = head
                    .headers
                    .iter()
                    .map(|header| {
                        (
                            String::from_utf8_lossy(header.name).into_owned(),
                            header.value.to_vec(),
                        )
                    })
                    .collect();
                let result = (head.status, headers, head.framing);
                input.start += len;
                match result.0 {
                    101 => return Err(protocol("it switched protocols unasked")),
                    100..=199 => {}
                    _ => return Ok(result),
                }
            }
            Parsed::Partial => match input.fill() {
                Ok(0) => {
                    return Err(unreachable(
                        address,
                        "it closed the connection without an answer",
                    ));
                }
                Ok(_) => {}
                Err(error) => return Err(unreachable(address, &error.to_string())),
            },
        }
    }
}

struct BodyReader {
    input: Input,
    decoder: BodyDecoder,
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let invalid = |error: wire::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        loop {
            if self.decoder.is_done() || out.is_empty() {
                return Ok(0);
            }
            // No more than fits is shown to the decoder, so that all it finds can be handed out at
            // once.
            let unread = self.input.unread();
            let shown = unread
                .get(..out.len().min(unread.len()))
                .unwrap_or_default();
            let step = self.decoder.decode(shown).map_err(invalid)?;
            let payload = shown.get(step.data).unwrap_or_default();
            let length = payload.len();
            if let Some(room) = out.get_mut(..length) {
                room.copy_from_slice(payload);
            }
            self.input.start += step.consumed;
            if length > 0 {
                return Ok(length);
            }
            if step.consumed == 0 && !step.done && self.input.fill()? == 0 {
                return self.decoder.finish_on_eof().map(|()| 0).map_err(invalid);
            }
        }
    }
}
