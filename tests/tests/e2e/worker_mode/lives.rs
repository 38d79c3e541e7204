//! The processes of workers: dying, misbehaving, replaced, ended in order.

use std::{fs, os::fd::AsFd};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tests::{Driver, Gateway, eventually, http::request_bytes, processes, under_each_driver};

use super::{ask, hold, open_gate, own_file, watchdog, with, workers};

under_each_driver! {
    a_worker_that_dies_is_a_502_that_says_how_and_is_replaced
    an_answer_that_has_begun_is_broken_off_when_its_worker_dies
    a_client_that_leaves_ends_its_worker
    a_worker_that_died_idle_is_replaced_without_an_error
    a_request_that_a_dying_worker_has_not_read_goes_to_another
    what_an_idle_worker_writes_is_nobodys_answer
    a_worker_is_parted_from_when_it_or_its_answer_says_so
    a_worker_is_replaced_after_so_many_requests
    workers_that_never_answer_are_not_started_again_and_again
    removal_lets_a_call_end_and_then_closes_the_input
    many_calls_leave_no_zombie_and_no_descriptor
}

fn pid(gateway: &Gateway) -> i32 {
    let answer = gateway.get("/function/f/pid");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().parse().unwrap()
}

fn has_gone(pid: i32) {
    eventually("the process is gone", || {
        (!fs::exists(format!("/proc/{pid}")).unwrap()).then_some(())
    });
}

fn a_worker_that_dies_is_a_502_that_says_how_and_is_replaced(driver: Driver) {
    let gateway = with(driver, &[]);
    for (path, how) in [
        ("die", "exit code 3"),
        ("abort", "SIGABRT"),
        ("leave-child", "exit code 4"),
    ] {
        let before = pid(&gateway);
        let answer = gateway.get(&format!("/function/f/{path}"));
        let said = answer.text();
        assert_eq!(answer.status(), 502, "{said}");
        assert!(said.contains("went down") && said.contains(how), "{said}");
        assert_ne!(pid(&gateway), before);
        eventually("nothing is left of it", || {
            (workers(&gateway).len() == 1).then_some(())
        });
    }
    let answer = gateway.get("/function/f/leave-group");
    assert!(answer.text().contains("exit code 4"), "{}", answer.text());
    // One that answers first has answered.
    assert_eq!(
        gateway.get("/function/f/answer-and-die").text(),
        "last words"
    );
    pid(&gateway);
}

