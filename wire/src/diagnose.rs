//! Names the fault of a head that `httparse` has refused.
//!
//! `httparse` says little about what was wrong and nothing about where. This reads the head again,
//! slowly and in order, and names the first thing that is not allowed: it runs only for messages
//! that are refused, or whose first line is still incomplete. It never accepts anything.

use crate::error::Error;
use crate::limits::Limits;
use crate::octets::{find, is_target_octet, is_token, is_token_octet, is_value_octet};

/// Refuses a target that is too long already, even though its end may not have come yet.
pub(crate) fn check_target_length(message: &[u8], limits: &Limits) -> Result<(), Error> {
    let Some((method, rest)) = split_at_octet(message, b' ') else {
        return Ok(());
    };
    // Within the limit whatever comes; also ends the search early for every ordinary head.
    if rest.len() <= limits.target_bytes_max || !is_token(method) {
        return Ok(());
    }
    let target_bytes = rest
        .iter()
        .take_while(|&&octet| is_target_octet(octet))
        .count();
    if target_bytes > limits.target_bytes_max {
        return Err(Error::TargetTooLong);
    }
    Ok(())
}

/// The first fault of a request head that `httparse` has refused with `error`.
pub(crate) fn request_fault(message: &[u8], error: httparse::Error) -> Error {
    match request_line_fault(message) {
        Err(fault) => fault,
        Ok(fields) => fields_fault(fields, error),
    }
}

/// The first fault of a response head that `httparse` has refused with `error`.
pub(crate) fn response_fault(message: &[u8], error: httparse::Error) -> Error {
    match status_line_fault(message) {
        Err(fault) => fault,
        Ok(fields) => fields_fault(fields, error),
    }
}

/// Gives what follows the request line, if that line is right.
fn request_line_fault(message: &[u8]) -> Result<&[u8], Error> {
    let Some((method, rest)) = split_at_octet(message, b' ') else {
        return Err(Error::BadMethod);
    };
    if !is_token(method) {
        return Err(Error::BadMethod);
    }
    let target_bytes = rest
        .iter()
        .take_while(|&&octet| is_target_octet(octet))
        .count();
    let (target, rest) = rest.split_at(target_bytes);
    let version = match rest {
        [b' ', version @ ..] if !target.is_empty() => version,
        // `GET /path CRLF` is how HTTP/0.9 asks.
        [b'\r' | b'\n', ..] if !target.is_empty() => return Err(Error::UnsupportedVersion),
        [b' ', ..] | [] => return Err(Error::BadRequestLine),
        _ => return Err(Error::BadTarget),
    };
    line_end(after_version(version)?, Error::BadVersion)
}

/// Gives what follows the status line, if that line is right.
fn status_line_fault(message: &[u8]) -> Result<&[u8], Error> {
    let rest = after_version(message)?;
    let [b' ', rest @ ..] = rest else {
        return Err(Error::BadStatusLine);
    };
    let Some((code, rest)) = rest.split_at_checked(3) else {
        return Err(Error::BadStatus);
    };
    if !code.iter().all(u8::is_ascii_digit) {
        return Err(Error::BadStatus);
    }
    let [b' ', rest @ ..] = rest else {
        return line_end(rest, Error::BadStatus);
    };
    let reason_bytes = rest
        .iter()
        .take_while(|&&octet| is_value_octet(octet))
        .count();
    line_end(&rest[reason_bytes..], Error::BadStatusLine)
}

/// Gives what follows the version, if it is one of ours.
fn after_version(bytes: &[u8]) -> Result<&[u8], Error> {
    if let Some(rest) = bytes
        .strip_prefix(b"HTTP/1.1")
        .or_else(|| bytes.strip_prefix(b"HTTP/1.0"))
    {
        return Ok(rest);
    }
    // A digit after the slash is enough to see another version; the rest may not be there yet.
    match bytes.strip_prefix(b"HTTP/") {
        Some([major, ..]) if major.is_ascii_digit() => Err(Error::UnsupportedVersion),
        _ => Err(Error::BadVersion),
    }
}

/// Gives what follows a line end; `otherwise` is the fault where there is none.
fn line_end(bytes: &[u8], otherwise: Error) -> Result<&[u8], Error> {
    match bytes {
        [b'\r', b'\n', rest @ ..] => Ok(rest),
        [b'\r', ..] => Err(Error::BareCr),
        [b'\n', ..] => Err(Error::BareLf),
        _ => Err(otherwise),
    }
}

/// The first fault in a block of field lines.
fn fields_fault(mut rest: &[u8], error: httparse::Error) -> Error {
    loop {
        if let [b'\r'] | [b'\r', b'\n', ..] = rest {
            // The head ends here, and what comes behind it is another message.
            return as_named(error);
        }
        rest = match field_line_fault(rest) {
            Ok([]) | Err(None) => return as_named(error),
            Ok(after) => after,
            Err(Some(fault)) => return fault,
        };
    }
}

/// Gives what follows one field line, or its fault; `None` where its end has not come yet.
fn field_line_fault(line: &[u8]) -> Result<&[u8], Option<Error>> {
    if let [b' ' | b'\t', ..] = line {
        return Err(Some(Error::ObsoleteFold));
    }
    if let [b'\r' | b'\n', ..] = line {
        return line_end(line, Error::BareCr).map_err(Some);
    }
    let name_bytes = line
        .iter()
        .take_while(|&&octet| is_token_octet(octet))
        .count();
    let value = match &line[name_bytes..] {
        [] => return Err(None),
        [b':', value @ ..] if name_bytes > 0 => value,
        [b' ' | b'\t', ..] => return Err(Some(Error::WhitespaceBeforeColon)),
        _ => return Err(Some(Error::BadHeaderName)),
    };
    let value_bytes = value
        .iter()
        .take_while(|&&octet| is_value_octet(octet))
        .count();
    match &value[value_bytes..] {
        [] | [b'\r'] => Err(None),
        end => line_end(end, Error::BadHeaderValue).map_err(Some),
    }
}

/// For a fault that was not found again: what `httparse` calls it.
const fn as_named(error: httparse::Error) -> Error {
    match error {
        httparse::Error::TooManyHeaders => Error::TooManyHeaders,
        httparse::Error::HeaderName => Error::BadHeaderName,
        httparse::Error::HeaderValue => Error::BadHeaderValue,
        httparse::Error::NewLine => Error::BareCr,
        httparse::Error::Status => Error::BadStatus,
        httparse::Error::Token => Error::BadRequestLine,
        httparse::Error::Version => Error::BadVersion,
    }
}

fn split_at_octet(bytes: &[u8], octet: u8) -> Option<(&[u8], &[u8])> {
    let at = find(bytes, octet)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}
