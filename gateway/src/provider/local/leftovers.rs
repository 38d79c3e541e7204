//! Ending what an earlier gateway left behind when it and its watchdogs were killed.
//!
//! A watchdog ends by itself when its gateway is gone (the lifeline), and ends what it started.
//! Only where it was killed as well, processes of its session may still run. Each replica's
//! record names the session by a pid, the start time of that pid and the boot, so that no other
//! process is taken for it. The function's own processes are found by their control group, which
//! `process::limits` clears away, or by their environment (`stragglers`).

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::stragglers;

/// Names the session of one replica for all time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The session's first process, which gives it its number.
    pub(crate) session: i32,
    /// When that one started, in clock ticks since boot.
    pub(crate) started: u64,
    /// The boot in which that was.
    pub(crate) boot: String,
}

impl Record {
    /// The record of a replica that was just started; none if it has ended already.
    pub(crate) fn of(session: i32, boot: &str) -> Option<Self> {
        Some(Self {
            session,
            started: process::start_time(session)?,
            boot: boot.to_owned(),
        })
    }
}

/// Names this boot of the machine.
pub(crate) fn boot_id() -> String {
    // Without it (a container may hide it) start times alone have to do.
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Ends the sessions recorded in `records` and all that has its directory in `tmp`, and returns
/// how many processes were ended.
///
/// # Errors
/// When the directory cannot be read or a process cannot be ended.
pub(crate) fn end_all(records: &Path, tmp: &Path) -> io::Result<usize> {
    let boot = boot_id();
    let mut ended = 0;
    for entry in fs::read_dir(records)? {
        let path = entry?.path();
        // A record that was half written belongs to a replica whose watchdog saw the end of its
        // gateway, or to none.
        let record = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        if let Some(record) = record.filter(|record| record.boot == boot) {
            ended += process::kill_session(record.session, Some(record.started))?;
        }
    }
    Ok(ended + stragglers::end(tmp)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use process::{Command, Group};

    /// Goal: a session whose leader was killed is ended, and nothing else.
    /// Steps: start a shell in a session of its own that starts a sleeper, kill the shell,
    /// record it as a gateway would have, and end the leftovers.
    #[test]
    fn what_a_killed_watchdog_left_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (read, write) = process::pipe().unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 1000 & echo; wait"])
            .stdout(process::Stdio::Fd(write))
            .group(Group::NewSession)
            .spawn()
            .unwrap();
        // The line says that the sleeper was started; the pipe's end, that it has ended.
        let mut output = fs::File::from(read);
        io::Read::read_exact(&mut output, &mut [0]).unwrap();
        let record = Record::of(shell.pid(), &boot_id()).unwrap();
        let other_boot = Record {
            boot: "another".to_owned(),
            ..record
        };
        shell.signal(process::Signal::KILL).unwrap();
        shell.wait().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
        write("1", &serde_json::to_vec(&other_boot).unwrap());
        write("2", b"{\"sess");
        assert_eq!(end_all(dir.path(), &dir.path().join("tmp")).unwrap(), 0);
        write("3", &serde_json::to_vec(&record).unwrap());
        assert_eq!(end_all(dir.path(), &dir.path().join("tmp")).unwrap(), 1);
        assert_eq!(io::Read::read(&mut output, &mut [0]).unwrap(), 0);
    }
}
