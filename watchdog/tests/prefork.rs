//! `prefork`: processes that are there before their requests.

mod support;

use std::time::Duration;

use process::{Exit, Signal};
use support::{Client, Watchdog, hold_for, is_alive, noise, on_each_driver, wait_until};

fn start(driver: &str, fprocess: &str, settings: &[(&str, &str)]) -> Watchdog {
    let own = [
        ("fprocess", fprocess),
        ("prefork", "2"),
        ("cgi_headers", "false"),
    ];
    Watchdog::start(driver, &[&own, settings].concat())
}

/// The children of the watchdog.
fn pids(watchdog: &Watchdog) -> Vec<i32> {
    let children = watchdog.children();
    let pids = children.split_ascii_whitespace();
    pids.map(|pid| pid.parse().expect("a number")).collect()
}

fn wait_for_shelf(watchdog: &Watchdog) -> Vec<i32> {
    let mut found = Vec::new();
    wait_until("the shelf is full", || {
        found = pids(watchdog);
        found.len() == 2 && found.iter().all(|pid| is_alive(*pid))
    });
    found
}

fn post(client: &mut Client, body: &[u8]) -> support::Answer {
    client.send("POST / HTTP/1.1\r\nHost: x\r\n", body);
    client.answer()
}

#[test]
fn every_request_gets_a_process_of_its_own_that_was_there_before() {
    on_each_driver(|driver| {
        for mode in ["fork", "classic", "serializing", "streaming"] {
            for combine_output in ["true", "false"] {
                let settings = [("mode", mode), ("combine_output", combine_output)];
                let watchdog = start(driver, "sh -c 'cat; echo $$'", &settings);
                let mut client = watchdog.connect();
                let mut seen = Vec::new();
                for count in 0..6 {
                    let waiting = wait_for_shelf(&watchdog);
                    let body = noise(count * 3000);
                    let answer = post(&mut client, &body);
                    assert_eq!((answer.status, answer.is_whole), (200, true));
                    let (own, pid) = answer.body.split_at(body.len());
                    assert!(own == body, "{mode}, {count}");
                    let pid: i32 = std::str::from_utf8(pid).unwrap().trim().parse().unwrap();
                    assert!(waiting.contains(&pid) && !seen.contains(&pid));
                    seen.push(pid);
                }
                assert!(!watchdog.log().contains("prefork"), "{}", watchdog.log());
            }
        }
    });
}

#[test]
fn more_calls_than_wait_are_served_by_plain_starts() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "cat", &[]);
        wait_for_shelf(&watchdog);
        let mut clients: Vec<_> = (0..8).map(|_| watchdog.connect()).collect();
        for client in &mut clients {
            client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell");
        }
        // Long calls do not keep the shelf empty.
        wait_until("all run, and the shelf is full again", || {
            pids(&watchdog).len() == 10
        });
        for client in &mut clients {
            client.send_raw(b"o");
            assert_eq!(client.answer().text(), "hello");
        }
        wait_for_shelf(&watchdog);
    });
}

#[test]
fn a_program_that_does_not_wait_is_recognised_once() {
    on_each_driver(|driver| {
        for (fprocess, why, answer) in [
            ("sh -c 'echo early; cat'", "wrote", "early\nx"),
            ("true", "ended (exit code 0)", ""),
            ("sh -c 'echo early'", "wrote", "early\n"),
        ] {
            let watchdog = start(driver, fprocess, &[]);
            // Such a call may come before the program has done anything; then it is served as usual.
            wait_until("it is recognised", || {
                assert_eq!(watchdog.post("x").text(), answer);
                watchdog.log().contains("prefork is switched off")
            });
            for _ in 0..3 {
                assert_eq!(watchdog.post("x").text(), answer);
            }
            wait_until("nobody waits", || watchdog.children().is_empty());
            let log = watchdog.log();
            assert_eq!(log.matches("prefork").count(), 1, "{log}");
            let line = format!("prefork is switched off: the program {why} before it was given");
            assert!(log.contains(&line), "{log}");
        }
    });
}

#[test]
fn messages_on_standard_error_do_not_matter_if_they_go_to_the_log() {
    let settings = [("combine_output", "false")];
    let watchdog = start("epoll", "sh -c 'echo started >&2; cat'", &settings);
    for _ in 0..3 {
        wait_for_shelf(&watchdog);
        assert_eq!(watchdog.post("x").text(), "x");
    }
    let log = watchdog.log();
    assert!(
        log.contains("stderr: started") && !log.contains("prefork"),
        "{log}"
    );
}

