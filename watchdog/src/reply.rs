//! Answers: the head that all of them share, and errors in words.

use net::{Chunk, ChunkMut};
use wire::{Version, encode};

use crate::request::Request;
use crate::{clock, json};

/// What ends a call without an answer of the function.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    /// A stable word for programs.
    pub(crate) kind: &'static str,
    /// A sentence for people: what happened, and what to do.
    pub(crate) message: String,
    /// Seconds after which it may work.
    pub(crate) retry_after_s: Option<u32>,
    /// A header that this status has to have.
    pub(crate) header: Option<(&'static str, Vec<u8>)>,
}

impl Failure {
    pub(crate) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            retry_after_s: None,
            header: None,
        }
    }
}

/// What the head of an answer has to say about the connection and the call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'r> {
    /// The request, if its head could be read.
    pub(crate) request: Option<&'r Request>,
    /// Whether the connection goes on afterwards.
    pub(crate) keep: bool,
}

impl About<'_> {
    /// Whether the client can be sent chunks.
    pub(crate) fn allows_chunks(self) -> bool {
        self.request
            .is_none_or(|request| request.version == Version::Http11)
    }

    /// Whether the answer has no body, being one to HEAD.
    pub(crate) fn is_head_only(self) -> bool {
        self.request.is_some_and(|request| request.is_head)
    }
}

/// Appends status line and the headers that every answer has.
pub(crate) fn start(out: &mut Vec<u8>, status: u16, about: About<'_>) {
    encode::status_line(out, status);
    if let Some(request) = about.request {
        request.status.set(status);
    }
    clock::http_date(|date| encode::header(out, "Date", date));
    let is_old = about
        .request
        .is_some_and(|request| request.version == Version::Http10);
    match about.keep {
        false => encode::header(out, "Connection", "close"),
        true if is_old => encode::header(out, "Connection", "keep-alive"),
        true => {}
    }
    if let Some(id) = about.request.and_then(|request| request.call_id.as_deref()) {
        encode::header(out, "X-Call-Id", id);
    }
}

/// A short answer in plain text.
pub(crate) fn text(status: u16, body: &str, about: About<'_>) -> Chunk {
    let mut out = ChunkMut::new();
    start(&mut out, status, about);
    finish(
        &mut out,
        "text/plain; charset=utf-8",
        body.as_bytes(),
        about,
    );
    out.freeze()
}

/// An error: one line of text, or an object for clients that accept JSON.
pub(crate) fn failure(failure: &Failure, about: About<'_>) -> Chunk {
    let mut out = ChunkMut::new();
    start(&mut out, failure.status, about);
    if let Some(seconds) = failure.retry_after_s {
        encode::header_u64(&mut out, "Retry-After", seconds.into());
    }
    if let Some((name, value)) = &failure.header {
        encode::header(&mut out, name, value);
    }
    if about.request.is_some_and(|request| request.accepts_json) {
        // The shape of the gateway's own errors, with the word for programs beside it.
        let mut body = b"{\"error\":".to_vec();
        json::string(&mut body, failure.message.as_bytes());
        let rest = format!(
            ",\"kind\":\"{}\",\"status\":{}}}\n",
            failure.kind, failure.status
        );
        body.extend_from_slice(rest.as_bytes());
        finish(&mut out, "application/json", &body, about);
    } else {
        let body = [&failure.message, "\n"].concat();
        finish(
            &mut out,
            "text/plain; charset=utf-8",
            body.as_bytes(),
            about,
        );
    }
    out.freeze()
}

/// Appends the rest of an answer whose body is this.
pub(crate) fn finish(out: &mut Vec<u8>, content_type: &str, body: &[u8], about: About<'_>) {
    encode::header(out, "Content-Type", content_type);
    encode::header_u64(
        out,
        "Content-Length",
        u64::try_from(body.len()).unwrap_or(u64::MAX),
    );
    encode::end_of_headers(out);
    if !about.is_head_only() {
        out.extend_from_slice(body);
    }
}
