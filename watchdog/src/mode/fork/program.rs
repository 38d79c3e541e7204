//! The program's side of a call: its output, its errors and its end.

use std::future::{Future, pending};
use std::pin::pin;

use net::{Either, PipeReader, Sender, Timer, race, sleep};
use process::{Child, Exit};

use super::client::enlarge;
use super::output::Output;
use super::shelf::Gap;
use super::stop::Stop;
use crate::calls;
use crate::limits::{KILL_WAIT_MAX, OUTPUT_AFTER_END_MAX, PIPE_BYTES, SILENCE_AFTER_END};
use crate::log::{self, Lines};
use crate::mode::log_pipe::rest_after;

/// A program that was started for a call.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) child: Child,
    output: PipeReader,
    /// Standard error, if it does not go into the output.
    errors: Option<(PipeReader, Lines)>,
    /// Its place on the shelf, if it comes from there.
    pub(crate) gap: Option<Gap>,
}

/// What a program did that was to wait for a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Early {
    /// It wrote.
    Wrote,
    /// It closed its output, or is about to end.
    Closed,
    /// It has ended, and was reaped.
    Ended(Exit),
}

impl Program {
    pub(crate) fn new(
        child: Child,
        output: PipeReader,
        errors: Option<(PipeReader, Lines)>,
    ) -> Self {
        Self {
            child,
            output,
            errors,
            gap: None,
        }
    }

    /// What it did without a request, if it does not wait for one any more.
    pub(crate) fn early(&mut self) -> Option<Early> {
        let is_open = match self.output.try_recv() {
            Ok(None) => true,
            Ok(Some(bytes)) if !bytes.is_empty() => return Some(Early::Wrote),
            Ok(Some(_)) | Err(_) => false,
        };
        match self.child.has_ended() {
            Ok(false) if is_open => None,
            Ok(false) | Err(_) => Some(Early::Closed),
            Ok(true) => Some(self.finish().map_or(Early::Closed, Early::Ended)),
        }
    }

    /// Reads the output to its end, until the program has ended.
    ///
    /// # Errors
    /// If the client is gone, or the system fails.
    pub(crate) async fn read_output(
        &mut self,
        output: &mut Output<'_>,
        sender: &mut Sender,
        slow: &Timer,
    ) -> Result<(), Stop> {
        let Self {
            child,
            output: pipe,
            errors,
            gap,
        } = self;
        let slow = async {
            slow.expired().await;
            // The next one need not wait for this one's answer.
            drop(gap.take());
        };
        let reading = pin!(read_to_end(child, pipe, output, sender, slow));
        let logging = pin!(async {
            if let Some((pipe, lines)) = errors {
                while let Ok(bytes) = pipe.recv().await
                    && !bytes.is_empty()
                {
                    let began = std::time::Instant::now();
                    lines.push(&bytes);
                    rest_after(began).await;
                }
            }
            pending::<()>().await;
        });
        match race(reading, logging).await {
            Either::First(result) => result,
            Either::Second(()) => Ok(()),
        }
    }

    /// Reaps the ended program, and ends what it has left of its process group.
    pub(crate) fn finish(&mut self) -> Result<Exit, Stop> {
        // Before it is reaped: until then the number of its group is sure to be its own.
        calls::end_group(&self.child);
        self.log_last_errors();
        match self.child.try_wait() {
            Ok(Some(exit)) => Ok(exit),
            Ok(None) => Err(Stop::System(std::io::Error::other(
                "it ended without a status",
            ))),
            Err(error) => Err(Stop::System(error)),
        }
    }

    /// Ends the program and all that it started, and reaps it.
    pub(crate) async fn end(&mut self) {
        calls::end(&self.child);
        let ended = race(calls::ended(&self.child), sleep(KILL_WAIT_MAX)).await;
        self.log_last_errors();
        // What has not ended yet is adopted and reaped by `Calls` later.
        if matches!(ended, Either::First(())) && self.child.try_wait().is_err() {
            log::line("the status of a killed function could not be read");
        }
    }

    /// All that the program itself wrote is in the pipe by now; others that hold the pipe are not
    /// waited for, nor is it read on for as long as they write.
    fn log_last_errors(&mut self) {
        if let Some((pipe, lines)) = &mut self.errors {
            pipe.drain(|bytes| lines.push(bytes));
            lines.finish();
        }
    }
}

async fn read_to_end(
    child: &Child,
    pipe: &mut PipeReader,
    output: &mut Output<'_>,
    sender: &mut Sender,
    slow: impl Future<Output = ()>,
) -> Result<(), Stop> {
    {
        let mut end = pin!(async {
            slow.await;
            calls::ended(child).await;
        });
        loop {
            match race(pipe.recv(), end.as_mut()).await {
                Either::First(Ok(bytes)) if bytes.is_empty() => break,
                Either::First(Ok(bytes)) => {
                    let before = output.bytes();
                    output.take(&bytes, sender).await?;
                    // Once, and only for those who write much: it costs as much as a read.
                    if before < PIPE_BYTES && output.bytes() >= PIPE_BYTES {
                        enlarge(&*pipe);
                    }
                }
                Either::First(Err(error)) => return Err(Stop::System(error)),
                Either::Second(()) => return read_after_end(pipe, output, sender).await,
            }
        }
    }
    // Its end mostly comes together with the end of its output; but it may have closed that early.
    if !child.has_ended().map_err(Stop::System)? {
        calls::ended(child).await;
    }
    Ok(())
}

/// The program has ended, but something else holds its output, perhaps a filter that has not
/// written all yet. It gets a moment.
async fn read_after_end(
    pipe: &mut PipeReader,
    output: &mut Output<'_>,
    sender: &mut Sender,
) -> Result<(), Stop> {
    let mut over = pin!(sleep(OUTPUT_AFTER_END_MAX));
    loop {
        // Only reading is cut short. A send that was cut short would leave half a chunk behind.
        // The longer limit is looked at first: where much is written, there is always more to read.
        let reading = race(pipe.recv(), sleep(SILENCE_AFTER_END));
        match race(over.as_mut(), reading).await {
            Either::Second(Either::First(Ok(bytes))) if !bytes.is_empty() => {
                output.take(&bytes, sender).await?;
            }
            Either::Second(_) => return Ok(()),
            Either::First(()) => break,
        }
    }
    match pipe.try_recv() {
        Ok(Some(bytes)) if !bytes.is_empty() => Err(Stop::StillWriting),
        _ => Ok(()),
    }
}
