//! Processes that are started already and wait on their pipes for a request: `prefork`.
//!
//! Starting a program is most of what a call costs, and this way it is paid before the call. Each
//! process still serves one request and no more, so nothing of one request can be seen by another.
//! The shelf is filled by a task of its own, one process after the other with a pause in between,
//! when an answer has gone (or takes its time), so that requests do not wait for it.
//!
//! A program may not want to wait: it ends, or writes, before it was given anything. What it then
//! would have to say to a request cannot be told from what it said too early. So prefork is switched
//! off for good at the first such process, and a line of the log says so.
//!
//! One that was killed while it waited is found, reaped and replaced when its turn comes: to watch each
//! would cost a descriptor, and every call the end of a watch.
//!
//! What it does not do: hold places of `max_inflight`, or keep time limits; a process on the shelf
//! belongs to no call. If the watchdog itself is killed, by SIGKILL, those on the shelf see the end of
//! an input that was empty.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use net::{PipeWriter, Waiters, sleep};
use process::{Environment, Exit};

use super::program::{Early, Program};
use super::start;
use crate::calls::Waiting;
use crate::limits::{PREFORK_PAUSE, PREFORK_RETRY};
use crate::log;
use crate::reply::Failure;
use crate::service::Service;

/// Processes without a request.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// How many there are to be; 0 once it is switched off.
    size: Cell<usize>,
    ready: RefCell<VecDeque<Ready>>,
    /// Calls that were served from the shelf and have not let go of their place on it.
    taken: Cell<usize>,
    /// Ended before they were given a request, one after the other.
    lost: Cell<usize>,
    /// Those who wait for room on the shelf: the task that fills it.
    changed: Waiters,
}

/// A process that waits.
#[derive(Debug)]
struct Ready {
    program: Program,
    stdin: PipeWriter,
    noted: Waiting,
}

impl Shelf {
    /// An empty one, to be filled by [`fill`].
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size: Cell::new(size),
            ..Self::default()
        }
    }

    /// Whether there is anything to be filled, now or later.
    pub(crate) fn is_on(&self) -> bool {
        self.size.get() > 0
    }

    /// Takes a process that is fit for a request, if there is one.
    pub(crate) fn take(self: &Rc<Self>) -> Option<(Program, PipeWriter)> {
        let shelf = self;
        loop {
            // The oldest, which has had the most time to get ready.
            let mut ready = shelf.ready.borrow_mut().pop_front()?;
            let Some(early) = ready.program.early() else {
                shelf.lost.set(0);
                shelf.taken.set(shelf.taken.get() + 1);
                ready.program.gap = Some(Gap(Rc::clone(shelf)));
                return Some((ready.program, ready.stdin));
            };
            let why = match early {
                Early::Wrote => Some("wrote".to_owned()),
                Early::Ended(exit @ Exit::Code(_)) => Some(format!("ended ({exit})")),
                Early::Ended(exit @ Exit::Signal { .. }) => {
                    shelf.loses(&format!("was always {exit}"))
                }
                Early::Closed => shelf.loses("always closed its output"),
            };
            if !matches!(early, Early::Ended(_)) {
                discard(ready);
            }
            if let Some(why) = why {
                log::line(&format!(
                    "prefork is switched off: the program {why} before it was given a request; it is started for each request from now on"
                ));
                shelf.clear();
                return None;
            }
            shelf.changed.wake_all();
        }
    }

    /// Notes that one was lost. If somebody ends all of them at once, that alone is no reason to give
    /// up; `why` is returned if it goes on.
    fn loses(&self, why: &str) -> Option<String> {
        self.lost.set(self.lost.get() + 1);
        (self.lost.get() > 3 * self.size.get()).then(|| why.to_owned())
    }

    /// Ends all of them, and starts no more.
    pub(crate) fn clear(&self) {
        self.size.set(0);
        let all = std::mem::take(&mut *self.ready.borrow_mut());
        all.into_iter().for_each(discard);
        self.changed.wake_all();
    }

    fn has_room(&self) -> bool {
        self.ready.borrow().len() + self.taken.get() < self.size.get()
    }
}

/// Ends a process that will get no request, and reaps it.
fn discard(ready: Ready) {
    net::spawn(async move {
        let Ready {
            mut program,
            stdin,
            noted,
        } = ready;
        program.end().await;
        // Only now: a program must not take the end of its input for an empty request.
        drop(stdin);
        drop(noted);
    });
}

/// A place on the shelf whose process serves a call. When it is dropped, the place may be filled.
#[derive(Debug)]
pub(crate) struct Gap(Rc<Shelf>);

impl Drop for Gap {
    fn drop(&mut self) {
        let Self(shelf) = self;
        shelf.taken.set(shelf.taken.get() - 1);
        shelf.changed.wake_all();
    }
}

/// Fills the shelf, until it is switched off.
pub(crate) async fn fill(shelf: Rc<Shelf>, service: Rc<Service>) {
    let mut is_told = false;
    loop {
        let has_changed = || shelf.has_room() || !shelf.is_on();
        shelf.changed.until(has_changed).await;
        if !shelf.is_on() {
            return;
        }
        let pause = match put(&shelf, &service) {
            Ok(()) => {
                is_told = false;
                PREFORK_PAUSE
            }
            Err(failure) => {
                if !std::mem::replace(&mut is_told, true) {
                    let why = failure.message;
                    log::line(&format!("prefork: {why}; trying again every second"));
                }
                PREFORK_RETRY
            }
        };
        sleep(pause).await;
    }
}

fn put(shelf: &Shelf, service: &Service) -> Result<(), Failure> {
    let template = service.template();
    let template = template.map_err(|why| Failure::new(500, "no-program", why))?;
    let (program, feed) = start::start(&template, service, &Environment::default(), None)?;
    let noted = service.calls.waiting(program.child.pid());
    if let Some(stdin) = feed.pipe {
        shelf.ready.borrow_mut().push_back(Ready {
            program,
            stdin,
            noted,
        });
    }
    Ok(())
}
