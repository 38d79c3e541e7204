//! The watchdog as process 1 of a container, to which every orphan comes and to which the kernel
//! sends no signal that it has not asked for, pid_namespaces(7).
//!
//! A namespace for processes is made by unshare(1), as root or as a user who may make namespaces.
//! Where neither is allowed the tests say so and are left out.

#![expect(clippy::print_stdout, reason = "what is left out must be told")]

mod support;

use process::Exit;
use support::{Watchdog, wait_until};

/// Makes the namespace; what follows is its process 1.
const NAMESPACE: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--mount-proc",
];

/// The same without a namespace for users, which root does not need and may not be allowed.
fn namespace() -> Option<Vec<&'static str>> {
    let as_root = [&NAMESPACE[..1], &NAMESPACE[3..]].concat();
    let works = |words: &[&str]| {
        let command = process::Command::new(words[0]).args(&words[1..]);
        let child = command.arg("true").env("PATH", "/usr/bin:/bin").spawn();
        child.is_ok_and(|mut child| child.wait().is_ok_and(Exit::success))
    };
    let found = [as_root, NAMESPACE.to_vec()]
        .into_iter()
        .find(|words| works(words));
    if found.is_none() {
        println!("left out: no namespace for processes can be made here");
    }
    found
}

/// The watchdog itself, under the `unshare` that has made its namespace.
fn first_process(watchdog: &Watchdog) -> i32 {
    let mut first = None;
    wait_until("it is started", || {
        first = watchdog.children().parse().ok();
        first.is_some()
    });
    first.expect("it is started")
}

fn wait_until_childless(pid: i32) {
    wait_until("every orphan is reaped", || {
        process::children_of(pid).is_ok_and(|children| children.is_empty())
    });
}

#[test]
fn orphans_of_a_call_are_reaped() {
    let Some(namespace) = namespace() else { return };
    // A daemon that ends by itself, and one that would not.
    let script = "sh -c '(setsid true &); (setsid sleep 1000 &); echo $PPID'";
    let watchdog = Watchdog::start_by(&namespace, &[("fprocess", script)]);
    assert_eq!(watchdog.post("").text(), "1\n", "it is process 1");
    wait_until_childless(first_process(&watchdog));
    assert_eq!(watchdog.post("").status, 200);
}

#[test]
fn orphans_that_no_call_has_left_are_reaped() {
    let Some(mut namespace) = namespace() else {
        return;
    };
    // The entry script leaves them to the watchdog, which it becomes. One is reparented to it later.
    let script = "(sleep 0.1 &); (sh -c 'sleep 0.2 & sleep 0.1' &); exec \"$0\"";
    namespace.extend(["sh", "-c", script]);
    let watchdog = Watchdog::start_by(&namespace, &[("fprocess", "cat")]);
    assert_eq!(watchdog.get("/_/health").status, 200);
    wait_until_childless(first_process(&watchdog));
}

#[test]
fn sigterm_ends_it_from_outside_and_from_inside() {
    let Some(namespace) = namespace() else { return };
    let mut watchdog = Watchdog::start_by(&namespace, &[("fprocess", "sh -c 'kill -TERM 1'")]);
    assert_eq!(watchdog.get("/_/health").status, 200);
    let first = nix::unistd::Pid::from_raw(first_process(&watchdog));
    nix::sys::signal::kill(first, nix::sys::signal::SIGTERM).unwrap();
    assert_eq!(watchdog.wait(), Exit::Code(0));
    assert!(!watchdog.lock_file().exists());
    // From a process of the function. It is answered: calls in flight may end.
    let mut watchdog = Watchdog::start_by(&namespace, &[("fprocess", "sh -c 'kill -TERM 1'")]);
    assert_eq!(watchdog.post("").status, 200);
    assert_eq!(watchdog.wait(), Exit::Code(0));
    assert!(
        watchdog.log().contains("shutting down"),
        "{}",
        watchdog.log()
    );
}

#[test]
fn nothing_outlives_it() {
    let Some(namespace) = namespace() else { return };
    let watchdog = Watchdog::start_by(&namespace, &[("fprocess", "sleep 1000")]);
    let mut client = watchdog.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
    let first = first_process(&watchdog);
    let mut function = Vec::new();
    wait_until("the function runs", || {
        function = process::children_of(first).unwrap_or_default();
        function.len() == 1
    });
    let pid = nix::unistd::Pid::from_raw(first);
    for _ in 0..2 {
        nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
        wait_until("it has noticed", || {
            watchdog.log().contains("shutting down")
        });
    }
    wait_until("both have ended", || {
        !support::is_alive(first) && !support::is_alive(function[0])
    });
}
