//! Time limits, the limit on calls, and readiness.

mod support;

use support::{Client, Watchdog, is_alive, on_each_driver, pids, wait_until};

/// A function that leaves a process in its group, one in a group of its own, and one in a session
/// of its own, writes down all ids, and then waits for ever.
const FAMILY: &str = "bash -c 'set -m; sleep 1000 & echo $! > $TMPDIR/p1; set +m; sleep 1000 & echo $! > $TMPDIR/p2; \
                      setsid sh -c \"echo \\$\\$ > $TMPDIR/p3; sleep 1000\" & echo $$ > $TMPDIR/p4; wait'";

fn family_of(watchdog: &Watchdog) -> Vec<i32> {
    ["p1", "p2", "p3", "p4"]
        .iter()
        .flat_map(|name| pids(&watchdog.dir().join(name), 1))
        .collect()
}

fn assert_ended(watchdog: &Watchdog, family: &[i32]) {
    wait_until("the whole family has ended", || {
        !family.iter().any(|pid| is_alive(*pid))
    });
    wait_until("no zombie is left", || watchdog.children().is_empty());
}

#[test]
fn exec_timeout_ends_the_whole_family_and_says_what_to_do() {
    on_each_driver(|driver| {
        let settings = [("fprocess", FAMILY), ("exec_timeout", "500ms")];
        let watchdog = Watchdog::start(driver, &settings);
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        let family = family_of(&watchdog);
        let answer = client.answer();
        assert_eq!(answer.status, 504);
        let want = "the function did not end within exec_timeout (500ms) and was killed; raise exec_timeout, or make the function faster\n";
        assert_eq!(answer.text(), want);
        assert_ended(&watchdog, &family);
        // The connection goes on: the request had come whole.
        client.send_raw(b"GET /_/health HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    });
}

#[test]
fn classic_mode_answers_408() {
    let settings = [
        ("fprocess", "sleep 1000"),
        ("exec_timeout", "50ms"),
        ("mode", "classic"),
    ];
    assert_eq!(Watchdog::start("epoll", &settings).post("").status, 408);
}

#[test]
fn write_timeout_bounds_the_whole_call() {
    let settings = [("fprocess", "sleep 1000"), ("write_timeout", "50ms")];
    let answer = Watchdog::start("epoll", &settings).post("");
    assert_eq!(answer.status, 504);
    assert!(
        answer.text().contains("write_timeout (50ms)"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_limit_in_the_middle_of_the_answer_breaks_it_off() {
    on_each_driver(|driver| {
        let settings = [
            ("fprocess", "sh -c 'head -c 100000 /dev/zero; sleep 1000'"),
            ("exec_timeout", "300ms"),
        ];
        let watchdog = Watchdog::start(driver, &settings);
        let answer = watchdog.post("");
        assert_eq!(
            (answer.status, answer.body.len(), answer.is_whole),
            (200, 100_000, false)
        );
        wait_until("no process is left", || watchdog.children().is_empty());
    });
}

#[test]
fn a_request_can_lower_its_limit_but_not_raise_it() {
    let settings = [("fprocess", "sleep 1000"), ("exec_timeout", "100ms")];
    let watchdog = Watchdog::start("epoll", &settings);
    let with = |limit: &str| {
        watchdog.call(
            &format!("POST / HTTP/1.1\r\nHost: x\r\nX-Timeout: {limit}\r\n"),
            "",
        )
    };
    let lowered = with("50ms");
    assert_eq!(lowered.status, 504);
    assert!(
        lowered.text().contains("X-Timeout header (50ms)"),
        "{}",
        lowered.text()
    );
    let raised = with("1h");
    assert!(
        raised.text().contains("exec_timeout (100ms)"),
        "{}",
        raised.text()
    );
    let wrong = with("soon");
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.text().contains("X-Timeout is `soon`"),
        "{}",
        wrong.text()
    );
}

#[test]
fn a_request_must_arrive_in_time() {
    on_each_driver(|driver| {
        let settings = [("fprocess", "cat"), ("read_timeout", "100ms")];
        let watchdog = Watchdog::start(driver, &settings);
        for text in [
            "POST / HTTP/1.1\r\nHo",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        ] {
            let mut client = watchdog.connect();
            client.send_raw(text.as_bytes());
            let answer = client.answer();
            assert_eq!(answer.status, 408, "{text}");
            assert!(
                answer.text().contains("read_timeout (100ms)"),
                "{}",
                answer.text()
            );
        }
        wait_until("no process is left", || watchdog.children().is_empty());
    });
}

#[test]
fn time_that_the_program_takes_to_read_is_not_the_clients() {
    // 300 kB do not fit into the pipe; the program reads them later than read_timeout.
    let settings = [
        ("fprocess", "sh -c 'sleep 0.4; wc -c'"),
        ("read_timeout", "200ms"),
    ];
    let watchdog = Watchdog::start("epoll", &settings);
    let answer = watchdog.post(vec![0; 300_000]);
    assert_eq!((answer.status, answer.text()), (200, "300000\n"));
}

#[test]
fn a_client_that_leaves_ends_its_call() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", FAMILY)]);
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"body");
        let family = family_of(&watchdog);
        drop(client);
        assert_ended(&watchdog, &family);
        wait_until("it is logged", || {
            watchdog.log().contains("call ended: the client went away")
        });
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_or_its_answer_ends_its_call() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(
            driver,
            &[("fprocess", "sh -c 'echo $$ > $TMPDIR/p1; cat /dev/zero'")],
        );
        let mut client = watchdog.connect();
        client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
        assert_eq!(client.head().status, 200);
        drop(client);
        assert_ended(&watchdog, &pids(&watchdog.dir().join("p1"), 1));
    });
}

/// Steps: a program that acts on the end of its input; twenty uploads that break off; none may
/// look complete to it.
#[test]
fn a_body_that_breaks_off_is_never_taken_for_a_whole_one() {
    on_each_driver(|driver| {
        let command = "sh -c 'echo $$ >> $TMPDIR/p1; cat > /dev/null; echo > $TMPDIR/done'";
        let watchdog = Watchdog::start(driver, &[("fprocess", command)]);
        for count in 1..=20 {
            let client = waiting_call(&watchdog);
            let started = pids(&watchdog.dir().join("p1"), count);
            drop(client);
            assert_ended(&watchdog, &started);
            assert!(!watchdog.dir().join("done").exists(), "upload {count}");
        }
    });
}

/// Starts a call that waits until its input ends.
fn waiting_call(watchdog: &Watchdog) -> Client {
    let mut client = watchdog.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell");
    client
}

#[test]
fn calls_above_the_limit_are_refused_at_once() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat"), ("max_inflight", "2")]);
        assert_eq!(watchdog.get("/_/ready").status, 200);
        let mut running = [waiting_call(&watchdog), waiting_call(&watchdog)];
        wait_until("both run", || watchdog.children().split(' ').count() == 2);
        let mut third = watchdog.connect();
        for body in ["small", "again"] {
            third.send("POST / HTTP/1.1\r\nHost: x\r\n", body.as_bytes());
            let answer = third.answer();
            assert_eq!(
                (answer.status, answer.header("retry-after")),
                (429, Some("1"))
            );
            let want = "max_inflight is reached: 2 calls are running; try again later, or raise max_inflight\n";
            assert_eq!(answer.text(), want);
        }
        assert_eq!(watchdog.get("/_/ready").status, 429);
        assert_eq!(watchdog.get("/_/health").status, 200);
        for client in &mut running {
            client.send_raw(b"o");
            assert_eq!(client.answer().text(), "hello");
        }
        third.send("POST / HTTP/1.1\r\nHost: x\r\n", b"now");
        assert_eq!(third.answer().text(), "now");
        assert_eq!(watchdog.get("/_/ready").status, 200);
    });
}

