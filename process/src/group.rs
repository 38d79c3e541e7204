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
use crate::{Signal, procfs};

/// How often the process list is read again because new members were found. A process that has been
/// sent SIGKILL can start no other, so only a family that forks faster than /proc can be read needs
/// more than two.
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
    kill_all(|all| {
        let member = |stat: &Stat| stat.session == session && stat.started >= oldest;
        all.iter()
            .filter(|(_, stat)| member(stat))
            .copied()
            .collect()
    })
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
    kill_all(|all| {
        let mut below = HashSet::from([ancestor]);
        let mut found = Vec::new();
        loop {
            let before = found.len();
            for (pid, stat) in all {
                if *pid != ancestor && below.contains(&stat.parent) && below.insert(*pid) {
                    found.push((*pid, *stat));
                }
            }
            if found.len() == before {
                return found;
            }
        }
    })
}

/// Ends every process that `is_meant` says is meant by SIGKILL, and returns how many were ended.
/// It is asked about each process there is, by id, as often as new ones appear; this process
/// itself is never ended.
///
/// # Errors
/// As [`kill_session`].
pub fn kill_matching(is_meant: impl Fn(i32) -> bool) -> io::Result<usize> {
    kill_all(|all| {
        let meant = |(pid, stat): &&(i32, Stat)| !stat.is_dead() && is_meant(*pid);
        all.iter().filter(meant).copied().collect()
    })
}

/// Ends what `select` picks out of a list of all processes, and again until it picks nothing new.
fn kill_all(select: impl Fn(&[(i32, Stat)]) -> Vec<(i32, Stat)>) -> io::Result<usize> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut ended = HashSet::new();
    for _ in 0..ROUNDS_MAX {
        let all: Vec<_> = processes()
            .filter_map(|pid| Some((pid, stat(pid)?)))
            .collect();
        let before = ended.len();
        for (pid, stat) in select(&all) {
            // An ended process needs no signal, but its children count, so it is dropped only here.
            if pid != own && !stat.is_dead() && !ended.contains(&(pid, stat.started)) {
                kill_one(pid, stat.started)?;
                ended.insert((pid, stat.started));
            }
        }
        if ended.len() == before {
            return Ok(ended.len());
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
