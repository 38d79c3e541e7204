//! What a program writes, on its way to the client.
//!
//! How much of it is held back, so that the status can still say whether the program failed, is the
//! difference between the modes, [`Holding`]. Beyond, it is sent as it comes: in chunks, or to an
//! HTTP/1.0 client until the connection ends.

use std::time::Instant;

use net::{Chunk, ChunkMut, Sender};
use process::Exit;
use wire::encode;

use super::client::log_beginning;
use super::pieces::Pieces;
use super::stop::Stop;
use crate::config::{Fork, Holding};
use crate::limits::JOINED_BYTES_MAX;
use crate::log;
use crate::reply::{self, About};
use crate::request::Request;
use crate::service::Service;

/// What goes into a content type if nobody says.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// The output of one call.
#[derive(Debug)]
pub(crate) struct Output<'c> {
    request: &'c Request,
    service: &'c Service,
    started: Instant,
    fork: Fork,
    held: Pieces,
    bytes: u64,
    is_streaming: bool,
}

impl<'c> Output<'c> {
    pub(crate) fn new(
        request: &'c Request,
        service: &'c Service,
        fork: Fork,
        started: Instant,
    ) -> Self {
        Self {
            request,
            service,
            started,
            fork,
            held: Pieces::default(),
            bytes: 0,
            is_streaming: false,
        }
    }

    /// Whether the head has been sent.
    pub(crate) fn is_streaming(&self) -> bool {
        self.is_streaming
    }

    /// Whether the client would get no word about a failure.
    pub(crate) fn is_silent(&self) -> bool {
        self.bytes == 0 && !self.fork.tells_exit
    }

    /// How much was written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the client can find the end of the answer without the connection being closed.
    pub(crate) fn is_delimited(&self, about: About<'_>) -> bool {
        !self.is_streaming || about.allows_chunks()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the client is gone, or there is more than may be held back.
    pub(crate) async fn take(&mut self, bytes: &[u8], sender: &mut Sender) -> Result<(), Stop> {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        // HEAD wants to know how much there is, and nothing else.
        if self.request.is_head {
            return Ok(());
        }
        if !self.is_streaming && self.held.len() + bytes.len() <= self.fork.holding.bytes_max() {
            self.held.push(bytes);
            return Ok(());
        }
        if let Holding::Whole(bytes_max) = self.fork.holding {
            return Err(Stop::OutputTooLarge(bytes_max));
        }
        let mut out = ChunkMut::new();
        if !std::mem::replace(&mut self.is_streaming, true) {
            self.begin(&mut out, bytes);
        }
        let about = About {
            request: Some(self.request),
            keep: false,
        };
        piece(&mut out, bytes, about);
        send(sender, out.freeze()).await
    }

    /// Writes the head, and what was held back before these `bytes`.
    fn begin(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        // Whether the rest of the request will have come by the end is not known yet; then the
        // connection is closed in spite of what is said here, which clients have to expect.
        let keep = self.request.keep_alive && !self.service.is_stopping();
        let about = About {
            request: Some(self.request),
            keep,
        };
        reply::start(
            out,
            200,
            About {
                keep: keep && about.allows_chunks(),
                ..about
            },
        );
        self.describe(out);
        if about.allows_chunks() {
            encode::header(out, "Transfer-Encoding", "chunked");
        }
        encode::end_of_headers(out);
        self.log_beginning(bytes);
        while let Some(held) = self.held.pop() {
            piece(out, &held, about);
        }
    }

    /// Logs the beginning of the answer: what was held back, or else `bytes`.
    fn log_beginning(&self, bytes: &[u8]) {
        let is_wanted = self.service.config.switches.write_debug;
        let first = match self.held.first() {
            [] => bytes,
            held => held,
        };
        log_beginning(is_wanted, "Response body", first);
    }

    /// Ends the answer of a program that has ended.
    ///
    /// # Errors
    /// If the client is gone.
    pub(crate) async fn finish(
        &mut self,
        exit: Exit,
        about: About<'_>,
        sender: &mut Sender,
    ) -> std::io::Result<()> {
        if self.is_streaming {
            let end = if about.allows_chunks() {
                encode::LAST_CHUNK
            } else {
                b""
            };
            return sender.send(Chunk::copied(end)).await;
        }
        self.log_beginning(&[]);
        let first_line = self.first_line(exit);
        let bytes = self.bytes + u64::try_from(first_line.len()).unwrap_or(u64::MAX);
        let mut head = ChunkMut::new();
        reply::start(&mut head, if exit.success() { 200 } else { 500 }, about);
        self.describe(&mut head);
        encode::header(&mut head, "X-Duration-Seconds", self.duration_s());
        encode::header_u64(&mut head, "Content-Length", bytes);
        encode::end_of_headers(&mut head);
        if !about.is_head_only() {
            head.extend_from_slice(first_line.as_bytes());
        }
        if self.held.len() <= JOINED_BYTES_MAX {
            head.extend_from_slice(self.held.first());
            return sender.send(head.freeze()).await;
        }
        sender.send(head.freeze()).await?;
        while let Some(held) = self.held.pop() {
            sender.send(held).await?;
        }
        Ok(())
    }

    /// What stands before the output of a program that ended like this.
    fn first_line(&self, exit: Exit) -> String {
        match exit {
            _ if exit.success() || !self.fork.tells_exit => String::new(),
            // In the words of Go's os/exec, which programs look for.
            Exit::Code(code) => format!("exit status {code}\n"),
            Exit::Signal { .. } => format!("{exit}\n"),
        }
    }

    fn describe(&self, head: &mut Vec<u8>) {
        let set = self
            .service
            .config
            .content_type
            .as_deref()
            .map(str::as_bytes);
        let kind = set
            .or(self.request.content_type.as_deref())
            .unwrap_or(UNKNOWN_TYPE.as_bytes());
        encode::header(head, "Content-Type", kind);
    }

    fn duration_s(&self) -> String {
        format!("{:.6}", self.started.elapsed().as_secs_f64())
    }

    /// Writes the line for a program that has ended.
    pub(crate) fn log(&self, exit: Exit) {
        let (bytes, seconds) = (self.bytes, self.duration_s());
        if exit.success() {
            log::line(&format!(
                "Wrote {bytes} Bytes - Duration: {seconds} seconds"
            ));
        } else {
            log::line(&format!(
                "Wrote {bytes} Bytes - Duration: {seconds} seconds - Error: {exit}"
            ));
        }
    }
}

/// Writes bytes of a body.
fn piece(out: &mut Vec<u8>, bytes: &[u8], about: About<'_>) {
    if about.allows_chunks() {
        encode::chunk_header(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        out.extend_from_slice(bytes);
        out.extend_from_slice(encode::CHUNK_END);
    } else {
        out.extend_from_slice(bytes);
    }
}

async fn send(sender: &mut Sender, chunk: Chunk) -> Result<(), Stop> {
    sender.send(chunk).await.map_err(|_gone| Stop::ClientGone)
}