fn an_answer_that_has_begun_is_broken_off_when_its_worker_dies(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    client.send(request_bytes("GET", "/function/f/die-late", "", b""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.rest(), b"hello", "five of ten bytes");
    pid(&gateway);
}

fn a_client_that_leaves_ends_its_worker(driver: Driver) {
    let gateway = with(driver, &[]);
    let before = pid(&gateway);
    let waits = {
        let held = hold(&gateway, "held");
        let waits = ask(&gateway, "waits");
        drop(held);
        waits
    };
    has_gone(before);
    // One that leaves while it waits leaves no trace.
    drop(waits);
    open_gate(&gateway, "held");
    open_gate(&gateway, "waits");
    assert_ne!(pid(&gateway), before);
}

fn a_worker_that_died_idle_is_replaced_without_an_error(driver: Driver) {
    let gateway = with(driver, &[]);
    for _ in 0..20 {
        let before = pid(&gateway);
        signal(before, Signal::SIGKILL);
        eventually("it is dead", || {
            matches!(state(before), None | Some('Z')).then_some(())
        });
        // Whether the watchdog has noticed or not.
        assert_ne!(pid(&gateway), before);
    }
}

fn a_request_that_a_dying_worker_has_not_read_goes_to_another(driver: Driver) {
    let gateway = with(driver, &[]);
    for _ in 0..5 {
        let before = pid(&gateway);
        signal(before, Signal::SIGSTOP);
        eventually("it stands still", || {
            (state(before) == Some('T')).then_some(())
        });
        let mut client = gateway.connect();
        client.send(request_bytes("POST", "/function/f/echo", "", b"once"));
        eventually("the request is in its pipe", || has_input(before));
        signal(before, Signal::SIGKILL);
        assert_eq!(client.response().text(), "once");
    }
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Whether the next read of a process from its standard input would find something.
fn has_input(pid: i32) -> Option<()> {
    // Opening it anew is another reader of the same pipe; it takes nothing.
    let pipe = fs::File::open(format!("/proc/{pid}/fd/0")).ok()?;
    let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    (poll(&mut ready, PollTimeout::ZERO).unwrap() == 1).then_some(())
}

/// The letter that proc(5) has for the state of a process; none if it is gone.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim().chars().next()
}

fn what_an_idle_worker_writes_is_nobodys_answer(driver: Driver) {
    let gateway = with(driver, &[]);
    assert_eq!(gateway.get("/function/f/late-garbage").text(), "so far");
    open_gate(&gateway, "garble");
    let garbled = own_file(&gateway, "garbled");
    eventually("it has written", || garbled.exists().then_some(()));
    assert_eq!(gateway.get("/function/f/count").text(), "1", "a new worker");
    // The same after the next request was sent to it, unread; one that is larger than a pipe as well.
    for body in [0, 100_000] {
        assert_eq!(gateway.get("/function/f/second-answer").text(), "first");
        let [second] = workers(&gateway)[..] else {
            panic!("not one worker");
        };
        let mut next = gateway.connect();
        next.send(request_bytes(
            "POST",
            "/function/f/count",
            "",
            &vec![b'x'; body],
        ));
        eventually("the request is in its pipe", || has_input(second));
        open_gate(&gateway, "asked");
        let answer = next.response();
        assert_eq!(answer.status(), 502, "{}", answer.text());
        fs::remove_file(own_file(&gateway, "asked")).unwrap();
    }
    // The same at once behind an answer.
    assert_eq!(gateway.get("/function/f/more").text(), "hello");
    assert_eq!(gateway.get("/function/f/count").text(), "1", "a new worker");
}

fn a_worker_is_parted_from_when_it_or_its_answer_says_so(driver: Driver) {
    let gateway = with(driver, &[("AT_END", "ended")]);
    assert_eq!(gateway.get("/function/f/close").text(), "bye");
    // It was told by the end of its input.
    let ended = own_file(&gateway, "ended");
    eventually("it has ended by itself", || ended.exists().then_some(()));
    assert_eq!(gateway.get("/function/f/count").text(), "1");
    // An early answer is passed on; the rest of the request is no request.
    let body = vec![b'G'; 300_000];
    assert_eq!(gateway.call("f/early", &body).text(), "early");
    assert_eq!(gateway.get("/function/f/count").text(), "1");
}

fn a_worker_is_replaced_after_so_many_requests(driver: Driver) {
    let gateway = with(driver, &[("worker_requests_max", "3")]);
    let counts: Vec<_> = (0..7)
        .map(|_| gateway.get("/function/f/count").text())
        .collect();
    assert_eq!(counts, ["1", "2", "3", "1", "2", "3", "1"]);
    eventually("the old ones have ended", || {
        (workers(&gateway).len() == 1).then_some(())
    });
}

fn workers_that_never_answer_are_not_started_again_and_again(driver: Driver) {
    let gateway = with(driver, &[("AT_START", "die")]);
    let answer = eventually("it gives up for a while", || {
        let answer = gateway.get("/function/f/pid");
        let said = answer.text();
        assert!(said.contains("exit code 7"), "{said}");
        // At first the next start is near, and what is sent meets a worker that dies.
        (answer.status() == 503).then_some(answer)
    });
    let said = answer.text();
    assert!(said.contains("no worker is running"), "{said}");
    assert!(answer.head.header("retry-after").is_some());
}

fn removal_lets_a_call_end_and_then_closes_the_input(driver: Driver) {
    let gateway = with(driver, &[("workers", "2")]);
    let mut held = hold(&gateway, "held");
    let idle = pid(&gateway);
    let gate = own_file(&gateway, "held");
    let removed = gateway.api(
        "DELETE",
        "/system/functions",
        &json!({ "functionName": "f" }),
    );
    assert_eq!(removed.status(), 202);
    assert!(
        fs::exists(format!("/proc/{idle}")).unwrap(),
        "as long as there is a call"
    );
    fs::write(gate, "").unwrap();
    assert_eq!(held.response().text(), "held");
    eventually("all have ended", || {
        gateway.descendants().is_empty().then_some(())
    });
}

fn many_calls_leave_no_zombie_and_no_descriptor(driver: Driver) {
    let gateway = with(driver, &[("workers", "2"), ("worker_requests_max", "9")]);
    let watchdog = watchdog(&gateway);
    let descriptors = || processes::descriptors(watchdog).unwrap();
    pid(&gateway);
    let before = descriptors();
    for round in 0..30 {
        for path in ["die", "pid", "close", "more", "garbage", "early", "pid"] {
            drop(gateway.get(&format!("/function/f/{path}")));
        }
        let name = format!("held{round}");
        drop(hold(&gateway, &name));
        open_gate(&gateway, &name);
        pid(&gateway);
    }
    eventually("two workers at most are left", || {
        let left = workers(&gateway);
        let is_clean = left.len() <= 2 && left.iter().all(|pid| !processes::is_zombie(*pid));
        is_clean.then_some(())
    });
    eventually("descriptors are closed", || {
        (descriptors() <= before + 14).then_some(())
    });
}
