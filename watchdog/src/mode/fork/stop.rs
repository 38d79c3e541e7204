//! What can end a call before the program has ended by itself.

use std::io;
use std::time::{Duration, Instant};

use net::Timer;

use crate::config::Config;
use crate::connection::{Connection, wrong};
use crate::reply::Failure;
use crate::request::Request;

/// Why a call ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The time limit.
    Deadline,
    /// The rest of the request did not come in time.
    ReadTimeout,
    /// The client closed the connection.
    ClientGone,
    /// The body of the request is wrong.
    WrongBody(wire::Error),
    /// The watchdog's own pipes or descriptors failed.
    System(io::Error),
}

impl Stop {
    /// What to answer; none if nobody is there to hear it.
    pub(crate) fn failure(&self, connection: &Connection, deadline: &Deadline) -> Option<Failure> {
        match self {
            Self::Deadline => Some(deadline.failure(connection.service.config.timeout_status)),
            Self::ReadTimeout => Some(connection.read_timeout()),
            Self::ClientGone => None,
            Self::WrongBody(error) => Some(wrong(*error)),
            Self::System(error) => Some(Failure::new(
                500,
                "watchdog-failed",
                format!("the watchdog could not follow the function: {error}"),
            )),
        }
    }
}

/// The time limits of one call, counted from the end of its head.
#[derive(Debug)]
pub(crate) struct Deadline {
    began: Instant,
    /// The shortest limit, its name and what to do.
    shortest: Option<(Duration, &'static str, &'static str)>,
    write: Option<Duration>,
}

impl Deadline {
    /// # Errors
    /// 400 if `X-Timeout` is not a duration.
    pub(crate) fn of(config: &Config, request: &Request) -> Result<Self, Failure> {
        let asked = match &request.time_limit {
            None => None,
            Some(Ok(limit)) => Some(*limit),
            Some(Err(text)) => {
                let message = format!(
                    "the header X-Timeout is `{text}`; give whole seconds such as 30, or a duration such as 1m30s or 500ms"
                );
                return Err(Failure::new(400, "bad-timeout", message));
            }
        };
        let limits = [
            (
                config.exec_timeout,
                "exec_timeout",
                "raise exec_timeout, or make the function faster",
            ),
            (
                config.write_timeout,
                "write_timeout",
                "raise write_timeout, or make the function faster",
            ),
            (
                asked,
                "the request's X-Timeout header",
                "allow it more time",
            ),
        ];
        let shortest = limits
            .into_iter()
            .filter_map(|(limit, name, advice)| Some((limit?, name, advice)))
            .min_by_key(|(limit, ..)| *limit);
        Ok(Self {
            began: Instant::now(),
            shortest,
            write: config.write_timeout,
        })
    }

    /// Sets `timer` to the shortest limit.
    pub(crate) fn set(&self, timer: &Timer) {
        self.set_limit(timer, self.shortest.map(|(limit, ..)| limit));
    }

    /// Sets `timer` to the limit for writing the answer.
    pub(crate) fn set_write(&self, timer: &Timer) {
        self.set_limit(timer, self.write);
    }

    fn set_limit(&self, timer: &Timer, limit: Option<Duration>) {
        match limit {
            Some(limit) => timer.set_at(self.began + limit),
            None => timer.clear(),
        }
    }

    fn failure(&self, status: u16) -> Failure {
        let (limit, name, advice) = self.shortest.unwrap_or_default();
        let message =
            format!("the function did not end within {name} ({limit:?}) and was killed; {advice}");
        Failure::new(status, "time-limit", message)
    }
}
