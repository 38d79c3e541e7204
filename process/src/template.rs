//! A command made ready to be started many times.
//!
//! What is the same for each start (program file, arguments, the constant part of the environment,
//! signal and group attributes) is laid out once. A start then costs two small vectors of pointers
//! beside the system calls.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::descriptors;
use crate::environment::Environment;
use crate::stdio::{Group, Io, Stdio};
use crate::unix::{Attributes, FileActions, Pointers, spawn};
use crate::{Child, Program, SpawnError};

/// A command that is ready to start.
#[derive(Debug)]
pub struct Template {
    program: Program,
    args: Vec<CString>,
    environment: Environment,
    dir: Option<(PathBuf, CString)>,
    group: Group,
    attributes: Attributes,
}

impl Template {
    pub(crate) fn new(
        program: Program,
        args: &[&OsStr],
        environment: Environment,
        dir: Option<PathBuf>,
        group: Group,
    ) -> Result<Self, SpawnError> {
        let c_string = |text: &OsStr, what: &str| {
            CString::new(text.as_bytes()).map_err(|_nul| SpawnError::BadText {
                what: format!("{what} {}", text.display()),
            })
        };
        let args = args
            .iter()
            .map(|arg| c_string(arg, "the argument"))
            .collect::<Result<_, _>>()?;
        let dir = match dir {
            Some(dir) => {
                let text = c_string(dir.as_os_str(), "the working directory")?;
                Some((dir, text))
            }
            None => None,
        };
        let attributes =
            Attributes::new(group).map_err(|source| SpawnError::from_os(source, &program, None))?;
        Ok(Self {
            program,
            args,
            environment,
            dir,
            group,
            attributes,
        })
    }

    /// The program that will be run.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Starts the process with `io` and with `extra` variables, which replace those of the command
    /// that have the same names. The descriptors in `io` are closed in
    /// the caller, also when the start fails.
    ///
    /// # Errors
    /// [`SpawnError`] says what was wrong and what to do. No process is left behind.
    pub fn spawn(&self, io: Io, extra: Option<&Environment>) -> Result<Child, SpawnError> {
        let failed = |source| SpawnError::from_os(source, &self.program, self.dir());
        let (actions, _moved) = self.file_actions(&io).map_err(failed)?;
        let argv = Pointers::new(
            std::iter::once(self.program.name_c()).chain(self.args.iter().map(CString::as_c_str)),
        );
        let none = Environment::default();
        let extra = extra.unwrap_or(&none);
        let envp = Pointers::new(extra.iter().chain(extra.not_overridden(&self.environment)));
        let pid = spawn(
            self.program.path_c(),
            &actions,
            &self.attributes,
            &argv,
            &envp,
        )
        .map_err(failed)?;
        descriptors::lower_for(pid);
        // No race: the child is ours and nobody has waited for it, so its number cannot be reused.
        // O_CLOEXEC is implied, pidfd_open(2).
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Child::new(pid, pidfd, self.group != Group::Inherit)),
            Err(error) => {
                end_unwatched(pid);
                Err(failed(error.into()))
            }
        }
    }

    fn dir(&self) -> Option<&Path> {
        self.dir.as_ref().map(|(dir, _)| dir.as_path())
    }

    /// The list of what the child does with its descriptors before it becomes the program, and
    /// the descriptors that had to be moved out of the way, to be kept until it has done so.
    fn file_actions(&self, io: &Io) -> std::io::Result<(FileActions, Vec<OwnedFd>)> {
        let mut actions = FileActions::new()?;
        let mut moved = Vec::new();
        let last = io
            .extra
            .iter()
            .map(|(_, target)| *target)
            .max()
            .unwrap_or(2);
        // A source whose number is also a target could be overwritten before its turn, or keep
        // close-on-exec when it is its own target. Such a source is first copied above all targets;
        // then the order of the dup2 calls no longer matters.
        let mut source = |fd: &OwnedFd| -> std::io::Result<RawFd> {
            if fd.as_raw_fd() > last {
                return Ok(fd.as_raw_fd());
            }
            let copy = rustix::io::fcntl_dupfd_cloexec(fd.as_fd(), last + 1)?;
            let number = copy.as_raw_fd();
            moved.push(copy);
            Ok(number)
        };
        for (stream, target) in [(&io.stdin, 0), (&io.stdout, 1), (&io.stderr, 2)] {
            match stream {
                Stdio::Inherit => {}
                Stdio::Fd(fd) => actions.duplicate(source(fd)?, target)?,
                Stdio::StdoutCopy if target == 2 => actions.duplicate(1, 2)?,
                Stdio::Null | Stdio::StdoutCopy => actions.open_null(target)?,
            }
        }
        for (fd, target) in &io.extra {
            actions.duplicate(source(fd)?, *target)?;
        }
        for gap in 3..last {
            if io.extra.iter().all(|(_, target)| *target != gap) {
                actions.close(gap)?;
            }
        }
        actions.close_from(last + 1)?;
        // Last, so that a relative path in the actions above would still be the caller's.
        if let Some((_, dir)) = &self.dir {
            actions.change_dir(dir)?;
        }
        Ok((actions, moved))
    }
}

/// A child that cannot be watched (no descriptor left for its pidfd) is ended at once.
fn end_unwatched(pid: Pid) {
    use rustix::process::{Signal, WaitOptions, kill_process, waitpid};
    // Each can only fail if the child is gone already, which is what they are for.
    kill_process(pid, Signal::KILL).unwrap_or(());
    waitpid(Some(pid), WaitOptions::empty()).unwrap_or(None);
}
