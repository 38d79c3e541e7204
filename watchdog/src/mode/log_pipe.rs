//! An output of a long-lived process, on its way to the log.

use std::convert::Infallible;
use std::future::pending;
use std::io;

use net::PipeReader;
use process::Stdio;

use crate::log::{Lines, Stream};

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
            self.lines.push(&bytes);
        }
        pending().await
    }

    /// Logs what an ended process has left in the pipe; others that hold it are not waited for.
    pub(crate) fn log_last(&mut self) {
        while let Ok(Some(bytes)) = self.pipe.try_recv()
            && !bytes.is_empty()
        {
            self.lines.push(&bytes);
        }
        self.lines.finish();
    }
}
