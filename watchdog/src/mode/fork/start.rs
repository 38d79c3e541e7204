//! Pipes and process of a call.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use net::{PipeReader, PipeWriter};
use process::{Environment, Io, Stdio, Template};

use super::client::{Body, Feed};
use super::program::Program;
use crate::log::{Lines, Stream};
use crate::mode::start::{no_pipe, not_started};
use crate::reply::Failure;
use crate::service::Service;

/// Starts the program. A short body has been given to it by then; of any other, or if nobody knows yet
/// what it will read, its pipe is open.
///
/// # Errors
/// 500 if it cannot be started, 503 if a resource is short.
pub(crate) fn start(
    template: &Template,
    service: &Service,
    environment: &Environment,
    body: Option<Body>,
) -> Result<(Program, Feed), Failure> {
    let pipes = open_pipes(body, service.config.switches.combine_output).map_err(no_pipe)?;
    let Pipes {
        stdin,
        stdout,
        stderr,
        feed,
        output,
        errors,
    } = pipes;
    let child = template
        .spawn(Io::new(stdin, stdout, stderr), Some(environment))
        .map_err(|error| {
            service.forget_template();
            not_started(&error)
        })?;
    Ok((
        Program::new(
            child,
            output,
            errors.map(|errors| (errors, Lines::new(Stream::Stderr))),
        ),
        feed,
    ))
}

/// The program's ends, and the watchdog's.
struct Pipes {
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    feed: Feed,
    output: PipeReader,
    errors: Option<PipeReader>,
}

fn open_pipes(body: Option<Body>, combine_output: bool) -> io::Result<Pipes> {
    let (output, stdout) = process::pipe()?;
    let (errors, stderr) = if combine_output {
        (None, Stdio::StdoutCopy)
    } else {
        let (errors, stderr) = process::pipe()?;
        (Some(PipeReader::new(errors)?), Stdio::Fd(stderr))
    };
    let (stdin, feed) = match body {
        Some(Body::Nothing) => (Stdio::Null, Feed::nothing()),
        Some(Body::Ready(body)) => (Stdio::Fd(filled_pipe(&body)?), Feed::nothing()),
        other => {
            let (stdin, writer) = process::pipe()?;
            let pipe = PipeWriter::new(writer)?;
            let feed = match other {
                Some(body) => Feed::through(pipe, body),
                None => Feed::later(pipe),
            };
            (Stdio::Fd(stdin), feed)
        }
    };
    Ok(Pipes {
        stdin,
        stdout: Stdio::Fd(stdout),
        stderr,
        feed,
        output: PipeReader::new(output)?,
        errors,
    })
}

/// A pipe that holds `body`, and then ends. It is short enough not to block.
fn filled_pipe(body: &[u8]) -> io::Result<OwnedFd> {
    let (read, write) = process::pipe()?;
    File::from(write).write_all(body)?;
    Ok(read)
}
