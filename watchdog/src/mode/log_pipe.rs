//! An output of a long-lived process, on its way to the log.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::time::{Duration, Instant};

use net::PipeReader;
use process::Stdio;

use crate::log::{Lines, Stream};

/// A pause after logging since `began`, if that took long: what is read at once may be thousands of
/// lines. Who writes them without end must leave time for the calls of others.
pub(crate) async fn rest_after(began: Instant) {
    const LONG: Duration = Duration::from_millis(1);
    if began.elapsed() >= LONG {
        net::sleep(LONG).await;
    }
}

/// The watchdog's end of it.
#[derive(Debug)]
pub(crate) struct LogPipe {
    pipe: PipeReader,
    lines: Lines,
}

impl LogPipe {
    /// A new pipe: the watchdog's end, and the process's, for what it calls `stream`.
    pub(crate) fn open(stream: Stream) -> io::Result<(Self, Stdio)> {
        let (read, write) = process::pipe()?;
        let own = Self {
            pipe: PipeReader::new(read)?,
            lines: Lines::new(stream),
        };
        Ok((own, Stdio::Fd(write)))
    }

    /// Logs what is written, for ever.
    pub(crate) async fn log(&mut self) -> Infallible {
        while let Ok(bytes) = self.pipe.recv().await
            && !bytes.is_empty()
        {
            let began = Instant::now();
            self.lines.push(&bytes);
            rest_after(began).await;
        }
        pending().await
    }

    /// Logs what an ended process has left in the pipe; others that hold it are not waited for, nor
    /// is it read on for as long as they write.
    pub(crate) fn log_last(&mut self) {
        self.pipe.drain(|bytes| self.lines.push(bytes));
        self.lines.finish();
    }
}
