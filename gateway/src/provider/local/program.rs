//! Which program a replica is.
//!
//! What it does not do: start it; `replica` does.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use nix::sys::statvfs::{FsFlags, statvfs};

/// The file name of the small watchdog.
const SMALL: &str = "fwatchdog";

/// How a watchdog is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchdogProgram {
    /// The program.
    pub(crate) path: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
}

impl WatchdogProgram {
    /// The best that there is: the `fwatchdog` beside this executable, else the one that it
    /// carries, put into `folder`, else this executable as `… watchdog`. The first two start
    /// faster and are smaller; see `cli/build.rs` for figures.
    ///
    /// # Errors
    /// When the system does not say which executable this is, or `folder` cannot be written to.
    pub(crate) fn choose(carried: Option<&[u8]>, folder: &Path) -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let beside = own.with_file_name(SMALL);
        if beside.is_file() {
            return Ok(Self::alone(beside));
        }
        if let Some(bytes) = carried
            && may_execute_in(folder)
        {
            let path = folder.join(SMALL);
            unpack(bytes, &path)?;
            return Ok(Self::alone(path));
        }
        Ok(Self {
            path: own,
            args: vec!["watchdog".to_owned()],
        })
    }

    fn alone(path: PathBuf) -> Self {
        Self {
            path,
            args: Vec::new(),
        }
    }
}

/// Whether the file system lets programs run; some mount the place of state without that.
fn may_execute_in(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|fs| !fs.flags().contains(FsFlags::ST_NOEXEC))
}

/// Writes a program. It must not be there: a new file cannot be in use (ETXTBSY).
fn unpack(bytes: &[u8], path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use process::{Command, Exit};

    #[test]
    fn a_carried_watchdog_is_unpacked_and_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let program =
            WatchdogProgram::choose(Some(b"#!/bin/sh\nexit 42\n"), folder.path()).unwrap();
        assert_eq!(program, WatchdogProgram::alone(folder.path().join(SMALL)));
        let mut child = Command::new(&program.path).spawn().unwrap();
        assert_eq!(child.wait().unwrap(), Exit::Code(42));
    }

    #[test]
    fn without_one_this_executable_is_the_watchdog() {
        let folder = tempfile::tempdir().unwrap();
        let program = WatchdogProgram::choose(None, folder.path()).unwrap();
        assert_eq!(program.path, std::env::current_exe().unwrap());
        assert_eq!(program.args, ["watchdog"]);
    }
}
