//! http mode, looked at directly: readiness, the process behind it, and connections that are used
//! again. The function is a shell script or this very binary, see [`the_function`].

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use process::{Exit, Signal};
use support::{Client, Watchdog, is_alive, on_each_driver, pids, wait_until};

/// What the function is to do.
const BEHAVIOUR: &str = "FUNCTION_OF_THE_TEST";

/// Not a test: when a watchdog has started this binary as its function, this is the function. It
/// ignores what is asked, and answers on each connection as its behaviour says.
#[test]
fn the_function() {
    let Ok(behaviour) = std::env::var(BEHAVIOUR) else {
        return;
    };
    let dir = std::env::var("TMPDIR").unwrap();
    let pid = format!("{}\n", std::process::id());
    fs::write(Path::new(&dir).join("pid"), pid).unwrap();
    if behaviour == "gate" {
        wait_until("it may listen", || Path::new(&dir).join("gate").exists());
    }
    let listener = UnixListener::bind(Path::new(&dir).join("f")).unwrap();
    for (number, stream) in listener.incoming().enumerate() {
        let (behaviour, stream) = (behaviour.clone(), stream.unwrap());
        std::thread::spawn(move || serve(stream, &behaviour, number));
    }
}

fn serve(mut stream: UnixStream, behaviour: &str, number: usize) {
    for request in 0.. {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0]);
        }
        if behaviour == "one" && request == 1 {
            // The second request on a connection meets its end.
            return;
        }
        let body = format!("{number} {request}");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn start(driver: &str, behaviour: &str, settings: &[(&str, &str)]) -> Watchdog {
    let own = std::env::current_exe().expect("a path");
    let command = format!("'{}' --exact the_function --nocapture", own.display());
    let common = [
        ("fprocess", command.as_str()),
        ("mode", "http"),
        ("http_upstream_url", "unix:f"),
        (BEHAVIOUR, behaviour),
    ];
    Watchdog::start(driver, &[&common, settings].concat())
}

fn pid(watchdog: &Watchdog) -> i32 {
    pids(&watchdog.dir().join("pid"), 1)[0]
}

fn ask(client: &mut Client, method: &str) -> (u16, String) {
    client.send_raw(format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    let answer = client.answer();
    (answer.status, answer.text().to_owned())
}

#[test]
fn it_is_ready_when_its_function_listens_and_requests_wait_for_that() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "gate", &[]);
        pid(&watchdog);
        for path in ["/_/health", "/_/ready"] {
            let answer = watchdog.get(path);
            assert_eq!(answer.status, 503);
            assert!(
                answer.text().contains("does not listen at unix:"),
                "{}",
                answer.text()
            );
        }
        let mut early = watchdog.connect();
        early.send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        fs::write(watchdog.dir().join("gate"), "").unwrap();
        assert_eq!(early.answer().status, 200);
        assert_eq!(watchdog.get("/_/health").status, 200);
        assert_eq!(watchdog.get("/_/ready").status, 200);
        // It is down: not healthy, until the next one listens.
        fs::remove_file(watchdog.dir().join("gate")).unwrap();
        process::kill_group(pid(&watchdog), Signal::KILL).unwrap();
        wait_until("that is noticed", || {
            watchdog.get("/_/health").status == 503
        });
        fs::write(watchdog.dir().join("gate"), "").unwrap();
        assert_eq!(watchdog.get("/").status, 200);
        assert!(
            watchdog
                .log()
                .contains("the function went down (ended by SIGKILL); it is started again at once")
        );
    });
}

#[test]
fn a_request_waits_no_longer_than_its_limits() {
    on_each_driver(|driver| {
        let settings = [("start_timeout", "300ms"), ("max_inflight", "1")];
        let watchdog = start(driver, "gate", &settings);
        let answer = watchdog.call("GET / HTTP/1.1\r\nHost: x\r\nX-Timeout: 50ms\r\n", "");
        assert_eq!(answer.status, 504);
        let said = answer.text();
        assert!(
            said.contains("did not listen at unix:") && said.contains("X-Timeout header (50ms)"),
            "{said}"
        );
        let answer = watchdog.get("/");
        assert_eq!(answer.status, 503);
        let said = answer.text();
        assert!(said.contains("within start_timeout (300ms)"), "{said}");
        wait_until("it was killed for it", || {
            watchdog
                .log()
                .contains("within start_timeout (300ms) and was killed; it is started again")
        });
    });
}

#[test]
fn a_function_that_ends_at_once_is_started_again_later_and_later() {
    let settings = [
        ("fprocess", "sh -c 'echo no; exit 3'"),
        ("mode", "http"),
        ("start_timeout", "400ms"),
    ];
    let watchdog = Watchdog::start("epoll", &settings);
    let answer = watchdog.get("/");
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .text()
            .contains("(before that, the function went down (exit code 3))"),
        "{}",
        answer.text()
    );
    let log = watchdog.log();
    for line in [
        "stdout: no",
        "started again at once",
        "started again in 100ms",
        "started again in 200ms",
    ] {
        assert!(log.contains(line), "no {line} in {log}");
    }
}

