//! From a replica's pipe into its function's ring, and from the ring to whoever asks.
//!
//! The pipe is always read, whatever the function writes: a full pipe would stop it. Who follows
//! more slowly than lines come misses some, and is told how many.
//!
//! What it does not do: keep history on disk.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    net::unix::pipe,
    sync::{mpsc, watch},
};

use super::log_ring::{LogRing, ReadLine, Splitter};
use crate::provider::{FunctionId, LogLine, LogQuery};

/// What is read from a pipe at once, in bytes: all that a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// Lines on their way to one reader.
const LINES_IN_FLIGHT: usize = 64;

/// The log of one function, shared by its replicas and readers on the control thread.
#[derive(Debug)]
pub(crate) struct Logs {
    ring: RefCell<LogRing>,
    /// Rung when lines have come or no more are to be waited for.
    news: watch::Sender<()>,
    ended: Cell<bool>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            ring: RefCell::default(),
            news: watch::Sender::new(()),
            ended: Cell::new(false),
        }
    }
}

impl Logs {
    /// Takes all that comes out of a replica's pipe, until its end.
    pub(crate) async fn pump(self: Rc<Self>, pipe: pipe::Receiver, instance: u32) {
        let mut splitter = Splitter::default();
        while pipe.readable().await.is_ok() {
            // Made anew for each burst: thousands of quiet replicas must not hold one each.
            let mut buffer = vec![0; READ_BYTES];
            match pipe.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    let now = OffsetDateTime::now_utc();
                    let mut ring = self.ring.borrow_mut();
                    splitter.feed(&buffer[..length], |line| ring.push(instance, now, line));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => {
                    tracing::warn!(instance, %error, "the output of a replica cannot be read");
                    break;
                }
            }
            self.news.send_replace(());
            // One that writes without pause must not keep the control thread to itself.
            tokio::task::yield_now().await;
        }
        let now = OffsetDateTime::now_utc();
        splitter.finish(|line| self.ring.borrow_mut().push(instance, now, line));
        self.news.send_replace(());
    }

    /// The function or the gateway goes: readers get what there is, then the end.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.news.send_replace(());
    }

    /// Starts to send the lines that `query` wants.
    pub(crate) fn stream(
        self: &Rc<Self>,
        id: &FunctionId,
        query: LogQuery,
    ) -> mpsc::Receiver<LogLine> {
        let (sender, receiver) = mpsc::channel(LINES_IN_FLIGHT);
        let reader = Reader {
            logs: Rc::clone(self),
            instance: query
                .instance
                .as_ref()
                .map(|name| instance_number(id, name)),
            id: id.clone(),
            query,
            sender,
        };
        tokio::task::spawn_local(reader.run());
        receiver
    }
}

/// The name under which a replica's lines are shown.
pub(crate) fn instance_name(id: &FunctionId, instance: u32) -> String {
    format!("{}-{instance}", id.name())
}

/// The other way round; a name that no replica has is that of none.
fn instance_number(id: &FunctionId, name: &str) -> Option<u32> {
    name.strip_prefix(id.name())?
        .strip_prefix('-')?
        .parse()
        .ok()
}

/// Somebody who reads a log.
struct Reader {
    logs: Rc<Logs>,
    id: FunctionId,
    /// None: all; `Some(None)`: one that does not exist.
    instance: Option<Option<u32>>,
    query: LogQuery,
    sender: mpsc::Sender<LogLine>,
}

impl Reader {
    async fn run(self) {
        let mut news = self.logs.news.subscribe();
        let wanted = |instance: u32, at: OffsetDateTime| {
            self.instance.is_none_or(|only| only == Some(instance))
                && self.query.since.is_none_or(|since| at >= since)
        };
        let mut next = match (self.query.tail, self.query.since) {
            (Some(count), _) => self.logs.ring.borrow().tail(count, wanted),
            // Older lines are not wanted, so it is no news that some of them are gone.
            (None, Some(_)) => self.logs.ring.borrow().tail(usize::MAX, wanted),
            (None, None) => 0,
        };
        loop {
            let ended = self.logs.ended.get();
            let first = self.logs.ring.borrow().first();
            if first > next && !self.send_dropped(first - next).await {
                return;
            }
            let (lines, then) = self.logs.ring.borrow().read(next, LINES_IN_FLIGHT, wanted);
            next = then;
            let is_all = lines.len() < LINES_IN_FLIGHT;
            for line in lines {
                if self.sender.send(self.line(line)).await.is_err() {
                    return;
                }
            }
            if !is_all {
                continue;
            }
            if ended || !self.query.follow {
                return;
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
            }
        }
    }

