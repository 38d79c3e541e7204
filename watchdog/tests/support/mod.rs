//! What the end-to-end tests share: a real `fwatchdog` on a Unix socket, and a plain HTTP client for it.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::print_stdout, reason = "it is shown if a test fails")]

mod client;
pub(crate) mod site;

pub(crate) use client::{Answer, Client};

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process::{Child, Command, Exit, Signal, Stdio};
use tempfile::TempDir;

/// Longer than anything that works takes; what does not end by then fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running watchdog; ended when dropped.
pub(crate) struct Watchdog {
    pub(crate) child: Child,
    dir: TempDir,
    /// The starter's own copy of the listening socket, which keeps the backlog open.
    _listener: UnixListener,
}

/// Runs `test` with each driver.
pub(crate) fn on_each_driver(test: impl Fn(&str)) {
    for driver in ["epoll", "auto"] {
        println!("driver {driver}");
        test(driver);
    }
}

/// Those that start a process for each request, and differ in more than a status.
pub(crate) const MODES: [&str; 3] = ["fork", "serializing", "streaming"];

/// Runs `test` with each driver in each mode. It is given a way to start a watchdog with a command line
/// and more settings.
pub(crate) fn in_each_mode(test: impl Fn(&dyn Fn(&str, &[(&str, &str)]) -> Watchdog)) {
    on_each_driver(|driver| {
        for mode in MODES {
            println!("mode {mode}");
            test(&|fprocess, settings| {
                let own = [("fprocess", fprocess), ("mode", mode)];
                Watchdog::start(driver, &[&own, settings].concat())
            });
        }
    });
}

impl Watchdog {
    /// Starts one with these settings, on a socket that is handed over, so that there is nothing to
    /// wait for.
    pub(crate) fn start(driver: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_with(driver, settings, None)
    }

    /// Starts one by a command line to whose end the watchdog's path is added. `child` is then what
    /// this command line has started first.
    pub(crate) fn start_by(words: &[&str], settings: &[(&str, &str)]) -> Self {
        let (program, arguments) = words.split_first().expect("a program");
        let command = Command::new(program).args(arguments);
        Self::start_command(
            command.arg(env!("CARGO_BIN_EXE_fwatchdog")),
            "epoll",
            settings,
        )
    }

    /// The same with the read end of a pipe as its lifeline.
    pub(crate) fn start_with(
        driver: &str,
        settings: &[(&str, &str)],
        lifeline: Option<OwnedFd>,
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwatchdog"));
        if let Some(lifeline) = lifeline {
            command = command.env("RINGWAY_LIFELINE_FD", "4").pass_fd(lifeline, 4);
        }
        Self::start_command(command, driver, settings)
    }

    fn start_command(command: Command, driver: &str, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(dir.path().join("socket")).expect("a socket");
        let log = std::fs::File::create(dir.path().join("log")).expect("a file");
        let command = command
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", dir.path())
            .env("LISTEN_FDS", "1")
            .env("RINGWAY_DRIVER", driver)
            .envs(settings.iter().copied())
            .pass_fd(listener.try_clone().expect("a copy").into(), 3)
            .stderr(Stdio::Fd(log.into()));
        Self {
            child: command.spawn().expect("it starts"),
            dir,
            _listener: listener,
        }
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.dir.path().join("socket")).expect("it listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("a time limit");
        Client::new(stream)
    }

    /// One request on a connection of its own.
    pub(crate) fn call(&self, head: &str, body: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect();
        client.send(head, body.as_ref());
        client.answer()
    }

    /// POST with this body.
    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.call("POST / HTTP/1.1\r\nHost: x\r\n", body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut client = self.connect();
        client.send_raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        client.answer()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).expect("it is there")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.dir.path().join(".lock")
    }

    /// Its children, zombies included.
    pub(crate) fn children(&self) -> String {
        let pid = self.child.pid();
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        list.unwrap_or_default().trim().to_owned()
    }

    /// What it has resident (`VmRSS:`), or the most that it ever had (`VmHWM:`), KiB.
    pub(crate) fn memory_kib(&self, field: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.pid());
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number
            .expect("proc_pid_status(5)")
            .parse()
            .expect("a number")
    }

    pub(crate) fn wait(&mut self) -> Exit {
        let mut exit = None;
        wait_until("the watchdog has ended", || {
            exit = self.child.try_wait().expect("it can be waited for");
            exit.is_some()
        });
        exit.expect("it has ended")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- log\n{}---", self.log());
        }
        process::kill_descendants(self.child.pid()).expect("they can be ended");
        self.child.signal(Signal::KILL).expect("it can be ended");
        self.child.wait().expect("it can be waited for");
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::yield_now();
    }
}

/// Lets time pass, for tests that are about time itself.
pub(crate) fn hold_for(length: Duration) {
    let began = Instant::now();
    wait_until("the time has passed", || began.elapsed() > length);
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Reads a file in which a function has written one process id a line, once there are `count`.
pub(crate) fn pids(path: &Path, count: usize) -> Vec<i32> {
    let mut found = Vec::new();
    wait_until("the process ids are written", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may not be whole yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        found = whole.lines().filter_map(|line| line.parse().ok()).collect();
        found.len() == count
    });
    found
}

/// A pattern that does not repeat within a buffer's length.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}
