//! Where io_uring is refused, or not enough memory may be locked for it: everything is served by
//! epoll or with small rings, and one line of the log says why and what to do about it.
//!
//! The conditions are made by `tests::confine`, for the program under test alone. The sysctl
//! `kernel.io_uring_disabled` holds for a whole machine, so it is not set here; what is said of it
//! is tested in `net/src/refusal.rs`.

use std::{fs::File, net::TcpListener, process::Stdio, sync::OnceLock};

use tests::{Builder, Confinement, Connection, Driver, Gateway, Upstream, eventually, processes};

/// Makes a test of each, where io_uring is there to be refused and the others are not left out.
macro_rules! where_it_can_be_refused {
    ($($name:ident)*) => {
        mod ring { $(#[test] fn $name() { tests::Driver::RING.run(super::$name); })* }
    };
}

where_it_can_be_refused! {
    epoll_serves_where_io_uring_is_refused_and_says_why
    a_driver_that_was_asked_for_and_is_refused_ends_the_start
    with_little_lockable_memory_rings_are_small
    workers_that_cannot_all_have_a_ring_all_run
    thirty_restarts_in_a_row_with_little_lockable_memory_all_start
    a_watchdog_falls_back_too_and_says_why
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn confinement() -> Confinement {
    Confinement::new(env!("CARGO_BIN_EXE_confined"))
}

/// Whether this kernel counts rings as locked memory; those from 5.12 to 6.13 do not.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn rings_are_counted() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let confinement = confinement().locking_at_most(0);
        let gateway = Builder::new(Driver::AUTO).confined(confinement).start();
        let counted = line(&gateway).contains("driver=epoll");
        if !counted {
            println!("in part left out: this kernel does not count rings as locked memory");
        }
        counted
    })
}

/// A gateway that may choose its driver, with a server behind it.
fn builder(confinement: Confinement, upstream: &Upstream) -> Builder {
    Builder::new(Driver::AUTO)
        .confined(confinement)
        .serving("f", upstream)
}

