//! The command line as a person uses it: a verb (or curl), its input, and what it prints.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use crate::{binaries, time::DEADLINE};

/// A command line to be run.
#[derive(Debug)]
pub struct Cli {
    command: Command,
}

/// What a verb left.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 for a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said about that.
    pub stderr: String,
}

impl Finished {
    /// Fails the test unless the code is 0.
    ///
    /// # Panics
    /// When it is another.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl Cli {
    /// `ringway ARGUMENTS…`, split at spaces.
    #[must_use]
    pub fn new(arguments: &str) -> Self {
        let mut command = Command::new(binaries::ringway());
        command
            .args(arguments.split_whitespace())
            .env_remove("OPENFAAS_URL")
            .stdin(Stdio::null());
        Self { command }
    }

    /// `curl ARGUMENTS…`, split at spaces: the client that most people have. It reads no settings of
    /// the person who runs the tests, and gives up where every test would.
    #[must_use]
    pub fn curl(arguments: &str) -> Self {
        let mut command = Command::new("curl");
        command
            .args(["-q", "-sS", "--max-time"])
            .arg(DEADLINE.as_secs().to_string())
            .args(arguments.split_whitespace())
            .stdin(Stdio::null());
        Self { command }
    }

    /// An argument that has spaces.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// A variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it to its end without input.
    pub fn run(self) -> Finished {
        self.run_with(b"")
    }

    /// Runs it to its end with this input.
    pub fn run_with(mut self, input: &[u8]) -> Finished {
        self.command.stdin(Stdio::piped());
        let mut child = self.start();
        let mut stdin = child.stdin.take().unwrap();
        thread::scope(|scope| {
            // A verb that does not read its input may be gone already.
            scope.spawn(move || stdin.write_all(input).ok());
            finish(child)
        })
    }

    /// Runs it to its end with this file as its input.
    pub fn run_from(mut self, input: File) -> Finished {
        self.command.stdin(input);
        finish(self.start())
    }

    /// Starts it with its output in pipes. Whoever asks ends it.
    #[must_use]
    pub fn start(mut self) -> Child {
        self.command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

fn finish(child: Child) -> Finished {
    let output = child.wait_with_output().unwrap();
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
