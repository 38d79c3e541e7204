//! Which processes belong to running calls (or are the function's own server), and the end of all
//! others.
//!
//! The watchdog adopts every process that a call leaves behind (it is a subreaper, or process 1 of
//! its container). An adopted one that has ended is reaped. One that still runs may be a helper of
//! a call that is under way, so it is let live until every call that ran when it was first seen is
//! over; then it is ended. Children that were there before the first call, as an entry script may
//! start them, are left alone.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::AsFd;
use std::rc::Rc;

use net::Readiness;
use process::Signal;

use crate::limits::{SLOW_CALL, SWEEP_EVERY};
use crate::log;

/// The calls that are running. Cheap to clone: all clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    inner: Rc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    in_flight: Cell<usize>,
    /// Number of the last call.
    last: Cell<u64>,
    /// Number of a call → its process.
    processes: RefCell<BTreeMap<u64, i32>>,
    /// Processes that wait for a call.
    waiting: RefCell<HashSet<i32>>,
    /// Adopted process → number of the last call when it was first seen.
    adopted: RefCell<HashMap<i32, u64>>,
    spared: HashSet<i32>,
    is_kept: Cell<bool>,
    /// Whether this is process 1, to which every orphan of the container comes.
    is_first: bool,
}

impl Calls {
    /// No call yet. The children that this process has now are spared.
    pub(crate) fn new() -> Self {
        let spared = process::children()
            .unwrap_or_default()
            .into_iter()
            .collect();
        Self {
            inner: Rc::new(Inner {
                spared,
                is_first: std::process::id() == 1,
                ..Inner::default()
            }),
        }
    }

    /// How many are running.
    pub(crate) fn in_flight(&self) -> usize {
        self.inner.in_flight.get()
    }

    /// How many processes have been noted so far.
    pub(crate) fn processes_started(&self) -> u64 {
        self.inner.last.get()
    }

    /// Takes a place for one more call, unless `max` are running. The place is held until the
    /// guard is dropped.
    pub(crate) fn enter(&self, max: Option<usize>) -> Option<InFlight> {
        let in_flight = &self.inner.in_flight;
        if max.is_some_and(|max| in_flight.get() >= max) {
            return None;
        }
        in_flight.set(in_flight.get() + 1);
        Some(InFlight {
            calls: self.clone(),
            process: None,
        })
    }

    /// Notes a process as wanted until the guard is dropped, so that it is not taken for one left
    /// behind.
    pub(crate) fn note(&self, pid: i32) -> Noted {
        let inner = &self.inner;
        let number = inner.last.get() + 1;
        inner.last.set(number);
        inner.processes.borrow_mut().insert(number, pid);
        self.keep();
        Noted {
            calls: self.clone(),
            number,
        }
    }

    /// Notes a process that waits for a call, which may come late or never: until the guard is
    /// dropped it is not taken for one left behind, but nothing else lives longer because of it.
    pub(crate) fn waiting(&self, pid: i32) -> Waiting {
        self.inner.waiting.borrow_mut().insert(pid);
        Waiting {
            calls: self.clone(),
            pid,
        }
    }

    /// Ends every process of every call, and all that they started, at once.
    pub(crate) fn end_all(&self) {
        // After an orderly end there is nothing to end, and /proc need not be walked.
        let mut processes: Vec<i32> = self.inner.processes.borrow().values().copied().collect();
        processes.extend(&*self.inner.waiting.borrow());
        if processes.is_empty() && self.sweep() == 0 {
            return;
        }
        let report = |result: std::io::Result<usize>| {
            if let Err(error) = result {
                log::line(&format!("not every process could be ended: {error}"));
            }
        };
        if self.inner.spared.is_empty() {
            let own = i32::try_from(std::process::id()).unwrap_or(0);
            report(process::kill_descendants(own));
            return;
        }
        for pid in processes {
            report(process::kill_family(pid));
        }
        self.sweep();
    }

