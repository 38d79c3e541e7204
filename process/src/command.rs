//! A process described: what to run, with what, where.
//!
//! [`Command`] is the everyday way: build, then [`Command::spawn`]. Whoever starts the same program
//! again and again calls [`Command::prepare`] once and keeps the [`Template`].
//!
//! Unlike `std::process::Command`, the environment starts empty and no descriptor is inherited
//! unless it is named, so forgetting something leaks nothing.

use std::ffi::{OsStr, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;

use crate::environment::Environment;
use crate::stdio::{Group, Io, Stdio};
use crate::{Child, Program, SpawnError, Template};

/// A process to be started.
#[derive(Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    group: Group,
    io: Io,
}

impl Command {
    /// A command that runs `program` without arguments, with an empty environment, in the caller's
    /// working directory and process group, and with `/dev/null` for all three standard streams.
    ///
    /// A name without `/` is searched in the `PATH` given by [`Command::env`] (the child's own, not
    /// the caller's), or in `/usr/local/bin:/usr/bin:/bin` if none was given.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            group: Group::Inherit,
            io: Io::default(),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the child's environment; a later value replaces an earlier one.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.env.retain(|(earlier, _)| *earlier != name);
        self.env.push((name, value));
        self
    }

    /// Sets several variables, as [`Command::env`] does.
    #[must_use]
    pub fn envs(
        self,
        variables: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Self {
        variables
            .into_iter()
            .fold(self, |command, (name, value)| command.env(name, value))
    }

    /// Sets the working directory. A relative `program` with a `/` in it is then found from there.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets standard input (descriptor 0).
    #[must_use]
    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.io.stdin = stdin;
        self
    }

    /// Sets standard output (descriptor 1).
    #[must_use]
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.io.stdout = stdout;
        self
    }

    /// Sets standard error (descriptor 2).
    #[must_use]
    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.io.stderr = stderr;
        self
    }

    /// Gives the child `fd` under the number `target`, as systemd does with a socket at 3.
    ///
    /// # Panics
    /// If `target` is not in 3..=[`Io::TARGET_MAX`] or was given before.
    #[must_use]
    pub fn pass_fd(mut self, fd: OwnedFd, target: RawFd) -> Self {
        self.io.pass(fd, target);
        self
    }

    /// Sets the process group of the child.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    /// Finds the program and lays out arguments and environment once, to start it many times. The
    /// streams and descriptors set on the command are dropped: each start is given its own.
    ///
    /// # Errors
    /// As [`Command::spawn`], as far as it can be known before the start.
    pub fn prepare(self) -> Result<Template, SpawnError> {
        self.split().map(|(template, _)| template)
    }

    /// Starts the process. The descriptors that were given to the command are closed in the caller.
    ///
    /// # Errors
    /// [`SpawnError`] says what was wrong and what to do. No process is left behind.
    pub fn spawn(self) -> Result<Child, SpawnError> {
        let (template, io) = self.split()?;
        template.spawn(io, None)
    }

    fn split(self) -> Result<(Template, Io), SpawnError> {
        let path_var = self
            .env
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, value)| value.as_os_str());
        let program = Program::resolve(&self.program, path_var, self.dir.as_deref())?;
        let mut environment = Environment::default();
        for (name, value) in &self.env {
            environment.set(name, value)?;
        }
        let args: Vec<&OsStr> = self.args.iter().map(OsString::as_os_str).collect();
        let template = Template::new(program, &args, environment, self.dir, self.group)?;
        Ok((template, self.io))
    }
}