/// The log line about the driver; nothing else is said about it.
fn line(gateway: &Gateway) -> String {
    let log = gateway.log();
    let mut lines = log.lines().filter(|line| line.contains("driver="));
    let line = lines.next().unwrap_or_else(|| panic!("no line: {log}"));
    assert_eq!(lines.next(), None, "{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    line.to_owned()
}

/// Checks that all of its outlets name the same driver and cause.
fn assert_tells(gateway: &Gateway, driver: &str, refused: &str) {
    let labels = [("driver", driver), ("refused", refused)];
    let metrics = gateway.metrics();
    assert_eq!(metrics.series("ringway_driver_info", &[]), 1);
    assert_eq!(
        metrics.sum("ringway_driver_info", &labels),
        1.0,
        "{metrics:?}"
    );
    let info = gateway.get("/system/info").json();
    assert_eq!(info["driver"]["name"], driver, "{info}");
    assert_eq!(info["driver"]["refused"], refused, "{info}");
    let reason = info["driver"]["reason"].as_str().unwrap();
    assert!(line(gateway).contains(reason), "{info}");
    let threads = processes::threads(gateway.pid());
    let workers = threads.iter().filter(|name| name.starts_with("worker-"));
    assert_eq!(workers.count(), 2, "{threads:?}");
}

/// Goal: whatever refuses io_uring, requests are served, and the cause and its cure are told.
/// Steps, for each refusal: start with the choice left to the gateway; call a server and a process;
/// look at the log, `/metrics` and `/system/info`.
fn epoll_serves_where_io_uring_is_refused_and_says_why(_: Driver) {
    let upstream = Upstream::answering(OK);
    let plain = confinement;
    for (confinement, refused, cause, cure) in [
        (
            plain().refusing_setup("EPERM"),
            "seccomp",
            "a seccomp filter forbids it",
            "seccomp profile",
        ),
        (
            plain().refusing_setup("ENOSYS"),
            "seccomp",
            "a seccomp filter answers",
            "seccomp profile",
        ),
        (
            plain().refusing_setup("EINVAL"),
            "old_kernel",
            "this kernel lacks",
            "Linux 6.1",
        ),
        (
            plain().refusing_register("EINVAL"),
            "old_kernel",
            "this kernel lacks",
            "Linux 6.1",
        ),
        (
            plain().refusing_register("EPERM"),
            "seccomp",
            "a seccomp filter forbids it",
            "seccomp profile",
        ),
        (
            plain().refusing_enter("EPERM"),
            "seccomp",
            "a seccomp filter forbids it",
            "seccomp profile",
        ),
        (
            plain().locking_at_most(0),
            "locked_memory",
            "not enough memory may be locked (the limit is 0 KiB",
            "ulimit -l",
        ),
    ] {
        if refused == "locked_memory" && !rings_are_counted() {
            continue;
        }
        let gateway = builder(confinement, &upstream).start();
        assert_eq!(gateway.call("f", b"").text(), "ok");
        gateway.deploy("cat", "cat");
        assert_eq!(gateway.call("cat", b"x").text(), "x");
        assert_tells(&gateway, "epoll", refused);
        let line = line(&gateway);
        assert!(line.contains(cause) && line.contains(cure), "{line}");
    }
}

/// Goal: who asks for io_uring gets it or an error, not something else.
fn a_driver_that_was_asked_for_and_is_refused_ends_the_start(_: Driver) {
    let upstream = Upstream::answering(OK);
    for driver in ["ring", "io_uring", "monoio-uring"] {
        for (confinement, cause) in [
            (confinement().refusing_setup("EPERM"), "seccomp"),
            (confinement().locking_at_most(0), "ulimit -l"),
        ] {
            if cause == "ulimit -l" && !rings_are_counted() {
                continue;
            }
            let builder = builder(confinement, &upstream).named_driver(driver);
            let (code, said) = builder.refused();
            assert_eq!(code, 71, "{driver}: {said}");
            assert!(
                said.contains("asked for") && said.contains(cause) && said.contains("epoll"),
                "{driver}: {said}"
            );
        }
    }
}

/// Goal: memory that is enough for rings, but not for the usual ones, is made do with, also where
/// io_uring was asked for.
fn with_little_lockable_memory_rings_are_small(_: Driver) {
    if !rings_are_counted() {
        return;
    }
    let upstream = Upstream::answering(OK);
    for name in ["auto", "ring", "monoio-uring"] {
        let confinement = confinement().locking_at_most(128 * 1024);
        let gateway = builder(confinement, &upstream).named_driver(name).start();
        let driver = if name == "auto" { "ring" } else { name };
        assert_tells(&gateway, driver, "locked_memory");
        assert!(line(&gateway).contains("small rings"), "{}", line(&gateway));
        for _ in 0..50 {
            assert_eq!(gateway.call("f", b"").text(), "ok");
        }
    }
}

/// Goal: workers whose rings do not all fit all run, on something else.
/// Steps: 64 KiB are enough for the rings of some of eight workers; all of them accept.
fn workers_that_cannot_all_have_a_ring_all_run(_: Driver) {
    let upstream = Upstream::answering(OK);
    let confinement = confinement().locking_at_most(64 * 1024);
    let gateway = builder(confinement, &upstream).threads(8).start();
    let line = line(&gateway);
    let expected = ["driver=epoll", "ulimit -l"];
    assert!(
        !rings_are_counted() || expected.iter().all(|word| line.contains(word)),
        "{line}"
    );
    let threads = processes::threads(gateway.pid());
    let workers = threads.iter().filter(|name| name.starts_with("worker-"));
    assert_eq!(workers.count(), 8, "{threads:?}");
    // The kernel spreads connections over all listeners: one that nobody served would hang.
    for _ in 0..200 {
        assert_eq!(gateway.call("f", b"").text(), "ok");
    }
}

/// Goal: memory of rings that come and go never keeps a gateway from starting, though the kernel
/// gives it back late.
/// Steps: under `ulimit -l 64`, start, serve, and kill, thirty times without a pause.
fn thirty_restarts_in_a_row_with_little_lockable_memory_all_start(_: Driver) {
    let upstream = Upstream::answering(OK);
    let builder = builder(confinement().locking_at_most(64 * 1024), &upstream);
    for _ in 0..30 {
        let gateway = builder.start();
        assert_eq!(gateway.call("f", b"").text(), "ok");
        let log = gateway.log();
        let line = log.lines().rfind(|line| line.contains("driver="));
        let line = line.unwrap_or_else(|| panic!("it does not say so: {log}"));
        // Either is in order, as long as it is said.
        assert!(!rings_are_counted() || line.contains("ulimit -l"), "{line}");
        gateway.kill();
    }
}

/// Goal: the watchdog, when it may choose, falls back as the gateway does; when it may not, it says
/// why it cannot.
fn a_watchdog_falls_back_too_and_says_why(_: Driver) {
    let folder = tempfile::tempdir().unwrap();
    for (driver, confinement, word) in [
        ("auto", confinement().refusing_setup("EPERM"), Some("epoll")),
        (
            "auto",
            confinement().locking_at_most(0),
            rings_are_counted().then_some("epoll").or(Some("ring")),
        ),
        (
            "auto",
            confinement().locking_at_most(64 * 1024),
            Some("ring"),
        ),
        ("ring", confinement().refusing_setup("EPERM"), None),
    ] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let log = folder.path().join("log");
        let mut child = confinement
            .watchdog(folder.path())
            .env("RINGWAY_DRIVER", driver)
            .env("fprocess", "cat")
            .env("suppress_lock", "true")
            .env("port", address.port().to_string())
            .env("metrics_port", "0")
            .stderr(File::create(&log).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let said = || std::fs::read_to_string(&log).unwrap();
        match word {
            Some(word) => {
                eventually("it says what it runs on", || {
                    said().contains(&format!("driver {word} (")).then_some(())
                });
                let answer = Connection::open(address).post("/", b"x");
                assert_eq!(answer.text(), "x");
                child.kill().unwrap();
                child.wait().unwrap();
            }
            None => {
                let status = eventually("it ends", || child.try_wait().unwrap());
                assert_eq!(status.code(), Some(69), "{}", said());
            }
        }
        let said = said();
        assert!(
            !rings_are_counted() || said.contains("seccomp profile") || said.contains("ulimit -l"),
            "{said}"
        );
    }
}
