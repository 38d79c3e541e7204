//! Limits as this machine enforces them. What needs permission for cgroups is tried where there is
//! permission, and the test says so where there is none.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use process::limits::{Enforcer, Limits};
use process::{Command, Exit, Group, Signal, Stdio};
use support::{is_alive, is_inner, shell, this_test, wait_for, wait_until};

/// A program that waits for its standard input to end, so that it can be put into a group first,
/// and then takes 200 MB.
const GREEDY: &str = "read line; head -c 200000000 /dev/zero | tail -c 199999999 | wc -c";

fn start_inside(enforcer: &Enforcer, name: &str, limits: Limits) -> (String, bool) {
    let group = enforcer.group(name, limits).expect("a group");
    let (hold, go) = process::pipe().expect("a pipe");
    let (read, write) = process::pipe().expect("a pipe");
    let command = shell(GREEDY)
        .stdin(Stdio::Fd(hold))
        .stdout(Stdio::Fd(write))
        .stderr(Stdio::StdoutCopy);
    let mut child = command.spawn().expect("it starts");
    group.add(child.pid()).expect("it can be added");
    drop(go);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("text");
    wait_for(&mut child);
    (text, group.is_fenced())
}

#[test]
fn memory_above_the_limit_is_not_given() {
    let enforcer = Enforcer::detect();
    println!("{}", enforcer.describe());
    let (text, _) = start_inside(&enforcer, "free", Limits::default());
    assert_eq!(text.trim(), "199999999");
    let limits = Limits {
        memory_bytes: Some(32 << 20),
        cpu_millicores: None,
    };
    let (text, _) = start_inside(&enforcer, "tight", limits);
    assert_ne!(text.trim(), "199999999");
}

#[test]
fn without_cgroups_memory_is_limited_per_process() {
    let enforcer = Enforcer::without_cgroups("the test says so");
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        cpu_millicores: None,
    };
    let (text, fenced) = start_inside(&enforcer, "tight", limits);
    assert_ne!(text.trim(), "199999999");
    assert!(!fenced);
}

#[test]
fn a_group_ends_whole_and_leaves_no_folder() {
    let enforcer = Enforcer::detect();
    let limits = Limits {
        memory_bytes: Some(64 << 20),
        cpu_millicores: Some(500),
    };
    let group = enforcer.group("family", limits).unwrap();
    if !group.is_fenced() {
        println!("not tried: {}", enforcer.describe());
        return;
    }
    let twice = enforcer.group("family", limits).unwrap_err();
    assert_eq!(twice.kind(), std::io::ErrorKind::AlreadyExists);
    let (hold, go) = process::pipe().unwrap();
    // Sessions of their own, and groups, and an orphan: only the cgroup still knows them.
    let script = "read line; setsid sleep 1000 & (setsid sleep 1000 &); exec sleep 1000";
    let mut child = shell(script)
        .stdin(Stdio::Fd(hold))
        .group(Group::NewSession)
        .spawn()
        .unwrap();
    group.add(child.pid()).unwrap();
    drop(go);
    wait_until("all three sleep", || group.members().unwrap().len() == 3);
    let members = group.members().unwrap();
    group.kill_all().unwrap();
    assert_eq!(
        wait_for(&mut child),
        Exit::Signal {
            number: 9,
            core_dumped: false
        }
    );
    wait_until("all have ended", || {
        !members.iter().any(|pid| is_alive(*pid))
    });
    drop(group);
    // The kernel may take a moment until it lets the folder go; the next group tries again.
    wait_until("the folder is gone", || {
        let again = enforcer.group("family", Limits::default());
        again.is_ok()
    });
}

#[test]
fn a_group_whose_process_lives_on_is_removed_later() {
    let enforcer = Enforcer::detect();
    let group = enforcer.group("outlived", Limits::default()).unwrap();
    let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    group.add(child.pid()).unwrap();
    drop(group);
    assert!(is_alive(child.pid()), "dropping a group ends nothing");
    child.signal(Signal::KILL).unwrap();
    child.wait().unwrap();
    wait_until("the name is free again", || {
        enforcer.group("outlived", Limits::default()).is_ok()
    });
}

#[test]
fn what_a_killed_gateway_left_is_cleared_away_by_the_next() {
    // Steps: this test again, as a gateway, starts a process in a group and is killed; the next
    // enforcer ends that process and removes the folder.
    if is_inner() {
        let enforcer = Enforcer::detect();
        let group = enforcer.group("left", Limits::default()).unwrap();
        let sleeper = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        group.add(sleeper.pid()).unwrap();
        println!("\n{} {}", sleeper.pid(), group.is_fenced());
        loop {
            std::thread::park();
        }
    }
    let (read, write) = process::pipe().unwrap();
    let name = "what_a_killed_gateway_left_is_cleared_away_by_the_next";
    let mut gateway = this_test(name).stdout(Stdio::Fd(write)).spawn().unwrap();
    let lines = BufReader::new(File::from(read)).lines().map(Result::unwrap);
    let (pid, fenced) = lines
        .filter_map(|line| {
            let (pid, fenced) = line.split_once(' ')?;
            Some((pid.parse::<i32>().ok()?, fenced == "true"))
        })
        .next()
        .unwrap();
    gateway.signal(Signal::KILL).unwrap();
    gateway.wait().unwrap();
    assert!(is_alive(pid));
    if fenced {
        let next = Enforcer::detect();
        wait_until("it has ended", || !is_alive(pid));
        // What was still busy is tried again whenever a group is made.
        drop(next.group("any", Limits::default()).unwrap());
    } else {
        println!("not tried, since no cgroup can be made here");
        let sleeper = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(sleeper, rustix::process::Signal::KILL).unwrap();
    }
    wait_until("it has ended", || !is_alive(pid));
}
