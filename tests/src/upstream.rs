//! A server behind `--static` whose every move the test decides: a thread per connection, running a
//! script. What it received is kept.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::{fd::AsFd, unix::net::UnixListener},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{
    http::{find_head_end, reset_when_closed},
    time::DEADLINE,
};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Request line and headers, with the empty line.
    pub head: String,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Which connection brought it, from 0.
    pub connection: usize,
}

impl Seen {
    /// `METHOD TARGET`.
    #[must_use]
    pub fn line(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").unwrap_or(line)
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The value of a header that may come once.
    ///
    /// # Panics
    /// When it comes twice.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} comes twice: {}", self.head);
        all.first().copied()
    }
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    opened: usize,
    closed: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

/// A listening server. Its threads end with the test's process.
#[derive(Debug)]
pub struct Upstream {
    place: String,
    shared: Arc<Shared>,
}

/// Both kinds of stream.
trait Stream: Read + Write + Send + AsFd {}
impl<S: Read + Write + Send + AsFd> Stream for S {}

type Script = dyn Fn(&mut Peer) + Send + Sync;

impl Upstream {
    /// On a free port of 127.0.0.1; `script` runs for each connection.
    #[must_use]
    pub fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let accept = move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            Box::new(stream) as Box<dyn Stream>
        };
        Self::run(format!("http://{address}"), accept, Arc::new(script))
    }

    /// On a Unix socket.
    #[must_use]
    pub fn start_unix(path: PathBuf, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let accept = move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            Box::new(stream) as Box<dyn Stream>
        };
        Self::run(format!("unix:{}", path.display()), accept, Arc::new(script))
    }

    /// Answers each request with the same bytes, on connections that stay.
    #[must_use]
    pub fn answering(answer: &'static str) -> Self {
        Self::start(move |peer| {
            while peer.request().is_some() {
                peer.send(answer);
            }
        })
    }

    fn run(
        place: String,
        accept: impl Fn() -> Box<dyn Stream> + Send + 'static,
        script: Arc<Script>,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for number in 0.. {
                let stream = accept();
                own.change(|state| state.opened += 1);
                let mut peer = Peer {
                    stream,
                    unread: Vec::new(),
                    number,
                    shared: Arc::clone(&own),
                };
                let script = Arc::clone(&script);
                thread::spawn(move || script(&mut peer));
            }
        });
        Self { place, shared }
    }

    /// What stands behind the `=` of `--static`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The requests that have come so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().unwrap().seen.clone()
    }

    /// The newest request.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn last(&self) -> Seen {
        self.seen().pop().unwrap()
    }

    /// Connections that were opened so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.shared.state.lock().unwrap().opened
    }

    /// Waits until this many requests have come.
    ///
    /// # Panics
    /// When they do not.
    pub fn until_seen(&self, count: usize) {
        self.until(|state| state.seen.len() >= count);
    }

    /// Waits until this many connections have ended.
    ///
    /// # Panics
    /// When they do not.
    pub fn until_closed(&self, count: usize) {
        self.until(|state| state.closed >= count);
    }

    fn until(&self, condition: impl Fn(&State) -> bool) {
        let state = self.shared.state.lock().unwrap();
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, DEADLINE, |state| !condition(state))
            .unwrap();
        assert!(!timeout.timed_out(), "waited in vain: {state:?}");
    }
}

/// The server's end of one connection.
pub struct Peer {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
    /// Which connection this is, from 0.
    pub number: usize,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// Reads a head and leaves the body; `None` at the end of the connection.
    pub fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(end) = find_head_end(&self.unread) {
                break end;
            }
            if !self.fill() {
                return None;
            }
        };
        let rest = self.unread.split_off(end);
        let head = std::mem::replace(&mut self.unread, rest);
        Some(String::from_utf8(head).unwrap())
    }

    /// Reads a whole request and keeps it; `None` at the end of the connection.
    pub fn request(&mut self) -> Option<Seen> {
        let head = self.head()?;
        let mut seen = Seen {
            head,
            body: Vec::new(),
            connection: self.number,
        };
        seen.body = if seen.header("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            let length = seen
                .header("content-length")
                .map_or(0, |length| length.parse().unwrap());
            self.exactly(length)?
        };
        self.shared.change(|state| state.seen.push(seen.clone()));
        Some(seen)
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(&line, 16).unwrap();
            body.extend(self.exactly(size)?);
            self.line()?;
            if size == 0 {
                return Some(body);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.exactly(1)?);
        }
        line.truncate(line.len() - 2);
        Some(String::from_utf8(line).unwrap())
    }

    /// Reads this many bytes of the body.
    pub fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            if !self.fill() {
                return None;
            }
        }
        let rest = self.unread.split_off(length);
        Some(std::mem::replace(&mut self.unread, rest))
    }

    /// The next bytes as they come; `None` at the end of the connection.
    pub fn some(&mut self) -> Option<Vec<u8>> {
        if self.unread.is_empty() && !self.fill() {
            return None;
        }
        Some(std::mem::take(&mut self.unread))
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        // A gateway that was killed resets its connections: an end like any other.
        let length = self.stream.read(&mut buffer).unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..length]);
        length > 0
    }

    /// Sends; a gateway that has gone does not mind.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).ok();
    }

    /// Sends, for a script that goes on for as long as somebody takes it.
    ///
    /// # Errors
    /// When the gateway has gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Makes the end of this connection, which is that of the script, a reset.
    pub fn reset(&self) {
        reset_when_closed(&self.stream);
    }

    /// Waits for the gateway to close.
    pub fn wait_for_end(&mut self) {
        while self.fill() {}
    }
}

/// For protocols that take over the connection, with what was read already first.
impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.unread.is_empty() {
            return self.stream.read(buffer);
        }
        let length = buffer.len().min(self.unread.len());
        buffer[..length].copy_from_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Ok(length)
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.change(|state| state.closed += 1);
    }
}
