//! The control plane with real processes: a whole start, functions that come and go, an end that
//! leaves nothing, over the private socket that the data plane uses.
//!
//! The watchdog is a stand-in (this very program, see `stand_in`), so that these tests need no
//! other crate's binary; the real one is tested from end to end in `tests/`.

#![expect(
    clippy::unwrap_used,
    reason = "a test helper that fails ends the test, as it should"
)]

mod stand_in;

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use gateway::{
    Config,
    control::{self, Control, ControlError, Options},
    shared::Shared,
};
use net::Endpoint;

/// A running control plane on a state directory.
struct Plane {
    control: Control,
    shared: Arc<Shared>,
    socket: PathBuf,
}

fn config(state: &Path) -> Config {
    Config {
        listen: Vec::new(),
        take_over: false,
        state_dir: state.to_owned(),
        threads: 1,
        driver: net::DriverChoice::Epoll,
        statics: Vec::new(),
        watchdog: Some(stand_in::program()),
        limits: gateway::limits::Limits::default(),
    }
}

impl Plane {
    fn start(state: &Path) -> Self {
        let prepared = control::prepare(&config(state)).unwrap();
        let first = prepared.first_snapshot(1);
        let Endpoint::Unix(socket) = first.control.replicas[0].endpoint.clone() else {
            panic!("the control plane listens on a Unix socket");
        };
        let shared = Arc::new(Shared::new(first, 1));
        let options = Options {
            driver: net::Driver::select(net::DriverChoice::Epoll).unwrap(),
            on_terminate: Box::new(|_what| {}),
        };
        let control = prepared.start(Arc::clone(&shared), options).unwrap();
        Self {
            control,
            shared,
            socket,
        }
    }

