//! Ending many processes: a group, a session, or everything below a process.
//!
//! A group takes one system call, but a process can leave it. A session can only be left by
//! `setsid`, and what did that can still be found as a descendant, as long as a living ancestor or
//! a subreaper is there. A cgroup (`limits`) is the only fence that cannot be left; these functions
//! are for where there is none.

use std::collections::HashSet;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, kill_process_group, pidfd_open, pidfd_send_signal};

use crate::procfs::{Stat, processes, stat};
use crate::tree::{self, Seen};
use crate::{Signal, procfs};

/// How often members are looked for again because new ones were found. A process that has been sent
/// SIGKILL can start no other, so only a family that forks faster than /proc can be read needs more
/// than two rounds.
const ROUNDS_MAX: usize = 50;

/// Sends a signal to every member of a process group. It is no error if there is none.
///
/// The number must not have been reused: only call it while the group's first process is unreaped,
/// or while a member is known to live.
///
/// # Errors
/// `InvalidInput` for a group number below 2, else what kill(2) reports: `EPERM` if no member may
/// be signalled.
pub fn kill_group(group: i32, signal: Signal) -> io::Result<()> {
    // 0 and 1 would mean the caller's own group, and everything.
    let valid = if group > 1 {
        Pid::from_raw(group)
    } else {
        None
    };
    let Some(group) = valid else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a process group of its own",
        ));
    };
    match kill_process_group(group, signal.raw()) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Ends every process of a session by SIGKILL, walking /proc until none is left, and returns how
/// many were ended. This process itself is never one of them.
///
/// `leader_started` is the [`crate::start_time`] of the session's first process, if known: if the
/// number belongs to another process by now, or members are older, nothing is done to them.
///
/// # Errors
/// `TimedOut` if new members kept appearing; `PermissionDenied` if members run as another user.
pub fn kill_session(session: i32, leader_started: Option<u64>) -> io::Result<usize> {
    let reused = leader_started
        .is_some_and(|started| procfs::start_time(session).is_some_and(|now| now != started));
    if session <= 1 || reused {
        return Ok(0);
    }
    let oldest = leader_started.unwrap_or(0);
    let member = |stat: &Stat| stat.session == session && stat.started >= oldest;
    kill_all(|| all().filter(|(_, stat)| member(stat)).collect())
}

/// Ends everything below `ancestor` (not itself) by SIGKILL and returns how many were ended.
///
/// Processes whose parent has ended are found only if `ancestor` is, or is below, the subreaper
/// that adopted them ([`crate::become_subreaper`]).
///
/// # Errors
/// As [`kill_session`].
pub fn kill_descendants(ancestor: i32) -> io::Result<usize> {
    // The whole tree is found before the first one is ended: the children of an ended process are
    // moved to another parent, and would be lost.
    kill_all(|| tree::below(&[ancestor]))
}

/// The same for several ancestors, in as many readings of /proc as for one.
pub(crate) fn kill_below(ancestors: &[i32]) -> io::Result<usize> {
    kill_all(|| tree::below(ancestors))
}

/// Ends a child of this process, which nobody has reaped, and everything that it started, by
/// SIGKILL: what is below it, then itself with the members of its session. Returns how many were
/// ended.
///
/// It does not walk /proc as [`kill_session`] does, which costs the more the more processes the
/// machine has: with 83 on 2 cores, a family of three took 0.7 ms where four walks took 4.2 ms.
///
/// This process must be a subreaper ([`crate::become_subreaper`]), so that members whose parents
/// have ended are its own children. The child may see others of its family end before it does, and
/// go on; who does not want that stops its group first (SIGSTOP). What has left both the tree and
/// the session is missed; it is reported as an orphan by [`crate::reap_orphans`].
///
/// # Errors
/// As [`kill_session`].
pub fn kill_family(child: i32) -> io::Result<usize> {
    if child <= 1 {
        return Ok(0);
    }
    // Descendants first, while the tree still shows whose they are.
    let below = kill_descendants(child);
    let family = kill_all(|| tree::family(child));
    Ok(below? + family?)
}

/// Ends every process that `is_meant` says is meant by SIGKILL, and returns how many were ended.
/// It is asked about each process there is, by id, as often as new ones appear; this process
/// itself is never ended.
///
/// # Errors
/// As [`kill_session`].
pub fn kill_matching(is_meant: impl Fn(i32) -> bool) -> io::Result<usize> {
    let meant = |(pid, stat): &Seen| !stat.is_dead() && is_meant(*pid);
    kill_all(|| all().filter(meant).collect())
}

/// Every process there is.
fn all() -> impl Iterator<Item = Seen> {
    processes().filter_map(|pid| Some((pid, stat(pid)?)))
}

/// Ends those that `find` finds, and again until it finds nobody new. One that cannot be ended, as
/// that of another user, does not save the others; the first such error is returned at the end.
fn kill_all(find: impl Fn() -> Vec<Seen>) -> io::Result<usize> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut ended = HashSet::new();
    let mut refused = HashSet::new();
    let mut failure = None;
    for _ in 0..ROUNDS_MAX {
        let before = ended.len();
        for (pid, stat) in find() {
            // An ended process needs no signal, but its children count, so it is dropped only here.
            let one = (pid, stat.started);
            if pid == own || stat.is_dead() || ended.contains(&one) || refused.contains(&one) {
                continue;
            }
            match kill_one(pid, stat.started) {
                Ok(()) => {
                    ended.insert(one);
                }
                Err(error) => {
                    refused.insert(one);
                    failure.get_or_insert(error);
                }
            }
        }
        if ended.len() == before {
            return failure.map_or(Ok(ended.len()), Err);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "processes kept appearing while they were ended",
    ))
}

/// Ends the process `pid` that was started at `started`, and no other.
fn kill_one(pid: i32, started: u64) -> io::Result<()> {
    let Some(handle) = Pid::from_raw(pid) else {
        return Ok(());
    };
    let pidfd = match pidfd_open(handle, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // Only with the pidfd held is it sure that what is looked at is what gets the signal.
    if procfs::start_time(pid) != Some(started) {
        return Ok(());
    }
    match pidfd_send_signal(&pidfd, Signal::KILL.raw()) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
