//! What a process arranges for its own life: to end with its parent, and to adopt orphans.

use std::io;

use rustix::process::{Pid, Signal, getpid, getppid, set_child_subreaper};

/// Makes this process the parent of every descendant whose own parent has ended, so that it can
/// find, end and reap them: PR_SET_CHILD_SUBREAPER, prctl(2). The first process of a container is
/// that already.
///
/// # Errors
/// What prctl(2) reports.
pub fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Asks the kernel to send this process SIGKILL when its parent ends: PR_SET_PDEATHSIG, prctl(2).
/// `expected` is the parent's process id as the parent told it.
///
/// Two limits of the kernel's promise: it counts the *thread* of the parent that started this
/// process, so a parent must start it from a thread that stays; and it is lost when a program with
/// set-user-id bits is executed. It does not reach this process's own children.
///
/// # Errors
/// `NotFound` if the parent has ended already (then this process has another parent, and no signal
/// would come): the caller should leave at once. Else what prctl(2) reports.
pub fn die_with_parent(expected: i32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Asked after the request, so that no moment is left in which the parent can end unseen.
    if getppid().map_or(0, Pid::as_raw_pid) == expected {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the parent process has already ended",
        ))
    }
}