    /// One request on a connection of its own; the head and the body of the answer.
    fn call(&self, method: &str, path: &str, body: &str) -> (String, String) {
        let mut answer = String::new();
        let mut stream = self.send(method, path, body);
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// Sends a request; its answer is to be read, and the connection ends with it.
    fn send(&self, method: &str, path: &str, body: &str) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    fn accepted(&self, method: &str, path: &str, body: &str) {
        let (head, body) = self.call(method, path, body);
        assert!(head.starts_with("HTTP/1.1 202 "), "{head}\n{body}");
    }

    fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "it never came true: {what}");
            std::thread::yield_now();
        }
    }

    /// Sockets of the replicas that get requests.
    fn ready(&self, function: &str) -> Vec<PathBuf> {
        let snapshot = self.shared.published.load();
        let replicas = snapshot
            .functions
            .get(function)
            .map(|f| f.replicas.to_vec());
        let path = |endpoint: &Endpoint| match endpoint {
            Endpoint::Unix(path) => path.clone(),
            Endpoint::Tcp(_) => panic!("a local replica listens on a Unix socket"),
        };
        replicas
            .unwrap_or_default()
            .iter()
            .map(|r| path(&r.endpoint))
            .collect()
    }

    fn until_ready(&self, function: &str, count: usize) {
        self.until("so many replicas are ready", || {
            self.ready(function).len() == count
        });
    }

    /// What a replica says of itself: its process and its environment.
    fn ask(socket: &Path) -> String {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(b"GET /who HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn pid_in(answer: &str) -> i32 {
    let line = answer.lines().find_map(|line| line.strip_prefix("pid="));
    line.unwrap().parse().unwrap()
}

fn files(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

const ECHO: &str = r#"{"service":"echo","envProcess":"cat","envVars":{"GREETING":"hello"}}"#;

/// Goal: from a deploy to a shutdown, nothing is lost and nothing is left.
/// Steps: deploy; scale; a replica is what it should be; one is killed and comes back; shut
/// down: no process and no file is left; start again: all is back.
#[test]
fn functions_outlive_the_gateway_and_processes_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path());
    plane.accepted("POST", "/system/functions", ECHO);
    plane.until_ready("echo", 1);
    plane.accepted("POST", "/system/scale-function/echo", r#"{"replicas":2}"#);
    plane.until_ready("echo", 2);

    let first = plane.ready("echo")[0].clone();
    let answer = Plane::ask(&first);
    for line in [
        "GREETING=hello",
        "fprocess=cat",
        "LISTEN_FDS=1",
        "RINGWAY_LIFELINE_FD=4",
        "fds=0,1,2,3,4",
    ] {
        assert!(answer.lines().any(|l| l == line), "{line}: {answer}");
    }
    assert!(!answer.contains("CARGO"), "{answer}");
    let killed = pid_in(&answer);
    assert!(process::start_time(killed).is_some());
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(killed),
        nix::sys::signal::SIGKILL,
    )
    .unwrap();
    plane.until("the killed one is taken out", || {
        !plane.ready("echo").contains(&first)
    });
    plane.until_ready("echo", 2);

    let (_, log) = plane.call("GET", "/system/logs?name=echo", "");
    assert!(log.contains("the stand-in serves"), "{log}");
    let pids: Vec<i32> = plane
        .ready("echo")
        .iter()
        .map(|s| pid_in(&Plane::ask(s)))
        .collect();
    plane.control.shutdown();
    for pid in pids {
        assert_eq!(process::start_time(pid), None, "{pid} is gone and reaped");
    }
    assert_eq!(files(&dir.path().join("run/replicas")), 0);
    assert_eq!(files(&dir.path().join("tmp")), 0);

    let plane = Plane::start(dir.path());
    let known = plane.shared.published.load().functions.contains_key("echo");
    assert!(known, "it is routed before anybody can ask");
    plane.until_ready("echo", 2);
    plane.accepted("DELETE", "/system/functions", r#"{"functionName":"echo"}"#);
    plane.until("its processes are gone", || {
        files(&dir.path().join("tmp")) == 0
    });
    plane.control.shutdown();
}

/// Goal: who follows a log does not keep the gateway from leaving.
/// Steps: follow a log up to its first line; a signal asks the gateway to end; the answer ends
/// although the control plane, which waits for the workers, goes on; who follows now gets what
/// there is.
///
/// The signal reaches all control planes of this process; to the others it means nothing more.
#[test]
fn a_signal_ends_the_answer_of_who_follows_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path());
    plane.accepted("POST", "/system/functions", ECHO);
    plane.until_ready("echo", 1);
    let path = "/system/logs?name=echo&follow=true";
    let stream = plane.send("GET", path, "");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).unwrap();
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains("the stand-in serves") {
        line.clear();
        assert!(answer.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    nix::sys::signal::raise(nix::sys::signal::SIGTERM).unwrap();
    answer.read_to_string(&mut line).unwrap();
    let (head, lines) = plane.call("GET", path, "");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(lines.contains("the stand-in serves"), "{lines}");
    plane.control.shutdown();
}

#[test]
fn an_update_goes_over_to_other_processes() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path());
    plane.accepted("POST", "/system/functions", ECHO);
    plane.until_ready("echo", 1);
    let old = plane.ready("echo");
    plane.accepted(
        "PUT",
        "/system/functions",
        &ECHO.replace("hello", "goodbye"),
    );
    plane.until("another serves", || {
        let now = plane.ready("echo");
        assert_eq!(now.len(), 1, "there is always one");
        now != old
    });
    let answer = Plane::ask(&plane.ready("echo")[0]);
    assert!(
        answer.lines().any(|line| line == "GREETING=goodbye"),
        "{answer}"
    );
    plane.until("the old one is gone", || {
        files(&dir.path().join("tmp")) == 1
    });
    plane.control.shutdown();
}

#[test]
fn a_second_gateway_on_a_state_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path());
    let error = control::prepare(&config(dir.path())).unwrap_err();
    assert!(matches!(error, ControlError::StateDir(_)), "{error}");
    assert!(error.to_string().contains("--state-dir"), "{error}");
    plane.control.shutdown();
    drop(control::prepare(&config(dir.path())).unwrap());
}

#[test]
fn a_state_directory_with_a_long_path_works_too() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(&dir.path().join("x".repeat(150)));
    plane.accepted("POST", "/system/functions", ECHO);
    plane.until_ready("echo", 1);
    let sockets = plane.socket.parent().unwrap().to_owned();
    plane.control.shutdown();
    assert!(!sockets.exists());
}