    /// Says that lines are missing; false when nobody listens any more.
    async fn send_dropped(&self, count: u64) -> bool {
        let line = LogLine {
            name: self.id.name().to_owned(),
            namespace: self.id.namespace().to_owned(),
            instance: String::new(),
            timestamp: rfc3339(OffsetDateTime::now_utc()),
            text: format!("({count} lines were dropped: only the last ones are kept)"),
        };
        self.sender.send(line).await.is_ok()
    }

    fn line(&self, line: ReadLine) -> LogLine {
        LogLine {
            name: self.id.name().to_owned(),
            namespace: self.id.namespace().to_owned(),
            instance: instance_name(&self.id, line.instance),
            timestamp: rfc3339(line.at),
            text: line.text,
        }
    }
}

/// The form of all times in the API.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    // Fails only for years that have no four digits.
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use tokio::task::LocalSet;

    async fn with_pump(test: impl AsyncFnOnce(&Rc<Logs>, io::PipeWriter)) {
        let set = LocalSet::new();
        set.run_until(async {
            let (read, write) = io::pipe().unwrap();
            let read = pipe::Receiver::from_owned_fd(read.into()).unwrap();
            let logs = Rc::new(Logs::default());
            tokio::task::spawn_local(Rc::clone(&logs).pump(read, 7));
            test(&logs, write).await;
        })
        .await;
    }

    fn id() -> FunctionId {
        FunctionId::new("wc", "").unwrap()
    }

    #[tokio::test]
    async fn a_follower_gets_what_was_there_and_what_comes() {
        with_pump(async |logs, mut pipe| {
            let query = LogQuery {
                follow: true,
                ..LogQuery::default()
            };
            pipe.write_all(b"one\ntw").unwrap();
            let mut lines = logs.stream(&id(), query);
            let first = lines.recv().await.unwrap();
            assert_eq!(
                (first.text.as_str(), first.instance.as_str()),
                ("one", "wc-7")
            );
            pipe.write_all(b"o\nthree").unwrap();
            assert_eq!(lines.recv().await.unwrap().text, "two");
            drop(pipe);
            assert_eq!(lines.recv().await.unwrap().text, "three");
            logs.end();
            assert_eq!(lines.recv().await, None);
        })
        .await;
    }

    #[tokio::test]
    async fn a_query_chooses_lines_and_ends() {
        with_pump(async |logs, mut pipe| {
            for number in 0..500 {
                writeln!(pipe, "line {number}").unwrap();
            }
            drop(pipe);
            while logs.ring.borrow().next() < 500 {
                tokio::task::yield_now().await;
            }
            let texts = async |query: LogQuery| {
                let mut lines = logs.stream(&id(), query);
                let mut texts = Vec::new();
                while let Some(line) = lines.recv().await {
                    texts.push(line.text);
                }
                texts
            };
            assert_eq!(texts(LogQuery::default()).await.len(), 500);
            let tail = LogQuery {
                tail: Some(2),
                ..LogQuery::default()
            };
            assert_eq!(texts(tail).await, ["line 498", "line 499"]);
            for instance in ["wc-8", "other-7", "wc-"] {
                let other = LogQuery {
                    instance: Some(instance.to_owned()),
                    ..LogQuery::default()
                };
                assert_eq!(texts(other).await, Vec::<String>::new());
            }
        })
        .await;
    }

    /// Goal: a function that writes faster than anybody reads is never stopped, and what is
    /// missing is said. Steps: write 8 MB through the pipe with no reader, then read.
    #[tokio::test]
    async fn a_flood_passes_through_and_is_counted() {
        with_pump(async |logs, mut pipe| {
            let writer = tokio::task::spawn_blocking(move || {
                let line = [b'x'; 99];
                for _ in 0..80_000 {
                    pipe.write_all(&line).unwrap();
                    pipe.write_all(b"\n").unwrap();
                }
            });
            writer.await.unwrap();
            while logs.ring.borrow().next() < 80_000 {
                tokio::task::yield_now().await;
            }
            let mut lines = logs.stream(&id(), LogQuery::default());
            let first = lines.recv().await.unwrap();
            assert!(first.text.contains("lines were dropped"), "{}", first.text);
        })
        .await;
    }
}
