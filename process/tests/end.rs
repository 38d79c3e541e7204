//! Ending processes and everything they started.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use process::{Child, Command, Exit, Group, Signal, Stdio};
use support::{is_alive, is_inner, shell, this_test, wait_for, wait_until};

/// Starts a shell script and reads the process ids that it prints, one a line.
fn family(script: &str, count: usize, group: Group) -> (Child, Vec<i32>) {
    let (read, write) = process::pipe().expect("a pipe");
    let child = shell(script)
        .stdout(Stdio::Fd(write))
        .group(group)
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(File::from(read)).lines().take(count);
    let pids = lines
        .map(|line| line.expect("a line").parse().expect("a process id"))
        .collect();
    (child, pids)
}

const SLEEPERS: &str = "sleep 1000 >/dev/null & echo $!; sleep 1000 >/dev/null & echo $!; wait";

#[test]
fn a_group_ends_with_all_its_members() {
    let (mut child, pids) = family(SLEEPERS, 2, Group::NewGroup);
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    child.kill_group(Signal::KILL).unwrap();
    assert_eq!(
        wait_for(&mut child),
        Exit::Signal {
            number: 9,
            core_dumped: false
        }
    );
    wait_until("the members have ended", || {
        !pids.iter().any(|pid| is_alive(*pid))
    });
}

#[test]
fn a_group_ends_after_its_first_process_has() {
    let script = "sleep 1000 >/dev/null & echo $!";
    let (mut child, pids) = family(script, 1, Group::NewSession);
    wait_until("the shell has ended", || child.has_ended().unwrap());
    assert!(is_alive(pids[0]));
    child.kill_group(Signal::KILL).unwrap();
    assert_eq!(child.try_wait().unwrap(), Some(Exit::Code(0)));
    wait_until("what it left has ended", || !is_alive(pids[0]));
}

#[test]
fn a_session_ends_with_groups_made_inside() {
    // With job control (set -m) the shell gives each background job a group of its own.
    let script = format!("set -m; {SLEEPERS}");
    let (mut child, pids) = family(&script, 2, Group::NewSession);
    let started = process::start_time(child.pid()).unwrap();
    assert_eq!(
        process::kill_session(child.pid(), Some(started + 1)).unwrap(),
        0,
        "another process"
    );
    assert!(is_alive(child.pid()));
    assert_eq!(
        process::kill_session(child.pid(), Some(started)).unwrap(),
        3
    );
    wait_for(&mut child);
    wait_until("the members have ended", || {
        !pids.iter().any(|pid| is_alive(*pid))
    });
    assert_eq!(
        process::kill_session(child.pid(), Some(started)).unwrap(),
        0
    );
}

#[test]
fn descendants_end_also_when_they_left_the_session() {
    let script = "setsid sh -c 'echo $$; setsid sleep 1000 >/dev/null & echo $!; wait' & wait";
    let (mut child, pids) = family(script, 2, Group::NewSession);
    assert!(process::kill_descendants(child.pid()).unwrap() >= 2);
    wait_until("they have ended", || !pids.iter().any(|pid| is_alive(*pid)));
    assert!(is_alive(child.pid()) || child.has_ended().unwrap());
    child.signal(Signal::KILL).unwrap();
    wait_for(&mut child);
}

#[test]
fn only_what_is_meant_ends() {
    let (mut child, pids) = family("echo $$; sleep 1000 & echo $!; wait", 2, Group::NewSession);
    let sleeper = pids[1];
    assert_eq!(process::kill_matching(|pid| pid == sleeper).unwrap(), 1);
    wait_until("it has ended", || !is_alive(sleeper));
    // Its shell waits for it alone.
    assert!(matches!(wait_for(&mut child), Exit::Code(_)));
}

#[test]
fn dangerous_group_numbers_are_refused() {
    for group in [i32::MIN, -1, 0, 1] {
        assert!(process::kill_group(group, Signal::KILL).is_err(), "{group}");
        assert_eq!(process::kill_session(group, None).unwrap(), 0, "{group}");
        assert_eq!(process::kill_family(group).unwrap(), 0, "{group}");
    }
}

#[test]
fn a_process_ends_with_its_parent_however_that_ends() {
    // Steps: a parent (this test again) starts a child (this test once more) that asks to end with
    // it and then waits for ever, with our pipe open; the parent is killed; the pipe must end.
    const NAME: &str = "a_process_ends_with_its_parent_however_that_ends";
    match std::env::var("ROLE").as_deref() {
        Ok("child") => {
            let parent = std::env::var("PARENT").unwrap().parse().unwrap();
            process::die_with_parent(parent).unwrap();
            println!("\nready");
            loop {
                std::thread::park();
            }
        }
        Ok("parent") => {
            let own = std::process::id().to_string();
            let child = this_test(NAME).env("ROLE", "child").env("PARENT", own);
            child
                .stdout(Stdio::Inherit)
                .spawn()
                .unwrap()
                .wait()
                .unwrap();
        }
        _ => {
            assert!(!is_inner());
            let (read, write) = process::pipe().unwrap();
            let parent = this_test(NAME)
                .env("ROLE", "parent")
                .stdout(Stdio::Fd(write));
            let mut parent = parent.spawn().unwrap();
            let mut output = BufReader::new(File::from(read));
            let mut line = String::new();
            while line.trim() != "ready" {
                line.clear();
                assert_ne!(
                    output.read_line(&mut line).unwrap(),
                    0,
                    "the child must get ready"
                );
            }
            parent.signal(Signal::KILL).unwrap();
            parent.wait().unwrap();
            // Ends only when the last holder of the pipe, the child, is gone.
            output.read_to_string(&mut line).unwrap();
        }
    }
}

#[test]
fn a_process_whose_parent_is_gone_is_told() {
    // Changes this thread's wish only; the test process's real parent stays.
    let error = process::die_with_parent(i32::MAX).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_stopped_process_can_be_ended() {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg("kill -STOP $$")
        .spawn()
        .unwrap();
    wait_until("it has stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
        stat.contains(") T ")
    });
    child.kill_group(Signal::KILL).unwrap();
    assert_eq!(
        wait_for(&mut child),
        Exit::Signal {
            number: 9,
            core_dumped: false
        }
    );
}
