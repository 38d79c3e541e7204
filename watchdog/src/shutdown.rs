//! The end, in order.
//!
//! On SIGTERM (or SIGINT) the watchdog is no longer healthy or ready, its lock file goes, and
//! nothing new is accepted beyond what waits in the backlog. Connections without a request are
//! closed; calls in flight may go on for `write_timeout`, and their answers say
//! `Connection: close`. In http mode the function's own server is ended when they are over, by
//! SIGTERM and, 4 s later, by SIGKILL; workers get the end of their input first. Then it leaves. A second signal ends the calls and leaves at once; so does
//! the end of the lifeline, which means that the gateway is gone, however it went.
//!
//! OpenFaaS's watchdogs go on accepting for `healthcheck_interval`, to give load balancers time to
//! notice. Here whoever sends the signal is expected to have stopped sending requests.

use std::future::pending;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;

use net::{Either, Listener, PipeReader, Signals, race, sleep};

use crate::limits::BACKLOG_MAX;
use crate::log;
use crate::server::{accept, accept_waiting};
use crate::service::Service;

/// Exit code after a second signal: 128 + SIGTERM, as a shell reports it.
const EXIT_AT_ONCE: u8 = 143;

/// Serves until there is a reason to end, then ends.
pub(crate) async fn run(
    service: &Rc<Service>,
    listener: Listener,
    mut signals: Signals,
    lifeline: Option<OwnedFd>,
) -> ExitCode {
    let serving = async {
        race(next_signal(&mut signals), accept(service, &listener)).await;
        log::line("shutting down: nothing new is accepted, calls in flight may end");
        let calls_end = async {
            // Closing the socket would reset the connections that wait in it.
            race(accept_waiting(service, &listener), sleep(BACKLOG_MAX)).await;
            drop(listener);
            service.stop();
            let closed = race(service.all_closed(), write_timeout(service)).await;
            if matches!(closed, Either::Second(())) {
                log::line("write_timeout is over: calls that are still in flight are ended");
            }
            // Last: calls in flight need it to the end.
            service.backend.end().await;
        };
        match race(calls_end, next_signal(&mut signals)).await {
            Either::First(()) => ExitCode::SUCCESS,
            Either::Second(()) => {
                log::line("leaving at once: calls in flight are ended");
                ExitCode::from(EXIT_AT_ONCE)
            }
        }
    };
    let code = match race(serving, lifeline_ends(lifeline)).await {
        Either::First(code) => code,
        Either::Second(()) => {
            log::line("the gateway is gone: leaving at once");
            ExitCode::SUCCESS
        }
    };
    service.stop();
    service.calls.end_all();
    code
}

async fn next_signal(signals: &mut Signals) {
    if signals.next().await.is_err() {
        // Signals that cannot be read cannot end it; the lifeline and SIGKILL still can.
        pending::<()>().await;
    }
}

async fn write_timeout(service: &Service) {
    match service.config.write_timeout {
        Some(limit) => sleep(limit).await,
        None => pending().await,
    }
}

/// Waits until the other end of the lifeline is closed; what is written to it has no meaning.
async fn lifeline_ends(lifeline: Option<OwnedFd>) {
    let Some(pipe) = lifeline else {
        return pending().await;
    };
    match PipeReader::new(pipe) {
        Ok(mut pipe) => while pipe.recv().await.is_ok_and(|bytes| !bytes.is_empty()) {},
        Err(error) => {
            log::line(&format!("the lifeline cannot be watched: {error}"));
            pending::<()>().await;
        }
    }
}