#[test]
fn what_cannot_be_started_is_told_at_once() {
    let missing = Watchdog::start("epoll", &[("fprocess", "/no/such"), ("mode", "http")]);
    wait_until("it has been tried", || {
        missing.log().contains("it is started again")
    });
    let answer = missing.get("/");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("/no/such"), "{}", answer.text());
    // Somebody else's server would be taken for the function.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    let settings = [
        ("fprocess", "sleep 1000"),
        ("mode", "http"),
        ("upstream_url", url.as_str()),
    ];
    let taken = Watchdog::start("epoll", &settings);
    wait_until("it has been tried", || {
        taken.log().contains("it is started again")
    });
    for path in ["/", "/_/health"] {
        let answer = taken.get(path);
        assert_eq!(answer.status, 503);
        assert!(
            answer
                .text()
                .starts_with("another program listens at 127.0.0.1:"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(taken.children(), "");
}

#[test]
fn connections_are_used_again_and_a_dead_one_costs_only_what_may_not_be_repeated() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "all", &[]);
        let mut client = watchdog.connect();
        let first = ask(&mut client, "GET").1;
        let number = first.split(' ').next().unwrap();
        for request in 1..5 {
            assert_eq!(
                ask(&mut client, "POST"),
                (200, format!("{number} {request}"))
            );
        }
        drop(watchdog);
        let watchdog = start(driver, "one", &[]);
        let mut client = watchdog.connect();
        assert_eq!(ask(&mut client, "GET").0, 200);
        // Sent again on a new connection.
        let (status, text) = ask(&mut client, "GET");
        assert_eq!(status, 200);
        assert!(text.ends_with(" 0"), "{text}");
        // It may have been executed.
        let (status, text) = ask(&mut client, "POST");
        assert_eq!(status, 502);
        assert!(
            text.contains("broke the connection off before it answered"),
            "{text}"
        );
        assert_eq!(ask(&mut client, "POST").0, 200);
    });
}

#[test]
fn a_shutdown_ends_the_function_after_the_last_call() {
    on_each_driver(|driver| {
        let mut watchdog = start(driver, "gate", &[]);
        let function = pid(&watchdog);
        let mut waiting = watchdog.connect();
        waiting.send_raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let health = || watchdog.get("/_/health").status;
        assert_eq!(health(), 503);
        watchdog.child.signal(Signal::TERM).unwrap();
        wait_until("it drains", || !watchdog.lock_file().exists());
        assert!(is_alive(function));
        fs::write(watchdog.dir().join("gate"), "").unwrap();
        let answer = waiting.answer();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (200, Some("close"))
        );
        drop(waiting);
        assert_eq!(watchdog.wait(), Exit::Code(0));
        assert!(!is_alive(function));
        assert!(
            watchdog
                .log()
                .contains("The function ended: ended by SIGTERM")
        );
    });
}

/// Ignores SIGTERM, and has a child that does as well.
const STUBBORN: &str = "sh -c 'trap \"\" TERM; sleep 1000 & echo $! > $TMPDIR/p1; echo $$ > $TMPDIR/p2; while :; do sleep 1000; done'";

#[test]
fn a_function_that_ignores_sigterm_is_killed_with_its_family() {
    let settings = [
        ("fprocess", STUBBORN),
        ("mode", "http"),
        ("http_upstream_url", "unix:f"),
    ];
    let mut watchdog = Watchdog::start("epoll", &settings);
    let family = ["p1", "p2"].map(|name| pids(&watchdog.dir().join(name), 1)[0]);
    watchdog.child.signal(Signal::TERM).unwrap();
    assert_eq!(watchdog.wait(), Exit::Code(0));
    wait_until("the family has ended", || {
        !family.iter().any(|pid| is_alive(*pid))
    });
    assert!(
        watchdog
            .log()
            .contains("did not end within 4s of SIGTERM and is killed")
    );
}

#[test]
fn the_end_of_the_lifeline_or_a_second_sigterm_ends_the_function_at_once() {
    on_each_driver(|driver| {
        let settings = [
            ("fprocess", STUBBORN),
            ("mode", "http"),
            ("http_upstream_url", "unix:f"),
        ];
        let (lifeline, gateway) = process::pipe().unwrap();
        let mut watchdog = Watchdog::start_with(driver, &settings, Some(lifeline));
        let family = ["p1", "p2"].map(|name| pids(&watchdog.dir().join(name), 1)[0]);
        drop(gateway);
        assert_eq!(watchdog.wait(), Exit::Code(0));
        wait_until("the family has ended", || {
            !family.iter().any(|pid| is_alive(*pid))
        });
        let mut watchdog = Watchdog::start(driver, &settings);
        let family = ["p1", "p2"].map(|name| pids(&watchdog.dir().join(name), 1)[0]);
        watchdog.child.signal(Signal::TERM).unwrap();
        wait_until("the first one is seen", || !watchdog.lock_file().exists());
        watchdog.child.signal(Signal::TERM).unwrap();
        assert_eq!(watchdog.wait(), Exit::Code(143));
        wait_until("the family has ended", || {
            !family.iter().any(|pid| is_alive(*pid))
        });
    });
}

#[test]
fn a_helper_of_the_function_lives_as_long_as_it() {
    // The helper loses its parent and is adopted by the watchdog; looks for orphans leave it alone.
    let script = "sh -c '(setsid sh -c \"echo \\$\\$ > $TMPDIR/p1; exec sleep 1000\" &); echo $$ > $TMPDIR/p2; exec sleep 1000'";
    let settings = [
        ("fprocess", script),
        ("mode", "http"),
        ("http_upstream_url", "unix:f"),
    ];
    let watchdog = Watchdog::start("epoll", &settings);
    let [helper, function] = ["p1", "p2"].map(|name| pids(&watchdog.dir().join(name), 1)[0]);
    wait_until("both are children", || {
        watchdog.children().split(' ').count() == 2
    });
    process::kill_group(function, Signal::KILL).unwrap();
    wait_until("the helper has ended with it", || !is_alive(helper));
}
