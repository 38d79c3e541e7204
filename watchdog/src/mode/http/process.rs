//! The process behind the function's own server: its start, its output, its end.

use std::convert::Infallible;

use net::{Either, race, sleep};
use process::{Child, Environment, Io, Signal, Stdio};

use crate::calls;
use crate::limits::{FUNCTION_END_MAX, KILL_WAIT_MAX};
use crate::log;
use crate::mode::log_pipe::LogPipe;
use crate::mode::start::{no_pipe, not_started};
use crate::reply::Failure;
use crate::service::Service;

/// A process that was started, and its output.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) output: Output,
}

/// What it writes, on its way to the log.
#[derive(Debug)]
pub(super) struct Output {
    stdout: LogPipe,
    stderr: LogPipe,
}

impl Process {
    /// Starts it; `port` is told to it as `PORT`.
    ///
    /// # Errors
    /// 500 if it cannot be started, 503 if a resource is short.
    pub(super) fn start(service: &Service, port: Option<u16>) -> Result<Self, Failure> {
        let template = service
            .template()
            .map_err(|why| Failure::new(500, "no-program", why))?;
        let mut environment = Environment::default();
        if let Some(port) = port {
            let set = environment.set("PORT", port.to_string());
            debug_assert!(set.is_ok(), "neither has a NUL or an equals sign");
        }
        let (stdout, stdout_end) = LogPipe::open(log::Stream::Stdout).map_err(no_pipe)?;
        let (stderr, stderr_end) = LogPipe::open(log::Stream::Stderr).map_err(no_pipe)?;
        let io = Io::new(Stdio::Null, stdout_end, stderr_end);
        let child = template.spawn(io, Some(&environment)).map_err(|error| {
            service.forget_template();
            not_started(&error)
        })?;
        Ok(Self {
            child,
            output: Output { stdout, stderr },
        })
    }

    /// Reaps the ended process, ends what it has left of its process group, and says how it ended.
    pub(super) fn finish(&mut self) -> String {
        // Before it is reaped: until then the number of its group is sure to be its own.
        calls::end_group(&self.child);
        self.output.log_last();
        match self.child.try_wait() {
            Ok(Some(exit)) => format!("the function went down ({exit})"),
            Ok(None) => "the function went down without a status".to_owned(),
            Err(error) => format!("the function went down (its status cannot be had: {error})"),
        }
    }

    /// Ends it: SIGTERM to all of its group, and SIGKILL to what is left after a while.
    pub(super) async fn end(&mut self) {
        if let Err(error) = self.child.kill_group(Signal::TERM) {
            log::line(&format!("the function cannot be sent SIGTERM: {error}"));
        }
        let ended = async {
            match race(calls::ended(&self.child), self.output.log()).await {
                Either::First(()) => {}
                Either::Second(never) => match never {},
            }
        };
        if let Either::Second(()) = race(ended, sleep(FUNCTION_END_MAX)).await {
            log::line(&format!(
                "the function did not end within {FUNCTION_END_MAX:?} of SIGTERM and is killed"
            ));
        }
        calls::end(&self.child);
        // What takes longer to end is adopted and reaped by `Calls` later.
        race(calls::ended(&self.child), sleep(KILL_WAIT_MAX)).await;
        self.output.log_last();
        if let Ok(Some(exit)) = self.child.try_wait() {
            log::line(&format!("The function ended: {exit}"));
        }
    }
}

impl Output {
    /// Logs what is written, for ever.
    pub(super) async fn log(&mut self) -> Infallible {
        match race(self.stdout.log(), self.stderr.log()).await {
            Either::First(never) | Either::Second(never) => never,
        }
    }

    /// All that the process itself wrote is in the pipes by now; others that hold them are not
    /// waited for.
    fn log_last(&mut self) {
        for stream in [&mut self.stdout, &mut self.stderr] {
            stream.log_last();
        }
    }
}