#[test]
fn one_that_was_killed_is_replaced() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "cat", &[]);
        for _ in 0..3 {
            for pid in wait_for_shelf(&watchdog) {
                let handle = rustix::process::Pid::from_raw(pid).unwrap();
                rustix::process::kill_process(handle, rustix::process::Signal::KILL).unwrap();
                wait_until("it has ended", || !is_alive(pid));
            }
            assert_eq!(watchdog.post("x").text(), "x");
            wait_for_shelf(&watchdog);
        }
        assert!(!watchdog.log().contains("prefork"), "{}", watchdog.log());
    });
}

#[test]
fn a_program_that_closes_its_output_is_given_up_in_the_end() {
    let watchdog = start("epoll", "sh -c 'exec >&- 2>&-; cat 3>/dev/null >&3'", &[]);
    wait_until("it is given up", || {
        assert_eq!(watchdog.post("x").status, 200);
        watchdog.log().contains("always closed its output")
    });
    wait_until("nobody waits", || watchdog.children().is_empty());
}

#[test]
fn a_shutdown_ends_those_who_wait_without_letting_them_see_a_request() {
    on_each_driver(|driver| {
        let mut watchdog = start(driver, "sh -c 'cat; echo x >> $TMPDIR/ran'", &[]);
        assert_eq!(watchdog.post("x").status, 200);
        let waiting = wait_for_shelf(&watchdog);
        let mut running = watchdog.connect();
        running.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell");
        wait_until("it runs", || pids(&watchdog).len() == 3);
        watchdog.child.signal(Signal::TERM).unwrap();
        // Of those who waited before, one serves the call that runs.
        wait_until("those who wait have ended", || pids(&watchdog).len() == 1);
        running.send_raw(b"o");
        assert_eq!(running.answer().text(), "hello");
        assert_eq!(watchdog.wait(), Exit::Code(0));
        wait_until("all have ended", || {
            !waiting.iter().any(|pid| is_alive(*pid))
        });
        let ran = std::fs::read_to_string(watchdog.dir().join("ran")).unwrap();
        assert_eq!(ran, "x\nx\n");
    });
}

#[test]
fn those_who_wait_count_for_no_limit() {
    let settings = [("max_inflight", "1"), ("exec_timeout", "200ms")];
    let watchdog = start("epoll", "cat", &settings);
    let waiting = wait_for_shelf(&watchdog);
    hold_for(Duration::from_millis(1500));
    assert_eq!(
        wait_for_shelf(&watchdog),
        waiting,
        "no sweep and no limit ends them"
    );
    assert_eq!(watchdog.get("/_/ready").status, 200);
    assert_eq!(watchdog.post("x").text(), "x");
}

#[test]
fn what_a_call_leaves_behind_is_ended_although_others_wait() {
    // One that waits has a helper without a parent, which is left alone.
    let script = "sh -c '(setsid sh -c \"echo \\$\\$ >> $TMPDIR/left; exec sleep 1000\" &); \
                  (sleep 1001 & echo $! >> $TMPDIR/helpers); cat'";
    let watchdog = start("epoll", script, &[]);
    wait_until("two are ready", || {
        let lines = |name| {
            let text = std::fs::read_to_string(watchdog.dir().join(name));
            text.unwrap_or_default().lines().count()
        };
        lines("left") == 2 && lines("helpers") == 2
    });
    assert_eq!(watchdog.post("x").text(), "x");
    let helpers = support::pids(&watchdog.dir().join("helpers"), 3);
    let left = support::pids(&watchdog.dir().join("left"), 3);
    // The first to come is the first to serve.
    wait_until("what was left behind is ended", || {
        !left.iter().any(|pid| is_alive(*pid)) && !is_alive(helpers[0])
    });
    assert!(is_alive(helpers[1]) && is_alive(helpers[2]));
}

#[test]
fn a_missing_program_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("later");
    let watchdog = start("epoll", path.to_str().unwrap(), &[]);
    assert_eq!(watchdog.post("x").status, 500);
    std::os::unix::fs::symlink("/bin/cat", &path).unwrap();
    assert_eq!(watchdog.post("x").text(), "x");
    wait_for_shelf(&watchdog);
    let log = watchdog.log();
    assert_eq!(log.matches("trying again every second").count(), 1, "{log}");
}
