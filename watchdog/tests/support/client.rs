//! A plain HTTP client that has nothing in common with the code under test.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    received: Vec<u8>,
}

/// An answer. `is_whole` says whether its end came as announced.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends a head (without its blank line and length) and a body.
    pub(crate) fn send(&mut self, head: &str, body: &[u8]) {
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        self.send_raw(&[head.as_bytes(), body].concat());
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it can be sent");
    }

    /// What has been received and not been looked at.
    pub(crate) fn received(&self) -> &[u8] {
        &self.received
    }

    /// False at the end of the stream.
    fn receive(&mut self) -> bool {
        let mut buffer = vec![0; 65536];
        let count = loop {
            match self.stream.read(&mut buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break 0,
                // A process that was stopped and goes on, as when the machine sleeps, signal(7).
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("no answer: {error}"),
            }
        };
        self.received.extend_from_slice(&buffer[..count]);
        count > 0
    }

    fn receive_until(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self
                .received
                .windows(text.len())
                .position(|window| window == text)
            {
                return Some(self.received.drain(..at + text.len()).collect());
            }
            if !self.receive() {
                return None;
            }
        }
    }

    fn receive_exactly(&mut self, count: usize) -> (Vec<u8>, bool) {
        while self.received.len() < count {
            if !self.receive() {
                return (std::mem::take(&mut self.received), false);
            }
        }
        (self.received.drain(..count).collect(), true)
    }

    /// Reads one answer to a request that was not HEAD.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.is_whole = self.chunks(&mut answer.body);
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a number");
            (answer.body, answer.is_whole) = self.receive_exactly(length);
        } else if answer.status >= 200 {
            (answer.body, _) = self.receive_exactly(usize::MAX);
        }
        answer
    }

    /// Reads the head of an answer.
    pub(crate) fn head(&mut self) -> Answer {
        let head = self.receive_until(b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8(head).expect("text");
        let status = head
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number");
        Answer {
            status,
            head,
            body: Vec::new(),
            is_whole: true,
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let Some(size) = self.receive_until(b"\r\n") else {
                return false;
            };
            let size = std::str::from_utf8(&size).expect("text").trim();
            let size = usize::from_str_radix(size, 16).expect("a size");
            let (mut chunk, is_whole) = self.receive_exactly(size + 2);
            if !is_whole {
                return false;
            }
            chunk.truncate(size);
            body.extend_from_slice(&chunk);
            if size == 0 {
                return true;
            }
        }
    }

    /// The next bytes as they come, framing included.
    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        self.receive_exactly(count).0
    }

    /// Reads to the end of the stream, and tells how many bytes came; they are not kept.
    pub(crate) fn count_rest(&mut self) -> usize {
        let mut count = 0;
        loop {
            count += self.received.len();
            self.received.clear();
            if !self.receive() {
                return count;
            }
        }
    }

    /// Posts `body` and reads the answer at the same time, as clients of streams must.
    pub(crate) fn exchange(&mut self, body: &[u8]) -> Answer {
        let mut writer = self.stream.try_clone().expect("a second handle");
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        std::thread::scope(|scope| {
            scope.spawn(move || {
                writer.write_all(head.as_bytes()).expect("it can be sent");
                writer.write_all(body).expect("it can be sent");
            });
            self.answer()
        })
    }

    /// Whether the other side closes without sending more.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !self.receive()
    }
}
