//! A gateway that is still to be started: its flags, its folder, and what it is confined to.
//!
//! What it does not do: anything with a gateway that runs; [`Gateway`] does.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use tempfile::TempDir;

use crate::{Confinement, Driver, Gateway, Upstream, binaries};

/// A gateway to be started.
#[derive(Debug)]
pub struct Builder {
    folder: Arc<TempDir>,
    driver: String,
    threads: usize,
    listen: SocketAddr,
    state_dir: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    confinement: Option<Confinement>,
}

impl Builder {
    /// `ringway up` with two threads, on a free port and a new state directory.
    #[must_use]
    pub fn new(driver: Driver) -> Self {
        let folder = tempfile::Builder::new().prefix("ringway-e2e-").tempdir();
        let folder = folder.unwrap();
        Self {
            state_dir: folder.path().join("state"),
            folder: Arc::new(folder),
            driver: driver.name().to_owned(),
            threads: 2,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            arguments: Vec::new(),
            variables: Vec::new(),
            confinement: None,
        }
    }

    /// Another number of threads.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Another word for the driver, such as one that stands for another.
    #[must_use]
    pub fn named_driver(self, name: &str) -> Self {
        let driver = name.to_owned();
        Self { driver, ..self }
    }

    /// With less than other processes get.
    #[must_use]
    pub fn confined(self, confinement: Confinement) -> Self {
        confinement.give(self.folder.path());
        let confinement = Some(confinement);
        Self {
            confinement,
            ..self
        }
    }

    /// Another address.
    #[must_use]
    pub fn listening_on(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// Another state directory.
    #[must_use]
    pub fn in_state_dir(self, folder: &Path) -> Self {
        let state_dir = folder.to_owned();
        Self { state_dir, ..self }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// One more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more server behind `/function/NAME`.
    #[must_use]
    pub fn serving(self, name: &str, upstream: &Upstream) -> Self {
        self.arg("--static")
            .arg(&format!("{name}={}", upstream.place()))
    }

    /// The folder that is this gateway's own; its state is in `state` below, if nothing else is said.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    pub fn start(&self) -> Gateway {
        let log = self.folder().join("log");
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = self.command().stderr(stderr).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut gateway = Gateway {
            child,
            address: self.listen,
            state_dir: self.state_dir.clone(),
            folder: Arc::clone(&self.folder),
            leaves_something: false,
        };
        match announced(stdout) {
            Some(address) => gateway.address = address,
            None => panic!("the gateway did not start:\n{}", gateway.log()),
        }
        gateway
    }

    /// Runs one that is expected not to start, and gives its exit code and what it said.
    #[must_use]
    pub fn refused(&self) -> (i32, String) {
        let output = self.command().stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap_or(-1), said)
    }

    fn command(&self) -> Command {
        let mut command = match &self.confinement {
            Some(confinement) => confinement.command(binaries::ringway(), self.folder()),
            None => Command::new(binaries::ringway()),
        };
        command
            .args(["up", "--driver", &self.driver])
            .args(["--threads", &self.threads.to_string()])
            .args(["--listen", &self.listen.to_string()])
            .arg("--state-dir")
            .arg(&self.state_dir)
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }
}

/// The address in the line that `up` prints once it answers; the rest is read so that nothing
/// blocks.
fn announced(stdout: impl std::io::Read + Send + 'static) -> Option<SocketAddr> {
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.split("http://").nth(1)?.trim().parse().ok());
    thread::spawn(move || lines.for_each(drop));
    address
}
