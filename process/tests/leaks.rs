//! Nothing is left of a process that was waited for. Alone in this binary, since it counts the
//! descriptors and children of the whole test process.

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader};

use process::{Command, Group, Stdio};
use support::{is_alive, shell, wait_until};

#[test]
fn a_thousand_starts_leave_no_zombie_and_no_descriptor() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let template = Command::new("/bin/true")
        .group(Group::NewGroup)
        .prepare()
        .unwrap();
    for _ in 0..1000 {
        let (_read, write) = process::pipe().unwrap();
        let io = process::Io::new(Stdio::Null, Stdio::Fd(write), Stdio::Null);
        let mut child = template.spawn(io, None).unwrap();
        assert!(child.wait().unwrap().success());
    }
    for _ in 0..100 {
        let (_read, write) = process::pipe().unwrap();
        Command::new("/no/such")
            .stdout(Stdio::Fd(write))
            .spawn()
            .unwrap_err();
    }
    assert_eq!(descriptors(), before);
    assert_eq!(process::children().unwrap(), []);
    orphans_are_adopted_and_reaped_and_known_children_are_left_alone();
    a_family_ends_with_those_who_lost_their_parents();
}

fn orphans_are_adopted_and_reaped_and_known_children_are_left_alone() {
    // Steps: as subreaper, start a child that has ended but is not waited for, and one that leaves
    // two orphans behind: one that ends by itself, one that does not.
    process::become_subreaper().expect("a subreaper");
    let mut known = Command::new("/bin/true").spawn().expect("it starts");
    let script = "setsid sleep 1000 & setsid true & exit 0";
    assert!(
        shell(script)
            .spawn()
            .expect("it starts")
            .wait()
            .expect("it ends")
            .success()
    );
    let mut running = Vec::new();
    wait_until("only the sleeper is left", || {
        running = process::reap_orphans(|pid| pid == known.pid()).expect("/proc can be read");
        running.len() == 1 && process::children().expect("/proc can be read").len() == 2
    });
    assert!(known.wait().expect("its status is still there").success());
    process::kill_orphan(running[0]).expect("it can be ended");
    wait_until("nobody is left", || {
        process::reap_orphans(|_| false)
            .expect("/proc can be read")
            .is_empty()
    });
    assert_eq!(process::children().expect("/proc can be read"), []);
}

fn a_family_ends_with_those_who_lost_their_parents() {
    // Steps: two children. Each starts one process in its own session that loses its parent and is
    // adopted by us, and one that leaves the session; end the first family; the second lives.
    let script = "(sleep 1000 & echo $!); setsid sleep 1000 & echo $!; wait";
    let start = || {
        let (read, write) = process::pipe().expect("a pipe");
        let shell = shell(script).stdout(Stdio::Fd(write));
        let child = shell.group(Group::NewSession).spawn().expect("it starts");
        let lines = BufReader::new(File::from(read)).lines().take(2);
        let pids: Vec<i32> = lines
            .map(|line| line.expect("a line").parse().expect("a process id"))
            .collect();
        (child, pids)
    };
    let ((mut first, first_pids), (mut second, second_pids)) = (start(), start());
    wait_until("two are adopted", || {
        process::children().expect("/proc can be read").len() == 4
    });
    // Two or three: the shell may end by itself once what it waits for has ended.
    assert!(process::kill_family(first.pid()).expect("it can be ended") >= 2);
    first.wait().expect("it ends");
    wait_until("the family has ended", || {
        !first_pids.iter().any(|pid| is_alive(*pid))
    });
    assert!(second_pids.iter().all(|pid| is_alive(*pid)));
    process::kill_family(second.pid()).expect("it can be ended");
    second.wait().expect("it ends");
    wait_until("nobody is left", || {
        process::reap_orphans(|_| false).expect("/proc can be read");
        process::children().expect("/proc can be read").is_empty()
    });
}
