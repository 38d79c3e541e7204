//! The time limits of one call, counted from the end of its head.

use std::time::{Duration, Instant};

use net::Timer;

use crate::config::Config;
use crate::reply::Failure;
use crate::request::Request;

/// When a call must be over.
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
        let asked = asked(request)?;
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

    /// Counts from now on.
    pub(crate) fn begin_again(&mut self) {
        self.began = Instant::now();
    }

    /// How long the call has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
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

    /// What to answer when it has passed. `missed` says what the function did not do in time, and
    /// `then` what was done about it, if that has to be said.
    pub(crate) fn failure(&self, status: u16, missed: &str, then: &str) -> Failure {
        let (limit, name, advice) = self.shortest.unwrap_or_default();
        let message =
            format!("the function did not {missed} within {name} ({limit:?}){then}; {advice}");
        Failure::new(status, "time-limit", message)
    }
}

/// The time limit that the request itself sets.
///
/// # Errors
/// 400 if `X-Timeout` is not a duration.
pub(crate) fn asked(request: &Request) -> Result<Option<Duration>, Failure> {
    match &request.time_limit {
        None => Ok(None),
        Some(Ok(limit)) => Ok(Some(*limit)),
        Some(Err(text)) => {
            let message = format!(
                "the header X-Timeout is `{text}`; give whole seconds such as 30, or a duration such as 1m30s or 500ms"
            );
            Err(Failure::new(400, "bad-timeout", message))
        }
    }
}
