//! Lines for the log, which is standard error.
//!
//! One line is one write, so that lines of several writers do not mix. What cannot be written is
//! lost: there is nowhere to complain. They are text, or JSON objects, one a line ([`Style`]); there
//! is no level and no filter. [`Lines`] are what programs write.
//!
//! A write waits as long as whoever reads standard error does not read, and all calls wait with it:
//! the watchdog has one thread. The gateway always reads; a terminal that is paused (Ctrl-S), or a
//! pipe into a program that stands still, stops the watchdog until it goes on. Lines that nobody
//! takes would have to be kept or lost, and a log that may have gaps is not chosen for that case.

mod lines;

pub(crate) use lines::{Lines, Stream};

use std::cell::Cell;
use std::io::Write;

use crate::limits::LOG_LINE_BYTES;
use crate::{clock, json};

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) format: Format,
    /// Whether lines of programs get date, time and the name of their stream in front. JSON has
    /// these in every object.
    pub(crate) prefixed: bool,
    /// The longest line of a program that is kept together, in bytes.
    pub(crate) line_bytes_max: usize,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Style {
    /// Until [`set_style`] is called.
    pub(crate) const DEFAULT: Self = Self {
        format: Format::Text,
        prefixed: true,
        line_bytes_max: LOG_LINE_BYTES,
    };
}

thread_local! {
    // Of the whole process, since a watchdog is one thread: lines come from everywhere in it.
    static STYLE: Cell<Style> = const { Cell::new(Style::DEFAULT) };
}

/// Sets how lines are written from now on.
pub(crate) fn set_style(style: Style) {
    STYLE.set(style);
}

/// Writes why the watchdog ends, without date and time: it is for who has just started it.
pub(crate) fn last_words(text: &str) {
    match STYLE.get().format {
        Format::Text => write(&[text.as_bytes(), b"\n"].concat()),
        Format::Json => line(text),
    }
}

/// Writes `text` as a line, with date and time.
pub(crate) fn line(text: &str) {
    match STYLE.get().format {
        Format::Text => clock::log_time(|time| write(&[time, text, "\n"].concat().into_bytes())),
        Format::Json => {
            let mut out = Vec::new();
            object(&mut out, "watchdog", text.as_bytes());
            write(&out);
        }
    }
}

/// Appends a line of `stream` as a JSON object.
fn object(out: &mut Vec<u8>, stream: &str, message: &[u8]) {
    clock::rfc3339(|time| {
        let start = [
            "{\"time\":\"",
            time,
            "\",\"stream\":\"",
            stream,
            "\",\"message\":",
        ];
        out.extend(start.iter().flat_map(|part| part.bytes()));
    });
    json::string(out, message);
    out.extend_from_slice(b"}\n");
}

fn write(bytes: &[u8]) {
    std::io::stderr().write_all(bytes).unwrap_or(());
}
