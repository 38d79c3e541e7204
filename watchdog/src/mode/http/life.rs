//! The life of the process behind the function's own server: started, looked after until it
//! listens, watched, started again when it has gone down, and ended in order.
//!
//! ```text
//!      ┌──────────── wait (backoff) ◄──────────┐
//!      ▼                                       │ ended, or
//!   start ──► until it listens ──► listening ──┤ too slow
//!             (start_timeout)                  │
//!      any of these, at the shutdown ──► SIGTERM, then SIGKILL
//! ```

use std::rc::Rc;
use std::time::{Duration, Instant};

use net::{Either, race, sleep};
use process::Child;

use super::function::{Function, State};
use super::process::Process;
use super::site::{self, Site};
use crate::calls;
use crate::log;
use crate::mode::start::backoff;
use crate::reply::Failure;
use crate::service::Service;

/// Who listened so long is not failing any more.
const RAN_WELL: Duration = Duration::from_secs(10);

/// Why there is no process any more.
pub(super) enum Down {
    /// It has to end.
    Ended,
    /// It went down, as the words say, which have `the function` before them.
    Fell(String),
    /// It cannot be started before something is changed.
    Impossible(Failure),
}

/// Keeps the process running until the function is to end.
pub(crate) async fn keep(function: Rc<Function>, service: Rc<Service>) {
    let mut failures = 0;
    while !function.is_ending() {
        let began = Instant::now();
        let down = one_life(&function, &service).await;
        if began.elapsed() >= RAN_WELL {
            failures = 0;
        }
        let wait = backoff(failures);
        failures += 1;
        let how = match down {
            Down::Ended => break,
            Down::Fell(how) => {
                function.fell(&how, State::Starting);
                how
            }
            Down::Impossible(failure) => {
                let how = failure.message.clone();
                function.fell(&how, State::Impossible(failure));
                how
            }
        };
        let when = match wait.is_zero() {
            true => "at once".to_owned(),
            false => format!("in {wait:?}"),
        };
        log::line(&format!("{how}; it is started again {when}"));
        race(sleep(wait), function.ending()).await;
    }
    function.gone();
}

/// One process, from its start until it is reaped.
async fn one_life(function: &Function, service: &Service) -> Down {
    let site = match site::prepare(function).await {
        Ok(site) => site,
        Err(failure) => return Down::Impossible(failure),
    };
    let mut process = match Process::start(service, site.port) {
        Ok(process) => process,
        Err(failure) if failure.status == 503 => return Down::Fell(failure.message),
        Err(failure) => return Down::Impossible(failure),
    };
    let noted = service.calls.note(process.child.pid());
    log::line(&format!("Started fprocess {}", service.config.command_line));
    // It may have been impossible before.
    function.set(State::Starting);
    let Process { child, output } = &mut process;
    let down = match race(until_down(function, &site, child), output.log()).await {
        Either::First(down) => down,
        Either::Second(never) => match never {},
    };
    match down {
        Down::Fell(how) if how.is_empty() => {
            let how = process.finish();
            drop(noted);
            Down::Fell(how)
        }
        other => {
            process.end().await;
            other
        }
    }
}

/// Waits until the process has ended (no words then: its status will tell), is too slow, or has to
/// end.
async fn until_down(function: &Function, site: &Site, process: &Child) -> Down {
    let listening = async {
        let began = Instant::now();
        match race(site.listened_at(), sleep(function.start_timeout)).await {
            Either::First(endpoint) => {
                let took = began.elapsed();
                log::line(&format!(
                    "The function listens at {endpoint} after {took:.1?}"
                ));
                function.set(State::Listening(endpoint));
                std::future::pending().await
            }
            Either::Second(()) => Down::Fell(format!(
                "the function did not listen at {} within start_timeout ({:?}) and was killed",
                function.place(),
                function.start_timeout
            )),
        }
    };
    let ended = async {
        match race(calls::ended(process), function.ending()).await {
            Either::First(()) => Down::Fell(String::new()),
            Either::Second(()) => Down::Ended,
        }
    };
    match race(ended, listening).await {
        Either::First(down) | Either::Second(down) => down,
    }
}
