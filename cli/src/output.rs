//! Standard output and standard error of the verbs.
//!
//! Results go to stdout, everything said about them to stderr, so that a pipe gets results only. A
//! reader that closes the pipe early ends the command quietly.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::exit::Failure;

/// Writes a finished text to stdout.
///
/// # Errors
/// As [`Failure::output`].
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to stdout and flushes them.
///
/// # Errors
/// As [`Failure::output`].
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::output(&error))
}

/// Writes a value to stdout as one JSON document and a line end.
///
/// # Errors
/// As [`Failure::output`].
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::data(format!("cannot write the result as JSON: {error}")))?;
    bytes.push(b'\n');
    print_bytes(&bytes)
}

/// Writes the gateway's own JSON to stdout, with the line end that it may lack.
///
/// # Errors
/// As [`Failure::output`].
pub(crate) fn print_raw_json(body: &[u8]) -> Result<(), Failure> {
    let mut bytes = body.trim_ascii_end().to_vec();
    bytes.push(b'\n');
    print_bytes(&bytes)
}

/// Says something on stderr. There is nobody left to tell when that fails.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Says something on stderr that deserves attention without being an error.
pub(crate) fn warn(text: &str) {
    note(&format!("ringway: warning: {text}"));
}
