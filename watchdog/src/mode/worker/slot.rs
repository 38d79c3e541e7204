//! A slot: one process after the other, each watched to its end and then replaced.
//!
//! ```text
//!      ┌────────── wait (backoff, if it never answered) ◄───┐
//!      ▼                                                     │ ended, or killed for a fault
//!    start ──► given requests ───────────────────────────────┤
//!      ▲                                                     │
//!      └──── at once ◄── replaced: done its duty, or killed in the middle of a request
//! ```

use std::rc::Rc;
use std::time::Duration;

use net::{Either, race, sleep};

use super::answer::CAUSE_MAX;
use super::link::{Link, Order};
use super::pool::Pool;
use super::process::Process;
use crate::log;
use crate::mode::start::backoff;
use crate::reply::Failure;
use crate::service::Service;

/// Why a slot has no process any more.
enum Down {
    /// All are to end.
    Ended,
    /// It has done its duty, or its client has gone or ran out of time: none of that is a fault.
    Replaced,
    /// It ended by itself or did something wrong, as the words say.
    Fell(String),
}

/// Keeps a process running until all are to end.
pub(super) async fn keep(pool: Rc<Pool>, service: Rc<Service>) {
    let mut failures = 0;
    while !pool.is_ending() {
        let failure = match Process::start(&pool, &service) {
            Err(failure) => failure,
            Ok((worker, process)) => {
                let link = Rc::clone(&worker.link);
                pool.came_up(worker);
                let down = live(&pool, process, &link).await;
                pool.went_down(&link);
                if link.has_answered() {
                    failures = 0;
                }
                match down {
                    Down::Ended => break,
                    Down::Replaced => continue,
                    Down::Fell(how) => Failure::new(503, "workers-fail", how),
                }
            }
        };
        let wait = backoff(failures);
        failures += 1;
        tell(&pool, failure, wait);
        race(sleep(wait), pool.ending()).await;
    }
}

/// Says why there is no process, and when there will be one.
fn tell(pool: &Pool, mut failure: Failure, wait: Duration) {
    let how = &failure.message;
    if wait.is_zero() {
        log::line(&format!("{how}; it is started again at once"));
    } else {
        log::line(&format!("{how}; it is started again in {wait:?}"));
        if failure.kind == "workers-fail" {
            failure.message = format!("no worker is running: {how}; see the log");
        }
    }
    pool.failed(failure, wait);
}

/// One process, from its start until it is given up.
async fn live(pool: &Pool, mut process: Process, link: &Rc<Link>) -> Down {
    let pid = process.pid();
    let told = race(link.ordered(), pool.ending());
    let order = match race(process.ended(), told).await {
        Either::First(()) => return finish(process, link),
        Either::Second(Either::First(order)) => order,
        Either::Second(Either::Second(())) => match pool.take_idle(link) {
            Some(worker) => {
                worker.retire();
                Order::Retire
            }
            // Its call has had its time, or it has another order already.
            None => link.order(),
        },
    };
    match order {
        Order::Retire => process.retire(),
        Order::Follow => {
            if process.ended_within(CAUSE_MAX).await {
                return finish(process, link);
            }
            link.blame("a worker closed its output");
            process.kill();
        }
        Order::Run | Order::Kill => process.kill(),
    }
    match link.fault() {
        _ if pool.is_ending() => Down::Ended,
        Some(fault) => Down::Fell(format!("{fault}; worker process {pid} was killed")),
        None => Down::Replaced,
    }
}

/// The process has ended by itself.
fn finish(mut process: Process, link: &Link) -> Down {
    let how = process.finish();
    link.set_end(Rc::clone(&how));
    Down::Fell(format!(
        "worker process {} went down ({how})",
        process.pid()
    ))
}
