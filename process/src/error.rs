//! Why a process could not be started, in words that say what to do.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::{BadVariable, Program};

/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error("there is no program `{}`{}", program.display(), searched(path_var.as_ref()))]
    NotFound {
        /// The name as it was given.
        program: OsString,
        /// The `PATH` that was searched; none if the name is a path.
        path_var: Option<OsString>,
    },
    /// The file is there but cannot be executed.
    #[error("`{}` may not be executed; give it execute permission (chmod +x), or name its interpreter first", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The file is no program that this machine can run (`ENOEXEC`).
    #[error("`{}` is neither a program for this machine nor a script whose first line is `#!` and an interpreter", path.display())]
    NotAProgram {
        /// The file.
        path: PathBuf,
    },
    /// The file is there, but the interpreter it names in its first line or its ELF header is not.
    #[error("`{}` needs an interpreter or loader that is not installed (see its `#!` line, or `file` on it)", path.display())]
    NoInterpreter {
        /// The file.
        path: PathBuf,
    },
    /// The working directory is not a directory that can be entered.
    #[error("the working directory `{}` cannot be entered: {source}", dir.display())]
    BadDir {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A text with a NUL byte, which no argument can hold, or an empty program name.
    #[error("{what} cannot be passed to a program: it is empty or contains a NUL byte")]
    BadText {
        /// Which text.
        what: String,
    },
    /// A variable that no environment can hold.
    #[error(transparent)]
    BadVariable(#[from] BadVariable),
    /// No further process is allowed (`EAGAIN`, fork(2)).
    #[error(
        "no further process may be started: a limit on processes is reached (ulimit -u, pids.max of the cgroup, or kernel.pid_max); raise it or run less at once"
    )]
    ProcessLimit,
    /// No further descriptor is allowed (`EMFILE`, `ENFILE`).
    #[error(
        "no further file may be opened: a limit on descriptors is reached (ulimit -n, or fs.file-max); raise it or run less at once"
    )]
    DescriptorLimit,
    /// No memory (`ENOMEM`).
    #[error("there is not enough memory to start a process")]
    OutOfMemory,
    /// Arguments and environment are too large together (`E2BIG`, execve(2)).
    #[error("the arguments and environment for `{}` are too large (execve allows a quarter of the stack limit together, and 128 KiB for each)", program.display())]
    TooLarge {
        /// The program.
        program: PathBuf,
    },
    /// Anything else.
    #[error("`{}` could not be started: {source}", program.display())]
    Other {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn searched(path_var: Option<&OsString>) -> String {
    match path_var {
        Some(path_var) => format!(
            " in PATH ({}); check the name, or give the program's full path",
            path_var.display()
        ),
        None => "; check the path".to_owned(),
    }
}

impl SpawnError {
    /// Whether the same start may succeed later, because a resource was short.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::ProcessLimit | Self::DescriptorLimit | Self::OutOfMemory
        )
    }

    /// Judges what a system call of the start reported. The child reports one number for all its
    /// steps, so `chdir` and `exec` are told apart by looking again.
    pub(crate) fn from_os(source: io::Error, program: &Program, dir: Option<&Path>) -> Self {
        let path = program.path().to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::AGAIN) => return Self::ProcessLimit,
            Some(Errno::MFILE | Errno::NFILE) => return Self::DescriptorLimit,
            Some(Errno::NOMEM) => return Self::OutOfMemory,
            Some(Errno::TOOBIG) => return Self::TooLarge { program: path },
            Some(Errno::NOEXEC) => return Self::NotAProgram { path },
            Some(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR | Errno::LOOP) => {}
            _ => {
                return Self::Other {
                    program: path,
                    source,
                };
            }
        }
        if let Some(dir) = dir {
            let enter = rustix::fs::access(dir, rustix::fs::Access::EXEC_OK);
            if !dir.is_dir() || enter.is_err() {
                return Self::BadDir {
                    dir: dir.to_owned(),
                    source,
                };
            }
        }
        match Errno::from_io_error(&source) {
            Some(Errno::ACCESS) => Self::NotExecutable { path },
            _ if path.exists() => Self::NoInterpreter { path },
            _ => Self::NotFound {
                program: path.into_os_string(),
                path_var: None,
            },
        }
    }
}
