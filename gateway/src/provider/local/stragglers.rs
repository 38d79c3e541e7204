//! Ending processes of a function that nothing else finds, where there are no control groups.
//!
//! A function's processes have sessions of their own. While their watchdog lives they are found
//! below it; when it was killed they belong to nobody. But each has inherited `TMPDIR` and
//! `HOME`, which name its replica's own directory, and that is in a state directory which only
//! one gateway uses: whoever has it in the environment was started by a replica there.
//!
//! A function that was deployed with other values for both, or that clears its environment, is
//! not found so.

use std::{fs, io, os::unix::ffi::OsStrExt, path::Path};

/// Ends every process whose `TMPDIR` or `HOME` is `dir` or below it, and returns how many.
/// Walks /proc.
///
/// # Errors
/// When one cannot be ended.
pub(super) fn end(dir: &Path) -> io::Result<usize> {
    let dir = dir.as_os_str().as_bytes();
    process::kill_matching(|pid| {
        // That of another user cannot be read, and is none of ours.
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| names(&environ, dir))
    })
}

/// Whether an environment, as proc_pid_environ(5) shows it, names the directory.
fn names(environ: &[u8], dir: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|variable| {
        let value = variable
            .strip_prefix(b"TMPDIR=")
            .or_else(|| variable.strip_prefix(b"HOME="));
        let rest = value.and_then(|value| value.strip_prefix(dir));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use process::{Command, Group};

    #[test]
    fn only_the_directory_itself_and_what_is_below_are_meant() {
        let dir = b"/state/tmp/wc-1";
        for environ in [
            &b"PATH=/bin\0TMPDIR=/state/tmp/wc-1\0"[..],
            b"HOME=/state/tmp/wc-1/x\0A=1\0",
        ] {
            assert!(names(environ, dir));
        }
        for environ in [
            &b"TMPDIR=/state/tmp/wc-12\0"[..],
            b"TMPDIR=/state/tmp\0",
            b"XTMPDIR=/state/tmp/wc-1\0",
            b"TMP=/state/tmp/wc-1\0",
            b"",
        ] {
            assert!(!names(environ, dir));
        }
    }

    #[test]
    fn a_process_without_parent_and_session_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let sleeper = |dir: &Path| {
            let command = Command::new("sleep").arg("1000").env("TMPDIR", dir);
            command.group(Group::NewSession).spawn().unwrap()
        };
        let mut meant = sleeper(&dir.path().join("tmp/wc-1"));
        let mut other = sleeper(Path::new("/"));
        assert_eq!(end(&dir.path().join("tmp")).unwrap(), 1);
        meant.wait().unwrap();
        assert_eq!(other.try_wait().unwrap(), None);
        other.signal(process::Signal::KILL).unwrap();
        other.wait().unwrap();
    }
}
