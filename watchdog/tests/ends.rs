//! What is left behind (nothing), and how a watchdog starts and ends.

mod support;

use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};

use process::{Command, Exit, Signal, Stdio};
use support::{Client, PATIENCE, Watchdog, is_alive, on_each_driver, pids, wait_until};

#[test]
fn a_process_that_holds_the_output_does_not_hold_the_call() {
    on_each_driver(|driver| {
        // One in the group, which ends with the call, and one that left it.
        let script = "sh -c 'sleep 1000 & echo $! > $TMPDIR/p1; setsid sh -c \"echo \\$\\$ > $TMPDIR/p2; exec sleep 1000\" & \
                      until test -s $TMPDIR/p2; do :; done; echo done'";
        let watchdog = Watchdog::start(driver, &[("fprocess", script)]);
        let answer = watchdog.post("");
        assert_eq!((answer.status, answer.text()), (200, "done\n"));
        for name in ["p1", "p2"] {
            let pid = pids(&watchdog.dir().join(name), 1)[0];
            wait_until("it has ended", || !is_alive(pid));
        }
        wait_until("no zombie is left", || watchdog.children().is_empty());
    });
}

#[test]
fn output_that_comes_just_after_the_end_is_not_lost() {
    // The shell ends at once; its filter goes on for a moment. On a busy machine that moment may get
    // longer than what it is given, and then its output is rightly left out: in time once is enough.
    let watchdog = Watchdog::start(
        "epoll",
        &[(
            "fprocess",
            "bash -c 'exec > >(sleep 0.05; cat); echo filtered'",
        )],
    );
    wait_until("the filter is in time", || {
        let answer = watchdog.post("");
        assert!(["", "filtered\n"].contains(&answer.text()), "{answer:?}");
        answer.text() == "filtered\n"
    });
}

#[test]
fn a_helper_that_lost_its_parent_lives_as_long_as_its_call() {
    on_each_driver(|driver| {
        // The helper is adopted by the watchdog while the call waits for what it will write.
        let script = "sh -c '(setsid sh -c \"sleep 2.5; echo helped > $TMPDIR/result\" &); \
                      until test -s $TMPDIR/result; do sleep 0.05; done; cat $TMPDIR/result'";
        let watchdog = Watchdog::start(driver, &[("fprocess", script)]);
        assert_eq!(watchdog.post("").text(), "helped\n");
        wait_until("no zombie is left", || watchdog.children().is_empty());
    });
}

#[test]
fn orphans_that_end_are_reaped_while_calls_go_on() {
    let script = "sh -c '(setsid true &); (setsid true &); cat'";
    let watchdog = Watchdog::start("epoll", &[("fprocess", script)]);
    let mut client = watchdog.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n");
    wait_until("the orphans are adopted or gone", || {
        !watchdog.children().is_empty()
    });
    wait_until("only the function is left", || {
        watchdog.children().split(' ').count() == 1
    });
    client.send_raw(b"x");
    assert_eq!(client.answer().text(), "x");
}

#[test]
fn many_calls_leave_no_process_and_no_descriptor() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat"), ("combine_output", "false")]);
        let descriptors = || {
            std::fs::read_dir(format!("/proc/{}/fd", watchdog.child.pid()))
                .unwrap()
                .count()
        };
        watchdog.post("warm");
        wait_until("that connection is closed", || {
            descriptors() > 0 && watchdog.children().is_empty()
        });
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"x");
        client.answer();
        let before = descriptors();
        for count in 0..300 {
            let body = vec![b'x'; count * 50];
            client.send("POST / HTTP/1.1\r\nHost: x\r\n", &body);
            assert_eq!(client.answer().body, body);
        }
        assert_eq!(watchdog.children(), "");
        wait_until("descriptors are closed", || descriptors() <= before);
    });
}

#[test]
fn many_clients_at_once_are_all_served() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        std::thread::scope(|scope| {
            for client in 0..50 {
                let watchdog = &watchdog;
                scope.spawn(move || {
                    let mut connection = watchdog.connect();
                    for call in 0..10 {
                        let body = format!("{client} {call}");
                        connection.send("POST / HTTP/1.1\r\nHost: x\r\n", body.as_bytes());
                        assert_eq!(connection.answer().text(), body);
                    }
                });
            }
        });
        wait_until("no process is left", || watchdog.children().is_empty());
    });
}

/// Starts a call that waits for the last byte of its input.
fn waiting_call(watchdog: &Watchdog) -> Client {
    let mut client = watchdog.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell");
    wait_until("it runs", || !watchdog.children().is_empty());
    client
}

#[test]
fn sigterm_lets_calls_end_and_takes_nothing_new() {
    on_each_driver(|driver| {
        // Steps: one call in flight, one idle connection, one that has sent half a head; SIGTERM.
        let mut watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let mut idle = watchdog.connect();
        idle.send("POST / HTTP/1.1\r\nHost: x\r\n", b"x");
        idle.answer();
        let mut half = watchdog.connect();
        half.send_raw(b"POST / HTTP/1.1\r\n");
        let mut client = waiting_call(&watchdog);
        assert!(watchdog.lock_file().exists());
        watchdog.child.signal(Signal::TERM).unwrap();
        assert!(idle.is_closed());
        assert!(!watchdog.lock_file().exists());
        // Nobody accepts this one; it waits in the backlog.
        let mut late = watchdog.connect();
        late.send("POST / HTTP/1.1\r\nHost: x\r\n", b"late");
        half.send_raw(b"Host: x\r\nContent-Length: 1\r\n\r\nh");
        client.send_raw(b"o");
        for (client, want) in [(&mut client, "hello"), (&mut half, "h")] {
            let answer = client.answer();
            assert_eq!((answer.status, answer.text()), (200, want));
            assert_eq!(answer.header("connection"), Some("close"));
        }
        drop((client, half));
        assert_eq!(watchdog.wait(), Exit::Code(0));
        drop(watchdog);
        assert!(late.is_closed());
    });
}

