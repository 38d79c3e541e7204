//! Lines for the log, which is standard error.
//!
//! One line is one write, so that lines of several writers do not mix. What cannot be written is
//! lost: there is nowhere to complain. No level, no filter; JSON lines may come later.
//!
//! A write waits as long as whoever reads standard error does not read, and all calls wait with it:
//! the watchdog has one thread. The gateway always reads; a terminal that is paused (Ctrl-S), or a
//! pipe into a program that stands still, stops the watchdog until it goes on. Lines that nobody
//! takes would have to be kept or lost, and a log that may have gaps is not chosen for that case.

use std::io::Write;

use crate::clock;
use crate::limits::LOG_LINE_BYTES_MAX;

/// Writes `text` as it is.
pub(crate) fn raw(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap_or(());
}

/// Writes date, time and `text` as a line.
pub(crate) fn line(text: &str) {
    clock::log_time(|time| raw(&[time, text, "\n"].concat()));
}

/// Writes what a program writes to the log, line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    prefix: Option<&'static str>,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

impl Lines {
    /// With a `prefix`, such as `stderr: `, each line gets date, time and that in front.
    pub(crate) fn new(prefix: Option<&'static str>) -> Self {
        Self {
            prefix,
            partial: Vec::new(),
        }
    }

    /// Takes the next bytes, and writes the lines that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        let mut out = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            self.partial.extend_from_slice(line);
            self.end_line(&mut out);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
        // A line that never ends would take all memory; it is cut.
        if self.partial.len() >= LOG_LINE_BYTES_MAX {
            self.end_line(&mut out);
        }
        std::io::stderr().write_all(&out).unwrap_or(());
    }

    /// Writes what is left of a last line without an end.
    pub(crate) fn finish(&mut self) {
        if !self.partial.is_empty() {
            let mut out = Vec::new();
            self.end_line(&mut out);
            std::io::stderr().write_all(&out).unwrap_or(());
        }
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        if let Some(prefix) = self.prefix {
            clock::log_time(|time| out.extend_from_slice(time.as_bytes()));
            out.extend_from_slice(prefix.as_bytes());
        }
        out.append(&mut self.partial);
        out.push(b'\n');
    }
}
