//! A gateway that says what the test told it to say, and remembers what it was asked.
//!
//! It reads requests with code of its own, so that it shares no mistake with the client under test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long a test waits for a request that should have come.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `METHOD target`.
    pub line: String,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without framing.
    pub body: Vec<u8>,
}

impl Seen {
    /// Value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The fake; it ends with the test process.
pub(crate) struct Fake {
    /// What goes behind `--gateway`.
    pub url: String,
    seen: Receiver<Seen>,
}

impl Fake {
    /// Answers each request with the next of `answers` (status and body), on a connection of its
    /// own.
    pub(crate) fn with(answers: &[(u16, &str)]) -> Self {
        let answers: Vec<(u16, String)> = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()))
            .collect();
        Self::serve(move |connection, seen| {
            for (status, body) in answers {
                let (mut stream, request) = read(connection());
                seen.send(request).ok();
                write!(
                    stream,
                    "HTTP/1.1 {status} Reason\r\nContent-Length: {}\r\nConnection: close\r\nX-Call-Id: c-1\r\n\r\n{body}",
                    body.len()
                )
                .ok();
            }
        })
    }

    /// Gives the whole connection to `script`.
    pub(crate) fn serve(
        script: impl FnOnce(&dyn Fn() -> TcpStream, Sender<Seen>) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, seen) = channel();
        thread::spawn(move || script(&|| listener.accept().unwrap().0, sender));
        Self { url, seen }
    }

    /// The next request that came.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).expect("no request came")
    }

    /// No further request may have come.
    pub(crate) fn quiet(&self) {
        assert_eq!(self.seen.try_recv().ok(), None);
    }
}

/// Reads one request.
pub(crate) fn read(stream: TcpStream) -> (TcpStream, Seen) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (line, headers) = head(&mut reader);
    let value = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let mut body = Vec::new();
    if let Some(length) = value("content-length") {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body).unwrap();
    } else if value("transfer-encoding").is_some() {
        while let Some(chunk) = chunk(&mut reader) {
            body.extend(chunk);
        }
    }
    (
        stream,
        Seen {
            line,
            headers,
            body,
        },
    )
}

/// Reads a head: request line without the version, and headers.
pub(crate) fn head(reader: &mut impl BufRead) -> (String, Vec<(String, String)>) {
    let first = text_line(reader);
    let line = first
        .strip_suffix(" HTTP/1.1")
        .expect("the version")
        .to_owned();
    let mut headers = Vec::new();
    loop {
        let text = text_line(reader);
        if text.is_empty() {
            return (line, headers);
        }
        let (name, value) = text.split_once(": ").unwrap();
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

/// Reads one chunk; nothing after the last.
pub(crate) fn chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let length = usize::from_str_radix(&text_line(reader), 16).unwrap();
    let mut chunk = vec![0; length];
    reader.read_exact(&mut chunk).unwrap();
    assert_eq!(text_line(reader), "");
    (length > 0).then_some(chunk)
}

fn text_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.strip_suffix("\r\n").expect("a line end").to_owned()
}
