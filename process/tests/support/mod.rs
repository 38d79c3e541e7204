//! What the tests of this crate share: run a command to its end and keep its output.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use process::{Child, Command, Exit, Stdio};

/// Runs it with standard output in a pipe.
pub(crate) fn output(command: Command) -> (String, Exit) {
    let (read, write) = process::pipe().expect("a pipe");
    let mut child = command.stdout(Stdio::Fd(write)).spawn().expect("it starts");
    let mut text = String::new();
    File::from(read)
        .read_to_string(&mut text)
        .expect("its output is text");
    (text, child.wait().expect("it can be waited for"))
}

pub(crate) fn shell(script: &str) -> Command {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .env("PATH", "/usr/bin:/bin")
}

/// Waits until `condition` holds; fails after 20 seconds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::yield_now();
    }
}

/// Waits for its end; fails after 20 seconds.
pub(crate) fn wait_for(child: &mut Child) -> Exit {
    let mut exit = None;
    wait_until("the process has ended", || {
        exit = child.try_wait().expect("it can be waited for");
        exit.is_some()
    });
    exit.expect("it has ended")
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// This test binary, to run its test `name` alone in a process of its own; the test can tell by the
/// variable `INNER`.
pub(crate) fn this_test(name: &str) -> Command {
    Command::new(std::env::current_exe().expect("the test's own path"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env("INNER", "1")
}

pub(crate) fn is_inner() -> bool {
    std::env::var_os("INNER").is_some()
}
