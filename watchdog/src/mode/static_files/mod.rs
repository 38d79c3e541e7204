//! Files of a folder, to be read by anybody who may call.
//!
//! [`find`] is the way from a head to what is to be answered, top to bottom: the method, the name
//! (`path`), the file (`folder`), what the client has of it already (`conditions`, `validators`),
//! the part that it wants (`range`). [`call`] sends that: the head, with the `content_type`, and the
//! file (`transfer`). `refusal` has the words for what is not sent.
//!
//! What it does not do: list folders, compress, or read without blocking: all of the watchdog waits
//! for a disk that is slow.

mod conditions;
mod content_type;
mod folder;
mod path;
mod range;
mod refusal;
mod transfer;
mod validators;

use std::fs::File;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use net::ChunkMut;
use wire::{RequestHead, encode};

use crate::config::StaticFiles;
use crate::connection::{Connection, Next};
use crate::deadline;
use crate::reply::{self, About, Failure};
use crate::request::Request;

use conditions::{Conditions, Verdict};
use folder::Found;
use range::Part;
use transfer::Transfer;
use validators::Validators;

pub(crate) use refusal::not_ready;

/// What is to be answered when a file was found.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    content_type: &'static str,
    validators: Validators,
    /// Bytes of the whole file.
    len: u64,
    /// Bytes of it that are sent, or would be if it were not HEAD.
    part: Range<u64>,
    file: File,
    /// Of the file, for the log.
    name: Vec<u8>,
}

/// Finds what `head` asks for.
///
/// # Errors
/// What to answer instead.
pub(crate) fn find(head: &RequestHead<'_>, files: &StaticFiles) -> Result<Answer, Failure> {
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return Err(refusal::method(head.method));
    }
    let (path, query) = (head.path(), head.query());
    let name = path::resolve(path).map_err(refusal::unnamed)?;
    let (file, metadata) = match folder::open(&files.folder, &name.bytes) {
        Ok(Found::File(file, metadata)) => (file, metadata),
        Ok(Found::Folder) if name.is_index => return Err(refusal::nothing(true)),
        Ok(Found::Folder) => return Err(refusal::moved(&path::with_slash(path, query))),
        Ok(Found::Nothing) => return Err(refusal::nothing(name.is_index)),
        Err(trouble) => return Err(refusal::trouble(&trouble, &files.folder)),
    };
    // After the file was opened: a change from here on must not look like this state.
    let now = SystemTime::now();
    let validators = Validators::of(&metadata, now);
    let conditions = Conditions::of(&head.headers);
    let len = metadata.len();
    let (status, part) = match conditions.judge(&validators) {
        Verdict::Failed => return Err(refusal::precondition()),
        Verdict::NotModified => (304, 0..0),
        // §14.2: HEAD knows no ranges.
        Verdict::Send if head.method.is_head() => (200, 0..len),
        Verdict::Send => {
            let now_s = conditions::seconds(now).unwrap_or_default();
            match conditions.part(&validators, len, now_s) {
                Part::Whole => (200, 0..len),
                Part::Some(part) => (206, part),
                Part::Unsatisfiable => return Err(refusal::range(len)),
            }
        }
    };
    Ok(Answer {
        status,
        content_type: content_type::of(&name.bytes),
        validators,
        len,
        part,
        file,
        name: name.bytes,
    })
}

/// Answers one request with what was found for it.
pub(crate) async fn call(
    connection: &mut Connection,
    request: &Request,
    found: Result<Answer, Failure>,
) -> Next {
    let service = Rc::clone(&connection.service);
    let began = Instant::now();
    let (answer, asked) = match (found, deadline::asked(request)) {
        (Ok(answer), Ok(asked)) => (answer, asked),
        (_, Err(failure)) | (Err(failure), _) => return connection.refuse(request, &failure).await,
    };
    let keep = connection.skip_body(request);
    let about = About {
        request: Some(request),
        keep,
    };
    let mut head = ChunkMut::new();
    answer.encode(&mut head, about);
    let part = match request.is_head {
        true => 0..0,
        false => answer.part,
    };
    let transfer = Transfer {
        file: &answer.file,
        name: &answer.name,
        part,
        pause_max: service.config.write_timeout,
        end: asked.map(|limit| began + limit),
    };
    match transfer
        .run(head, &mut connection.sender, &connection.timers)
        .await
    {
        Ok(()) if keep => Next::Request,
        Ok(()) => Next::Linger,
        // Only an answer without its end can still tell.
        Err(_) => Next::BreakOff,
    }
}

impl Answer {
    fn encode(&self, out: &mut Vec<u8>, about: About<'_>) {
        reply::start(out, self.status, about);
        if let Some(tag) = &self.validators.tag {
            encode::header(out, "ETag", tag);
        }
        if let Some(modified_s) = self.validators.modified_s {
            encode::header(out, "Last-Modified", conditions::written(modified_s));
        }
        // §15.4.5: what the client has needs no description.
        if self.status != 304 {
            encode::header(out, "Content-Type", self.content_type);
            encode::header(out, "X-Content-Type-Options", "nosniff");
            encode::header(out, "Accept-Ranges", "bytes");
            if self.status == 206 {
                let Range { start, end } = self.part;
                let value = format!("bytes {start}-{}/{}", end - 1, self.len);
                encode::header(out, "Content-Range", value);
            }
            encode::header_u64(out, "Content-Length", self.part.end - self.part.start);
        }
        encode::end_of_headers(out);
    }
}