#[test]
fn health_follows_the_lock_file() {
    let watchdog = Watchdog::start("epoll", &[("fprocess", "cat")]);
    assert_eq!(watchdog.get("/_/health").status, 200);
    std::fs::remove_file(watchdog.lock_file()).unwrap();
    assert_eq!(watchdog.get("/_/health").status, 503);
    assert_eq!(watchdog.get("/_/ready").status, 503);
    // Calls that come in spite of that are served.
    assert_eq!(watchdog.post("x").status, 200);
    let without = Watchdog::start("epoll", &[("fprocess", "cat"), ("suppress_lock", "true")]);
    assert_eq!(without.get("/_/health").status, 200);
    assert!(!without.lock_file().exists());
}

#[test]
fn a_missing_program_is_told_at_once_and_found_when_it_comes() {
    on_each_driver(|driver| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later");
        let watchdog = Watchdog::start(driver, &[("fprocess", path.to_str().unwrap())]);
        let answer = watchdog.post("x");
        assert_eq!(answer.status, 500);
        assert!(
            answer.text().starts_with("there is no program `"),
            "{}",
            answer.text()
        );
        assert_eq!(watchdog.get("/_/ready").status, 503);
        assert_eq!(watchdog.get("/_/health").status, 200);
        let log = watchdog.log();
        assert!(log.contains("every call will get status 500"), "{log}");
        std::os::unix::fs::symlink("/bin/cat", &path).unwrap();
        assert_eq!(watchdog.get("/_/ready").status, 200);
        assert_eq!(watchdog.post("x").text(), "x");
        // And when it goes again, that is told too.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watchdog.post("x").status, 500);
        assert_eq!(watchdog.get("/_/ready").status, 503);
    });
}
