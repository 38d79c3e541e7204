//! Ending processes and everything they started.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader};

use process::{Child, Command, Exit, Group, Signal, Stdio};
use support::{is_alive, shell, wait_for, wait_until};

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
