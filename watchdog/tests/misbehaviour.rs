//! Programs that do what they should not, and a system that has nothing left, in each of the modes with
//! a process per request.

mod support;

use std::time::Duration;

use process::Signal;
use support::{MODES, Watchdog, hold_for, in_each_mode, is_alive, noise, pids, wait_until};

fn descriptors(watchdog: &Watchdog) -> usize {
    let folder = format!("/proc/{}/fd", watchdog.child.pid());
    std::fs::read_dir(folder).expect("it runs").count()
}

#[test]
fn a_large_body_that_is_never_read_is_answered_all_the_same() {
    in_each_mode(|start| {
        let watchdog = start("sh -c 'exec <&-; sleep 0.05; echo deaf'", &[]);
        let answer = watchdog.connect().exchange(&noise(3 << 20));
        assert_eq!((answer.status, answer.text()), (200, "deaf\n"));
        let open = start("sh -c 'sleep 0.05; echo deaf'", &[]);
        let mut client = open.connect();
        client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
        // As much as is taken: the answer may come before the body is through.
        let mut writer = client.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            std::io::Write::write_all(&mut writer, &noise(3_000_000)).ok();
        });
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (200, "deaf\n"));
        drop(client);
        sender.join().unwrap();
    });
}

#[test]
fn one_that_closes_its_output_and_runs_on_is_waited_for() {
    in_each_mode(|start| {
        let script =
            "sh -c 'echo out; exec >&- 2>&-; sleep 0.3; echo x > $TMPDIR/ran; exit $STATUS'";
        for code in ["0", "1"] {
            let watchdog = start(script, &[("STATUS", code)]);
            let answer = watchdog.post("");
            assert!(watchdog.dir().join("ran").exists());
            assert_eq!(answer.text(), "out\n");
            match (code, answer.status) {
                ("0", 200) | ("1", 500) => assert!(answer.is_whole),
                // Streamed: the status is gone, so the answer has no end.
                ("1", 200) => assert!(!answer.is_whole),
                other => panic!("{other:?}"),
            }
        }
        let never = start(
            "sh -c 'exec >&- 2>&-; sleep 1000'",
            &[("exec_timeout", "200ms")],
        );
        assert_eq!(never.post("").status, 504);
        wait_until("no process is left", || never.children().is_empty());
    });
}

#[test]
fn a_grandchild_that_holds_the_output_does_not_hold_the_call() {
    in_each_mode(|start| {
        let script = "sh -c 'setsid sleep 1000 & echo $! > $TMPDIR/p1; echo done'";
        let watchdog = start(script, &[]);
        let answer = watchdog.post("");
        assert_eq!((answer.status, answer.text()), (200, "done\n"));
        assert!(answer.is_whole);
        let pid = pids(&watchdog.dir().join("p1"), 1)[0];
        wait_until("it has ended", || !is_alive(pid));
        wait_until("no zombie is left", || watchdog.children().is_empty());
    });
}

#[test]
fn one_that_ignores_sigterm_is_ended_with_its_family() {
    in_each_mode(|start| {
        let script = "sh -c 'trap \"\" TERM INT HUP; (setsid sh -c \"trap \\\"\\\" TERM; while :; do sleep 1; done\" & echo $! > $TMPDIR/p1); \
                      while :; do sleep 1; done'";
        let watchdog = start(script, &[("exec_timeout", "300ms")]);
        let answer = watchdog.post("");
        assert_eq!(answer.status, 504);
        let pid = pids(&watchdog.dir().join("p1"), 1)[0];
        wait_until("it has ended", || !is_alive(pid));
        wait_until("no zombie is left", || watchdog.children().is_empty());
        // Nor can it hold up a shutdown.
        let settings = [("exec_timeout", "0"), ("write_timeout", "300ms")];
        let mut watchdog = start(script, &settings);
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        let pid = pids(&watchdog.dir().join("p1"), 1)[0];
        watchdog.child.signal(Signal::TERM).unwrap();
        watchdog.wait();
        wait_until("it has ended", || !is_alive(pid));
    });
}

