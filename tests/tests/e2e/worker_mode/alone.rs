//! A watchdog in worker mode without a gateway: its settings, its readiness, its end.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tests::{
    Connection, Driver, eventually, http::request_bytes, processes, ringway, under_each_driver,
};

under_each_driver! {
    a_program_that_is_missing_is_said_to_be_and_started_when_it_is_there
    a_watchdog_whose_workers_die_is_not_ready_and_says_why
    a_worker_that_takes_too_long_is_killed
    waiting_ends_with_the_time_limit
    two_share_a_machine
    the_end_closes_the_input_of_each_worker
    workers_that_will_not_end_are_killed
    what_a_worker_says_on_standard_error_is_logged_line_by_line
    a_wrong_setting_ends_the_start
}

/// A running watchdog; ended when dropped, and its workers with it.
pub(super) struct Watchdog {
    child: Child,
    address: SocketAddr,
    pub(super) folder: TempDir,
}

fn command(driver: Driver, folder: &TempDir, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(ringway().with_file_name("fwatchdog"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("TMPDIR", folder.path())
        .env("RINGWAY_DRIVER", driver.name())
        .env("mode", "worker")
        .env("workers", "1")
        .env("fprocess", env!("CARGO_BIN_EXE_worker_function"))
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    command
}

impl Watchdog {
    /// Starts one and waits until it listens.
    pub(super) fn start(driver: Driver, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It cannot choose a port by itself; this one was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command(driver, &folder, settings)
            .env("port", address.port().to_string())
            .stderr(log)
            .spawn()
            .unwrap();
        eventually("it listens", || TcpStream::connect(address).ok());
        Self {
            child,
            address,
            folder,
        }
    }

    pub(super) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Ends it, and makes sure that its worker ended by itself.
    pub(super) fn end_in_order(mut self) {
        self.terminate();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        assert!(!self.log().contains("SIGTERM"), "{}", self.log());
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    fn workers(&self) -> Vec<i32> {
        processes::children(self.pid())
    }

    fn terminate(&self) {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
    }
}

impl Drop for Watchdog {
    #[expect(clippy::print_stdout, reason = "it is shown if a test fails")]
    fn drop(&mut self) {
        let is_running = matches!(self.child.try_wait(), Ok(None));
        if is_running {
            // The second signal does not wait for anything.
            self.terminate();
            self.terminate();
        }
        let code = self.child.wait().unwrap().code();
        if std::thread::panicking() {
            println!("--- log of the watchdog\n{}---", self.log());
        } else {
            assert!(matches!(code, Some(0 | 143)), "{code:?}");
        }
    }
}

fn a_program_that_is_missing_is_said_to_be_and_started_when_it_is_there(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("worker");
    let watchdog = Watchdog::start(driver, &[("fprocess", program.to_str().unwrap())]);
    let answer = watchdog.connect().get("/pid");
    let said = answer.text();
    assert_eq!(answer.status(), 500, "{said}");
    assert!(said.contains(program.to_str().unwrap()), "{said}");
    assert_eq!(watchdog.connect().get("/_/ready").status(), 503);
    fs::copy(env!("CARGO_BIN_EXE_worker_function"), program).unwrap();
    eventually("it is started", || {
        (watchdog.connect().get("/pid").status() == 200).then_some(())
    });
    assert_eq!(watchdog.connect().get("/_/ready").status(), 200);
}

fn a_watchdog_whose_workers_die_is_not_ready_and_says_why(driver: Driver) {
    let watchdog = Watchdog::start(driver, &[("AT_START", "die")]);
    let said = eventually("it is not ready", || {
        let answer = watchdog.connect().get("/_/ready");
        (answer.status() == 503).then(|| answer.text())
    });
    assert!(said.contains("exit code 7"), "{said}");
}

fn a_worker_that_takes_too_long_is_killed(driver: Driver) {
    let watchdog = Watchdog::start(driver, &[]);
    let before = watchdog.connect().get("/pid").text();
    let mut client = watchdog.connect();
    let answer = client.request("GET", "/never", "X-Timeout: 1s\r\n", b"");
    let said = answer.text();
    assert_eq!(answer.status(), 504, "{said}");
    assert!(
        said.contains("X-Timeout") && said.contains("replaced"),
        "{said}"
    );
    eventually("it is gone", || {
        (!fs::exists(format!("/proc/{before}")).unwrap()).then_some(())
    });
    // The client's connection goes on.
    let after = client.get("/pid");
    assert_eq!(after.status(), 200);
    assert_ne!(after.text(), before);
}

/// The port of the metrics is the same for all if nobody says another.
fn two_share_a_machine(driver: Driver) {
    let both = [Watchdog::start(driver, &[]), Watchdog::start(driver, &[])];
    for watchdog in &both {
        assert_eq!(watchdog.connect().get("/pid").status(), 200);
    }
}

fn waiting_ends_with_the_time_limit(driver: Driver) {
    let watchdog = Watchdog::start(driver, &[]);
    let file = |name: &str| watchdog.folder.path().join(name);
    let mut first = watchdog.connect();
    first.send(request_bytes("GET", "/gate?first", "", b""));
    eventually("it has begun", || {
        file("first.begun").exists().then_some(())
    });
    let mut client = watchdog.connect();
    let answer = client.request("GET", "/pid", "X-Timeout: 100ms\r\n", b"");
    let said = answer.text();
    assert_eq!(answer.status(), 503, "{said}");
    assert!(
        said.contains("X-Timeout") && said.contains("workers=1"),
        "{said}"
    );
    assert!(answer.head.header("retry-after").is_some());
    fs::write(file("first"), "").unwrap();
    assert_eq!(first.response().text(), "first");
    assert_eq!(client.get("/count").text(), "2");
}

fn the_end_closes_the_input_of_each_worker(driver: Driver) {
    let mut watchdog = Watchdog::start(driver, &[("AT_END", "ended")]);
    assert_eq!(watchdog.connect().get("/count").text(), "1");
    assert_eq!(watchdog.workers().len(), 1);
    watchdog.terminate();
    assert_eq!(watchdog.child.wait().unwrap().code(), Some(0));
    let ended = fs::read_to_string(watchdog.folder.path().join("ended"));
    assert_eq!(ended.unwrap(), "ended");
}

fn workers_that_will_not_end_are_killed(driver: Driver) {
    let mut watchdog = Watchdog::start(driver, &[("AT_END", "stay")]);
    assert_eq!(watchdog.connect().get("/count").text(), "1");
    let [worker] = watchdog.workers()[..] else {
        panic!("not one worker");
    };
    watchdog.terminate();
    assert_eq!(watchdog.child.wait().unwrap().code(), Some(0));
    assert!(!fs::exists(format!("/proc/{worker}")).unwrap());
}

fn what_a_worker_says_on_standard_error_is_logged_line_by_line(driver: Driver) {
    let watchdog = Watchdog::start(driver, &[]);
    assert_eq!(watchdog.connect().get("/stderr?hello-log").text(), "said");
    eventually("it is logged", || {
        let log = watchdog.log();
        log.lines()
            .any(|line| line.ends_with(" stderr: hello-log"))
            .then_some(())
    });
}

fn a_wrong_setting_ends_the_start(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("workers", "0"), ("worker_requests_max", "many")] {
        let output = command(driver, &folder, &[(name, value)]).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with(&format!("{name}: `{value}` cannot be used")),
            "{said}"
        );
    }
}