#[test]
fn calls_that_do_not_end_after_sigterm_are_ended() {
    on_each_driver(|driver| {
        let settings = [
            ("fprocess", "sh -c 'echo $$ > $TMPDIR/p1; exec sleep 1000'"),
            ("write_timeout", "1s"),
        ];
        let mut watchdog = Watchdog::start(driver, &settings);
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        let pid = pids(&watchdog.dir().join("p1"), 1)[0];
        watchdog.child.signal(Signal::TERM).unwrap();
        assert_eq!(watchdog.wait(), Exit::Code(0));
        wait_until("the function has ended", || !is_alive(pid));
    });
}

#[test]
fn a_second_sigterm_leaves_at_once() {
    on_each_driver(|driver| {
        let mut watchdog = Watchdog::start(
            driver,
            &[("fprocess", "sh -c 'echo $$ > $TMPDIR/p1; exec sleep 1000'")],
        );
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        let pid = pids(&watchdog.dir().join("p1"), 1)[0];
        watchdog.child.signal(Signal::TERM).unwrap();
        wait_until("the first one is seen", || !watchdog.lock_file().exists());
        watchdog.child.signal(Signal::TERM).unwrap();
        assert_eq!(watchdog.wait(), Exit::Code(143));
        wait_until("the function has ended", || !is_alive(pid));
    });
}

#[test]
fn the_end_of_the_lifeline_ends_everything() {
    on_each_driver(|driver| {
        let (lifeline, gateway) = process::pipe().unwrap();
        let script = "sh -c 'setsid sh -c \"echo \\$\\$ > $TMPDIR/p2; exec sleep 1000\" & echo $$ > $TMPDIR/p1; wait'";
        let mut watchdog = Watchdog::start_with(driver, &[("fprocess", script)], Some(lifeline));
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        let family = [
            pids(&watchdog.dir().join("p1"), 1)[0],
            pids(&watchdog.dir().join("p2"), 1)[0],
        ];
        assert!(family.iter().all(|pid| is_alive(*pid)));
        drop(gateway);
        assert_eq!(watchdog.wait(), Exit::Code(0));
        wait_until("the family has ended", || {
            !family.iter().any(|pid| is_alive(*pid))
        });
        assert!(!watchdog.lock_file().exists());
    });
}

/// Runs `fwatchdog` to its end, and returns what it logged.
fn run(settings: &[(&str, &str)]) -> (String, Exit) {
    let (read, write) = process::pipe().expect("a pipe");
    let command = Command::new(env!("CARGO_BIN_EXE_fwatchdog")).env("suppress_lock", "true");
    let mut child = command
        .envs(settings.iter().copied())
        .stderr(Stdio::Fd(write))
        .spawn()
        .expect("it starts");
    let mut log = String::new();
    File::from(read).read_to_string(&mut log).expect("text");
    (log, child.wait().expect("it ends"))
}

#[test]
fn wrong_settings_end_the_start_with_one_line() {
    let (log, exit) = run(&[("fprocess", "cat"), ("read_timeout", "soon")]);
    assert_eq!(exit, Exit::Code(64));
    assert_eq!(
        log,
        "read_timeout: `soon` cannot be used; give whole seconds such as 30, or a duration such as 1m30s or 500ms\n"
    );
    let (log, exit) = run(&[]);
    assert_eq!((exit, log.lines().count()), (Exit::Code(64), 1));
    let (log, exit) = run(&[("fprocess", "cat"), ("LISTEN_FDS", "1")]);
    assert_eq!(exit, Exit::Code(69));
    assert_eq!(log, "LISTEN_FDS: descriptor 3 is not a listening socket\n");
}

#[test]
fn a_port_can_be_listened_on_and_a_taken_one_is_an_error() {
    let taken = TcpListener::bind(("::", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let no_metrics = ("metrics_port", "0");
    let (log, exit) = run(&[("fprocess", "cat"), ("port", &port), no_metrics]);
    assert_eq!(exit, Exit::Code(69));
    assert!(
        log.starts_with(&format!("port: {port} cannot be listened on: ")),
        "{log}"
    );
    drop(taken);
    let command = Command::new(env!("CARGO_BIN_EXE_fwatchdog"));
    let command = command
        .env("fprocess", "/bin/cat")
        .env("port", &port)
        .env("metrics_port", "0")
        .env("suppress_lock", "true");
    let mut child = command.spawn().unwrap();
    let mut stream = None;
    wait_until("it listens", || {
        stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).ok();
        stream.is_some()
    });
    let mut stream = stream.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::Write::write_all(
        &mut stream,
        b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");
    child.signal(Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap(), Exit::Code(0));
}
