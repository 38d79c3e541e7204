//! Children of this process, and orphans among them.
//!
//! A subreaper (or PID 1 of a container) becomes the parent of processes it never started. They
//! must be reaped, but `waitpid(-1)` would also take the status of children that somebody waits for
//! by pidfd. So the list of children is read from /proc, and only unknown ones are reaped.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};

use crate::Signal;
use crate::procfs::children_of;

/// The process ids of this process's children, zombies included.
///
/// # Errors
/// If /proc cannot be read.
pub fn children() -> io::Result<Vec<i32>> {
    children_of(i32::try_from(std::process::id()).unwrap_or(0))
}

/// Reaps every ended child that `is_known` does not know, and returns those unknown ones that are
/// still running. Call it when SIGCHLD arrives or a call has ended.
///
/// # Errors
/// If /proc cannot be read.
pub fn reap_orphans(is_known: impl Fn(i32) -> bool) -> io::Result<Vec<i32>> {
    // The common case of no child at all costs one system call.
    let any = waitid(
        WaitId::All,
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT,
    );
    if matches!(any, Err(Errno::CHILD)) {
        return Ok(Vec::new());
    }
    let mut running = Vec::new();
    for pid in children()? {
        let Some(handle) = Pid::from_raw(pid).filter(|_| !is_known(pid)) else {
            continue;
        };
        let end = waitid(
            WaitId::Pid(handle),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        // An error means that it is not there any more: somebody else reaped it.
        if matches!(end, Ok(None)) {
            running.push(pid);
        }
    }
    Ok(running)
}

/// Ends an adopted child and everything below it by SIGKILL. It must be reaped afterwards.
///
/// `pid` must be a child of this process that nobody has reaped, as [`reap_orphans`] reports them:
/// only then is the number sure to mean it.
///
/// # Errors
/// As [`crate::kill_descendants`].
pub fn kill_orphan(pid: i32) -> io::Result<()> {
    // Descendants first: once it ends, they become this process's own children. What it manages to
    // start in between is reported as an orphan next time.
    let handle = Pid::from_raw(pid).filter(|_| pid > 1);
    let Some(handle) = handle else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a child process",
        ));
    };
    crate::kill_descendants(pid)?;
    match kill_process(handle, Signal::KILL.raw()) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