/// 10,000 with `RINGWAY_TEST_PROCESSES=10000`; fewer by default, since four other suites run beside it.
#[test]
fn thousands_of_processes_in_a_row_leave_nothing() {
    let count = std::env::var("RINGWAY_TEST_PROCESSES");
    let count: usize = count.map_or(500, |text| text.parse().expect("a number"));
    for (driver, mode, prefork) in [
        ("epoll", "fork", "0"),
        ("auto", "fork", "0"),
        ("epoll", "streaming", "0"),
        ("epoll", "serializing", "4"),
    ] {
        let settings = [
            ("fprocess", "cat"),
            ("mode", mode),
            ("prefork", prefork),
            ("cgi_headers", "false"),
            ("combine_output", "false"),
        ];
        let watchdog = Watchdog::start(driver, &settings);
        let waiting: usize = prefork.parse().unwrap();
        let is_calm = || {
            let children = watchdog.children();
            children.split_ascii_whitespace().count() == waiting
        };
        let mut client = watchdog.connect();
        let mut post = |body: &[u8]| {
            client.send("POST / HTTP/1.1\r\nHost: x\r\n", body);
            assert_eq!(client.answer().body, body);
        };
        post(b"warm");
        wait_until("only those who wait are there", is_calm);
        let before = descriptors(&watchdog);
        for number in 0..count {
            post(&vec![b'x'; number * 37 % 9000]);
        }
        wait_until("only those who wait are there", is_calm);
        wait_until("descriptors are closed", || {
            descriptors(&watchdog) <= before
        });
    }
}

/// Goal: where there is no memory for a process, the caller is told so, and the watchdog lives.
/// Steps: a call, so that all is warm; no page more may be mapped; a call; the limit is lifted; a call.
#[test]
fn no_memory_for_a_process_is_503_and_passes() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    for mode in MODES {
        let settings = [("fprocess", "cat"), ("mode", mode)];
        let watchdog = Watchdog::start("epoll", &settings);
        let pid = Pid::from_raw(watchdog.child.pid()).unwrap();
        let limit = |current| {
            let limits = Rlimit {
                current,
                maximum: None,
            };
            prlimit(Some(pid), Resource::As, limits).unwrap();
        };
        let mut client = watchdog.connect();
        let mut post = || {
            client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"hello");
            client.answer()
        };
        assert_eq!(post().status, 200);
        limit(Some(4096));
        let answer = post();
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("1")),
            "{mode}"
        );
        assert!(answer.text().contains("memory"), "{}", answer.text());
        limit(None);
        assert_eq!(post().text(), "hello");
    }
}

#[test]
fn no_descriptor_for_a_pipe_is_503_and_passes() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    for mode in MODES {
        let settings = [("fprocess", "cat"), ("mode", mode)];
        let watchdog = Watchdog::start("epoll", &settings);
        let pid = Pid::from_raw(watchdog.child.pid()).unwrap();
        let limit = |current| {
            let limits = Rlimit {
                current: Some(current),
                maximum: Some(4096),
            };
            prlimit(Some(pid), Resource::Nofile, limits).unwrap();
        };
        let mut client = watchdog.connect();
        let mut post = || {
            client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"hello");
            client.answer()
        };
        assert_eq!(post().status, 200);
        let open = descriptors(&watchdog);
        // From no pipe at all to all but the handle of the process.
        for spare in 0..8 {
            limit((open + spare) as u64);
            let answer = post();
            if answer.status == 200 {
                break;
            }
            assert_eq!(answer.status, 503, "{mode}, {spare}: {}", answer.text());
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert!(answer.text().contains("descriptor"), "{}", answer.text());
        }
        limit(1024);
        assert_eq!(post().text(), "hello");
        wait_until("nothing is left", || {
            watchdog.children().is_empty() && descriptors(&watchdog) <= open
        });
    }
}

#[test]
fn output_in_single_bytes_is_put_together() {
    in_each_mode(|start| {
        let script = "sh -c 'for i in 1 2 3 4 5 6 7 8 9; do printf $i; done'";
        assert_eq!(start(script, &[]).post("").text(), "123456789");
    });
}

#[test]
fn a_client_that_does_not_read_holds_only_its_own_call() {
    in_each_mode(|start| {
        let settings = [("write_timeout", "2s")];
        let watchdog = start("head -c 3000000 /dev/zero", &settings);
        let mut deaf = watchdog.connect();
        deaf.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        hold_for(Duration::from_millis(50));
        let answer = watchdog.post("");
        assert_eq!((answer.status, answer.body.len()), (200, 3_000_000));
        // The limit ends the other one, whose answer has no end then; unless it had ended before, and
        // all of its output is held.
        wait_until("no process is left", || watchdog.children().is_empty());
        let answer = deaf.answer();
        let is_held = answer.header("content-length").is_some();
        assert_eq!(answer.is_whole, is_held, "{}", answer.body.len());
    });
}
