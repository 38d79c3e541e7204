//! The process of a worker: its start and its end.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use net::{Either, PipeReader, PipeWriter, race, sleep};
use process::{Child, Io, Signal, Stdio};

use super::link::Worker;
use super::pool::{Pool, Running};
use crate::calls::{self, Noted};
use crate::limits::{FUNCTION_END_MAX, KILL_WAIT_MAX};
use crate::log;
use crate::mode::log_pipe::LogPipe;
use crate::mode::start::{no_pipe, not_started};
use crate::reply::Failure;
use crate::service::Service;

/// Of [`FUNCTION_END_MAX`], this much is after SIGTERM.
const AFTER_TERM: Duration = Duration::from_secs(1);
/// From the end of its input until SIGTERM.
const BEFORE_TERM: Duration = FUNCTION_END_MAX.saturating_sub(AFTER_TERM);

/// A process that was started as a worker, without its pipes.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    errors: LogPipe,
    /// So that it is not taken for one that was left behind.
    _noted: Noted,
    _running: Running,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// 500 if it cannot be started, 503 if a resource is short.
    pub(super) fn start(pool: &Rc<Pool>, service: &Service) -> Result<(Worker, Self), Failure> {
        let template = service
            .template()
            .map_err(|why| Failure::new(500, "no-program", why))?;
        let (errors, stderr) = LogPipe::open(log::Stream::Stderr).map_err(no_pipe)?;
        let (worker, stdin, stdout) = open_pipes().map_err(no_pipe)?;
        let io = Io::new(stdin, stdout, stderr);
        let child = template.spawn(io, None).map_err(|error| {
            service.forget_template();
            not_started(&error)
        })?;
        let process = Self {
            _noted: service.calls.note(child.pid()),
            _running: pool.running(),
            child,
            errors,
        };
        Ok((worker, process))
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// Waits until it has ended, and logs what it writes meanwhile.
    pub(super) async fn ended(&mut self) {
        match race(calls::ended(&self.child), self.errors.log()).await {
            Either::First(()) => {}
            Either::Second(never) => match never {},
        }
    }

    /// Reaps the ended process, ends what it has left of its process group, and says how it ended.
    pub(super) fn finish(&mut self) -> Rc<str> {
        // Before it is reaped: until then the number of its group is sure to be its own.
        calls::end_group(&self.child);
        self.errors.log_last();
        match self.child.try_wait() {
            Ok(Some(exit)) => exit.to_string().into(),
            Ok(None) => "without a status".into(),
            Err(error) => format!("its status cannot be had: {error}").into(),
        }
    }

    /// Ends it at once, with everything that it started, and sees to it that it is reaped.
    pub(super) fn kill(mut self) {
        calls::end(&self.child);
        net::spawn(async move { self.reap().await });
    }

    /// Lets it end, now that its input is closed; if it does not, SIGTERM and SIGKILL follow.
    pub(super) fn retire(mut self) {
        net::spawn(async move {
            if self.ended_within(BEFORE_TERM).await {
                self.finish();
                return;
            }
            if let Err(error) = self.child.kill_group(Signal::TERM) {
                log::line(&format!("a worker cannot be sent SIGTERM: {error}"));
            }
            if !self.ended_within(AFTER_TERM).await {
                let pid = self.pid();
                log::line(&format!(
                    "worker process {pid} did not end within {FUNCTION_END_MAX:?} of the end of its input and is killed"
                ));
            }
            calls::end(&self.child);
            self.reap().await;
        });
    }

    async fn reap(&mut self) {
        // What takes longer to end is adopted and reaped by `Calls` later.
        if self.ended_within(KILL_WAIT_MAX).await {
            self.finish();
        }
    }

    /// Waits until it has ended, but no longer than this; says whether it has.
    pub(super) async fn ended_within(&mut self, limit: Duration) -> bool {
        matches!(race(self.ended(), sleep(limit)).await, Either::First(()))
    }
}

/// The watchdog's ends, and the process's standard input and output.
fn open_pipes() -> io::Result<(Worker, Stdio, Stdio)> {
    let (stdin, to_it) = process::pipe()?;
    let (from_it, stdout) = process::pipe()?;
    let worker = Worker::new(PipeWriter::new(to_it)?, PipeReader::new(from_it)?);
    Ok((worker, Stdio::Fd(stdin), Stdio::Fd(stdout)))
}
