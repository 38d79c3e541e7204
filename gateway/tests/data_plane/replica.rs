//! A replica whose every move the test decides: a thread per connection, running a script.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use crate::text::read_until;

/// No wait in this suite is longer than this; it is reached only by a bug.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    closed: usize,
    heads: Vec<String>,
    released: bool,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Shared {
    fn change(&self, how: impl FnOnce(&mut Seen)) {
        how(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }

    fn until(&self, condition: impl Fn(&Seen) -> bool) {
        let seen = self.seen.lock().unwrap();
        let (_seen, timeout) = self
            .changed
            .wait_timeout_while(seen, DEADLINE, |seen| !condition(seen))
            .unwrap();
        assert!(!timeout.timed_out(), "waited in vain");
    }
}

/// A listening replica. Its threads end with the test's process.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Replica {
    /// Runs `script` for each connection, with the connection's number.
    pub(crate) fn start(script: impl Fn(Connection, usize) + Send + Sync + 'static) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), script)
    }

    /// The same at an address that is known before.
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(Connection, usize) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let shared = Arc::clone(&accepting);
                let script = Arc::clone(&script);
                shared.change(|seen| seen.connections += 1);
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(DEADLINE)).unwrap();
                thread::spawn(move || {
                    let connection = Connection {
                        stream,
                        shared: Arc::clone(&shared),
                    };
                    script(connection, number);
                    shared.change(|seen| seen.closed += 1);
                });
            }
        });
        Self { address, shared }
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.seen.lock().unwrap().connections
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().heads.clone()
    }

    /// Waits until so many request heads have come.
    pub(crate) fn until_heads(&self, count: usize) {
        self.shared.until(|seen| seen.heads.len() >= count);
    }

    /// Waits until so many scripts have ended, and their connections with them.
    pub(crate) fn until_closed(&self, count: usize) {
        self.shared.until(|seen| seen.closed >= count);
    }

    /// Lets go of those who wait in [`Connection::wait_for_release`].
    pub(crate) fn release(&self) {
        self.shared.change(|seen| seen.released = true);
    }
}

/// The replica's end of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl Connection {
    /// Reads a request head; `None` when the gateway has closed the connection.
    pub(crate) fn read_head(&mut self) -> Option<String> {
        let head = read_until(&mut self.stream, "\r\n\r\n")?;
        self.shared.change(|seen| seen.heads.push(head.clone()));
        Some(head)
    }

    /// Lets the test know how far the script has come, as one more among the heads.
    pub(crate) fn note(&self, what: &str) {
        self.shared.change(|seen| seen.heads.push(what.to_owned()));
    }

    pub(crate) fn send(&mut self, answer: &str) {
        // A gateway that has left already is what some tests are about.
        self.stream.write_all(answer.as_bytes()).ok();
    }

    /// Answers every request without a body alike.
    pub(crate) fn serve(&mut self, answer: &str) {
        while self.read_head().is_some() {
            self.send(answer);
        }
    }

    /// Waits until the gateway closes the connection, reading what it still sends.
    pub(crate) fn wait_for_end(&mut self) {
        std::io::copy(&mut self.stream, &mut std::io::sink()).ok();
    }

    /// Sends back what comes.
    pub(crate) fn echo(&mut self) {
        let mut to = self.stream.try_clone().unwrap();
        std::io::copy(&mut self.stream, &mut to).ok();
    }

    /// Sends until the gateway takes no more; tells how many bytes it took.
    pub(crate) fn flood(&mut self) -> u64 {
        std::io::copy(&mut std::io::repeat(b'x'), &mut self.stream).unwrap_or(0)
    }

    pub(crate) fn wait_for_release(&self) {
        self.shared.until(|seen| seen.released);
    }
}
