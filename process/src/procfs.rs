//! What /proc says about a process: the few fields that ending and reaping need.

use std::fs;
use std::io::{self, Read};

/// Fields of /proc/PID/stat, proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: u8,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// Clock ticks since boot.
    pub(crate) started: u64,
}

impl Stat {
    /// Whether it has ended and only its status is left.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// When a process was started, in clock ticks since boot; none if there is no such process.
/// Together with its id this names one process of this boot, since ids are reused and this is not.
pub fn start_time(pid: i32) -> Option<u64> {
    stat(pid).map(|stat| stat.started)
}

/// The session of a process, which is the id of the session's first process; none if there is no such
/// process.
pub fn session(pid: i32) -> Option<i32> {
    stat(pid).map(|stat| stat.session)
}

/// Whether a process has ended: gone, or a zombie whose status nobody has taken.
pub fn has_ended(pid: i32) -> bool {
    stat(pid).is_none_or(|stat| stat.is_dead())
}

/// The children of a process, zombies included.
///
/// # Errors
/// If there is no such process, or /proc cannot be read.
pub fn children_of(pid: i32) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        match fs::read_to_string(task?.path().join("children")) {
            Ok(list) => found.extend(
                list.split_ascii_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            ),
            // Needs CONFIG_PROC_CHILDREN; without it every process is asked for its parent. A task
            // that has just ended comes here too, which costs time but loses nothing.
            Err(_) => return Ok(children_by_walk(pid)),
        }
    }
    Ok(found)
}

fn children_by_walk(parent: i32) -> Vec<i32> {
    processes()
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let mut text = [0; 1024];
    let mut file = fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    // One read: the kernel renders the whole of this short file at once.
    let length = file.read(&mut text).ok()?;
    parse(&text[..length])
}

/// The second field is the program's name in parentheses and may itself hold parentheses and
/// spaces, so fields are counted from the last closing one.
fn parse(text: &[u8]) -> Option<Stat> {
    let name_end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(name_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let _group = fields.next()?;
    let session = fields.next()?.parse().ok()?;
    // Field 22; the session is field 6, so 15 lie between.
    let started = fields.nth(15)?.parse().ok()?;
    Some(Stat {
        state,
        parent,
        session,
        started,
    })
}

/// Every process there is now, by id.
pub(crate) fn processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_whatever_the_program_is_called() {
        let line =
            b"4242 (a) Z (b c)) S 17 4242 4240 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2\n";
        let want = Stat {
            state: b'S',
            parent: 17,
            session: 4240,
            started: 987_654,
        };
        assert_eq!(parse(line), Some(want));
        assert_eq!(parse(b"4242 (cut"), None);
        assert_eq!(parse(b""), None);
    }

    /// Goal: both ways give the children of another process, and an end is seen before the reaping.
    /// Steps: a shell that starts a sleeper says its number; look; kill it; look.
    #[test]
    fn knows_the_children_of_others_and_who_has_ended() {
        let (read, write) = crate::pipe().unwrap();
        let mut shell = crate::Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(crate::Stdio::Fd(write))
            .group(crate::Group::NewSession)
            .spawn()
            .unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(fs::File::from(read)), &mut line).unwrap();
        let sleeper: i32 = line.trim().parse().unwrap();
        assert_eq!(children_of(shell.pid()).unwrap(), [sleeper]);
        assert_eq!(children_by_walk(shell.pid()), [sleeper]);
        assert!(!has_ended(shell.pid()));
        shell.kill_group(crate::Signal::KILL).unwrap();
        while !has_ended(shell.pid()) {
            std::thread::yield_now();
        }
        assert!(start_time(shell.pid()).is_some(), "it is not reaped yet");
        shell.wait().unwrap();
        assert!(has_ended(shell.pid()));
        children_of(shell.pid()).unwrap_err();
    }

    #[test]
    fn knows_this_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(start_time(own).is_some());
        assert!(processes().any(|pid| pid == own));
        assert_eq!(start_time(i32::MAX), None);
    }
}
