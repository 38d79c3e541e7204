//! `ringway`: functions as ordinary programs, and the commands to start, deploy, call and watch
//! them.
//!
//! One binary holds everything. `up` and `gateway` start the server (crate `gateway`), `watchdog`
//! is one replica (crate `watchdog`), every other verb is a client of the gateway's HTTP API: a
//! file each in `verb/`. This file only chooses: no verb's work is done here.

#![forbid(unsafe_code)]

mod args;
mod verb;

mod address;
mod client;
mod deploy;
mod exchange;
mod exit;
mod function;
mod limits;
mod output;
mod pattern;
mod samples;
mod serve;
mod span;
mod stack;
mod table;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::exit::Exit;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // A replica is started for every scale-up and stays resident: it must not pay for building the
    // command tree.
    if arguments
        .get(1)
        .is_some_and(|verb| verb == OsStr::new("watchdog"))
        && arguments.len() == 2
    {
        return verb::watchdog::run();
    }
    match Cli::try_parse_from(arguments) {
        Ok(cli) => finish(cli.run()),
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            // Help that nobody reads any more (`--help | head`) is no failure.
            error.print().ok();
            ExitCode::from(code as u8)
        }
    }
}

/// The sentence to stderr and the code to the caller.
fn finish(result: Result<(), exit::Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let sentence = failure.to_string();
            if !sentence.is_empty() {
                output::note(&format!("ringway: {sentence}"));
            }
            ExitCode::from(failure.exit() as u8)
        }
    }
}
