//! The verbs as a user runs them, against a fake gateway: what is asked, what is printed, with
//! which exit code.
//!
//! The real gateway is tested in the workspace's `tests` crate; here the point is the client's side
//! alone.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

mod fake;

mod deploy;
mod failures;
mod invoke;
mod logs;
mod read;

use std::process::{Command, Output, Stdio};

/// The binary, with a clean environment.
fn ringway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs it to its end.
fn run(arguments: &[&str]) -> Output {
    ringway(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
