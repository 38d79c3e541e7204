//! A raw HTTP client: bytes out, and messages read by a reader that shares no code with the product.
//!
//! It is exact where the product must be: a message that ends early or goes on too long fails the
//! test.

mod message;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd,
};

use nix::sys::socket::{setsockopt, sockopt};

pub use message::{Head, Response, find_head_end};

use crate::time::DEADLINE;
use message::BodyKind;

/// One connection to a gateway.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Read, and not part of a message yet.
    unread: Vec<u8>,
}

impl Connection {
    /// Connects.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends these bytes and nothing else.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// As [`Connection::send`], where the other end may close in the middle.
    ///
    /// # Errors
    /// When it has.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// A second handle to the same connection, to send while the first reads.
    #[must_use]
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// Sends a request with a length, if it has a body or a method that has one, and reads the answer.
    pub fn request(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Response {
        self.send(request_bytes(method, path, headers, body));
        self.response_to(method)
    }

    /// `GET`.
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, "", b"")
    }

    /// `POST`.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Response {
        self.request("POST", path, "", body)
    }

    /// Reads an answer; interim ones are skipped.
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads an answer to a request with this method, which says whether it has a body.
    ///
    /// # Panics
    /// When the message is cut short.
    pub fn response_to(&mut self, method: &str) -> Response {
        self.try_response_to(method).unwrap()
    }

    /// As [`Connection::response_to`], or `None` where the connection ends in place of an answer.
    ///
    /// # Panics
    /// When the message is cut short.
    pub fn try_response_to(&mut self, method: &str) -> Option<Response> {
        loop {
            let head = self.try_head()?;
            if head.status >= 200 {
                let body = self.body(&head, method);
                return Some(Response { head, body });
            }
        }
    }

    /// Reads one head, interim or final, and leaves its body unread.
    ///
    /// # Panics
    /// When the connection ends first.
    pub fn head(&mut self) -> Head {
        self.try_head().unwrap()
    }

    /// Reads one head, or `None` at the end of the connection.
    ///
    /// # Panics
    /// When the connection ends in the middle of it.
    pub fn try_head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = find_head_end(&self.unread) {
                let rest = self.unread.split_off(end);
                let head = std::mem::replace(&mut self.unread, rest);
                return Some(Head::read(&head));
            }
            if !self.fill() {
                let unread = String::from_utf8_lossy(&self.unread);
                assert!(unread.is_empty(), "cut short in a head: {unread}");
                return None;
            }
        }
    }

    fn body(&mut self, head: &Head, method: &str) -> Vec<u8> {
        match head.body_kind(method) {
            BodyKind::None => Vec::new(),
            BodyKind::Length(length) => self.exactly(length),
            BodyKind::Chunked => self.chunks(),
            BodyKind::UntilClose => {
                while self.fill() {}
                std::mem::take(&mut self.unread)
            }
        }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16)
                .unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
            if size == 0 {
                // Trailers, then an empty line.
                while !self.line().is_empty() {}
                return body;
            }
            body.extend(self.exactly(size));
            assert_eq!(self.line(), "", "a chunk is longer than it said");
        }
    }

    /// The next chunk of a chunked body, `None` after the last; the head was read before.
    ///
    /// # Panics
    /// When the body is cut short.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        let size = usize::from_str_radix(&line, 16).unwrap();
        let data = self.exactly(size);
        assert_eq!(self.line(), "", "a chunk is longer than it said");
        (size > 0).then_some(data)
    }

    /// The next bytes as they come, framing included.
    pub fn raw(&mut self, length: usize) -> Vec<u8> {
        self.exactly(length)
    }

    /// The next bytes, however many have come; none at the end of the connection.
    pub fn some(&mut self) -> Vec<u8> {
        if self.unread.is_empty() {
            self.fill();
        }
        std::mem::take(&mut self.unread)
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let rest = self.unread.split_off(end + 2);
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.truncate(end);
                return String::from_utf8(line).unwrap();
            }
            assert!(self.fill(), "cut short in a line");
        }
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(
                self.fill(),
                "cut short: {} of {length} bytes",
                self.unread.len()
            );
        }
        let rest = self.unread.split_off(length);
        std::mem::replace(&mut self.unread, rest)
    }

    /// Reads more; false at the end of the connection.
    fn fill(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(length) => {
                    self.unread.extend_from_slice(&buffer[..length]);
                    return length > 0;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }

    /// Reads up to the end of the connection and gives all that came, raw.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.unread)
    }

    /// Waits for the other end to close, with nothing more to say.
    ///
    /// # Panics
    /// When it says something.
    pub fn expect_close(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }

    /// Reads up to the end of the connection and tells how that came: in good order, or by a reset.
    ///
    /// # Errors
    /// `ConnectionReset`, with what came before it lost to the caller.
    pub fn rest_in_good_order(&mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.unread);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Ends the connection by a reset, whatever is under way on it: socket(7), SO_LINGER.
    pub fn reset(self) {
        reset_when_closed(&self.stream);
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// Makes the close of a TCP socket a reset.
pub(crate) fn reset_when_closed(socket: &impl AsFd) {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(socket, sockopt::Linger, &at_once).unwrap();
}

/// A request as bytes. `headers` are whole lines, each with its end.
#[must_use]
pub fn request_bytes(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() && matches!(method, "GET" | "HEAD" | "DELETE" | "OPTIONS") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n{headers}{length}\r\n");
    [head.as_bytes(), body].concat()
}
