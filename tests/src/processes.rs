//! Who is alive, what they use and what they hold, as /proc tells it.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// Processes that were started for the gateway on `state_dir`, however far removed: each has the
/// directory in its environment, since its `TMPDIR` is there. Zombies count too.
#[must_use]
pub fn started_on(state_dir: &Path) -> Vec<i32> {
    let needle = [b"=", state_dir.as_os_str().as_bytes(), b"/"].concat();
    all()
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .windows(needle.len())
                .any(|window| window == needle)
        })
        .collect()
}

/// The folder that a process was given as `TMPDIR`.
///
/// # Panics
/// When it has gone, or was given none.
#[must_use]
pub fn temp_dir(pid: i32) -> PathBuf {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let folder = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(b"TMPDIR="));
    OsStr::from_bytes(folder.unwrap()).into()
}

/// The children of `pid`, zombies among them.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    all().filter(|child| parent(*child) == Some(pid)).collect()
}

/// Whether `pid` has ended and was not waited for.
#[must_use]
pub fn is_zombie(pid: i32) -> bool {
    stat(pid).is_some_and(|fields| fields.starts_with('Z'))
}

/// Resident memory in bytes, zero when the process has gone.
#[must_use]
pub fn resident_bytes(pid: i32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

/// The most that a process has ever had resident, in bytes, zero when it has gone. What was given
/// back to the system before anybody looked still shows here.
#[must_use]
pub fn peak_bytes(pid: i32) -> u64 {
    status_bytes(pid, "VmHWM:")
}

fn status_bytes(pid: i32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// How many descriptors a process has open.
///
/// # Errors
/// When it has gone.
pub fn descriptors(pid: i32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// How many TCP connections of a process have been ended by their peer and not by it: those in
/// CLOSE_WAIT.
#[must_use]
pub fn closes_wait(pid: i32) -> usize {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return 0;
    };
    let own: HashSet<String> = folder
        .filter_map(|entry| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            Some(inode.strip_suffix(']')?.to_owned())
        })
        .collect();
    let tables = ["tcp", "tcp6"].map(|name| format!("/proc/{pid}/net/{name}"));
    let rows = tables.map(|path| fs::read_to_string(path).unwrap_or_default());
    rows.iter()
        .flat_map(|table| table.lines().skip(1))
        .filter(|row| {
            // proc(5): the fourth column is the state, 08 is CLOSE_WAIT; the tenth is the inode.
            let mut columns = row.split_whitespace().skip(3);
            columns.next() == Some("08") && columns.nth(5).is_some_and(|inode| own.contains(inode))
        })
        .count()
}

/// The names of a process's threads.
#[must_use]
pub fn threads(pid: i32) -> Vec<String> {
    let Ok(folder) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    folder
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect()
}

/// The words of a command line, joined by spaces.
#[must_use]
pub fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    words.join(" ").trim_end().to_owned()
}

/// What a person needs to know of a process that should not be there.
#[must_use]
pub fn describe(pid: i32) -> String {
    let fields = stat(pid).unwrap_or_default();
    let first: Vec<&str> = fields.split(' ').take(4).collect();
    let [state, parent, group, session] = first[..] else {
        return format!("{pid} gone");
    };
    let line = command_line(pid);
    format!("{pid} '{line}' state {state} parent {parent} group {group} session {session}")
}

fn all() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.split(' ').nth(1)?.parse().ok()
}

/// What follows the name in /proc/PID/stat, which may itself hold spaces and brackets: proc(5).
fn stat(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.to_owned())
}