    /// Reaps adopted processes that have ended, ends those whose time is over, and returns how many
    /// are left.
    fn sweep(&self) -> usize {
        let inner = &self.inner;
        let processes = inner.processes.borrow();
        let mut adopted = inner.adopted.borrow_mut();
        let waiting = inner.waiting.borrow();
        let is_known =
            |pid| waiting.contains(&pid) || processes.values().any(|known| *known == pid);
        let mut running = match process::reap_orphans(is_known) {
            Ok(running) => running,
            Err(error) => {
                log::line(&format!(
                    "processes left behind could not be looked for: {error}"
                ));
                return 0;
            }
        };
        running.retain(|pid| !inner.spared.contains(pid));
        adopted.retain(|pid, _| running.contains(pid));
        let oldest = processes.keys().next();
        for pid in &running {
            let seen = *adopted.entry(*pid).or_insert_with(|| inner.last.get());
            // What a process has left that waits on the shelf is a helper of a call to come.
            let is_wanted = || process::session(*pid).is_some_and(|own| waiting.contains(&own));
            if oldest.is_none_or(|oldest| *oldest > seen)
                && (waiting.is_empty() || !is_wanted())
                && let Err(error) = process::kill_orphan(*pid)
            {
                log::line(&format!(
                    "process {pid} was left behind and could not be ended: {error}"
                ));
            }
        }
        running.len()
    }

    /// Process 1 also gets orphans that no call has left: of an entry script, or of who looked into
    /// the container. So it sweeps all the time, which is one system call a second.
    pub(crate) fn keep_as_first_process(&self) {
        if self.inner.is_first {
            self.keep();
        }
    }

    /// Sweeps now and then as long as there is something to sweep.
    fn keep(&self) {
        if self.inner.is_kept.replace(true) {
            return;
        }
        let calls = self.clone();
        net::spawn(async move {
            loop {
                net::sleep(SWEEP_EVERY).await;
                let is_idle = calls.sweep() == 0 && calls.inner.processes.borrow().is_empty();
                if is_idle && !calls.inner.is_first {
                    calls.inner.is_kept.set(false);
                    return;
                }
            }
        });
    }
}

/// A call's place among those in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    calls: Calls,
    process: Option<Noted>,
}

impl InFlight {
    /// Notes the process of this call.
    pub(crate) fn has_process(&mut self, pid: i32) {
        self.process = Some(self.calls.note(pid));
    }

    /// It has been reaped.
    pub(crate) fn has_no_process(&mut self) {
        self.process = None;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let in_flight = &self.calls.inner.in_flight;
        in_flight.set(in_flight.get() - 1);
    }
}

/// A process that is wanted.
#[derive(Debug)]
pub(crate) struct Noted {
    calls: Calls,
    number: u64,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let inner = &self.calls.inner;
        inner.processes.borrow_mut().remove(&self.number);
        // With none left this costs one system call if, as nearly always, no child is left. With
        // processes on the shelf it costs more, and is left to the task that sweeps now and then.
        if inner.processes.borrow().is_empty() && inner.waiting.borrow().is_empty() {
            self.calls.sweep();
        }
    }
}

/// A process that waits for a call.
#[derive(Debug)]
pub(crate) struct Waiting {
    calls: Calls,
    pid: i32,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.calls.inner.waiting.borrow_mut().remove(&self.pid);
    }
}

/// Ends the process of a call that was given up, with everything that it started.
pub(crate) fn end(child: &process::Child) {
    // All of its group stand still first, or a shell whose `cat` is killed would take the end of
    // its input for the whole of it and go on with its next command. This runs on the only thread
    // while all other calls wait, so nothing here walks over every process of the machine.
    let stopped = child.kill_group(Signal::STOP);
    let family = process::kill_family(child.pid());
    // Whatever failed: what stands still must not stay.
    let killed = child.kill_group(Signal::KILL);
    report(stopped.and(family).and(killed));
}

/// Ends what an ended process has left of its process group, before it is reaped. Members that
/// must not be signalled, as those of another user, are no reason to fail the call.
pub(crate) fn end_group(child: &process::Child) {
    report(child.kill_group(Signal::KILL));
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        log::line(&format!(
            "not every process of a call could be ended: {error}"
        ));
    }
}

/// Waits for the end of a process; it is not reaped.
pub(crate) async fn ended(child: &process::Child) {
    let watched = child
        .pidfd()
        .as_fd()
        .try_clone_to_owned()
        .and_then(Readiness::new);
    if let Ok(readiness) = watched
        && readiness.readable().await.is_ok()
    {
        return;
    }
    // No descriptor is left to watch it by. The error of `has_ended` would say that it is reaped.
    while !child.has_ended().unwrap_or(true) {
        net::sleep(SLOW_CALL).await;
    }
}
