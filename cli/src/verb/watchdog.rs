//! `ringway watchdog`: the watchdog of one replica, in the same binary.
//!
//! It takes its settings from the environment, as OpenFaaS's watchdogs do, and has no flags of its
//! own. `main` comes here before any argument is parsed.

use std::process::ExitCode;

use clap::Args;

use crate::exit::Failure;

/// Run the watchdog that turns a program into a function (settings come from the environment)
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  fprocess='wc -l' port=8081 ringway watchdog

The variables are those of OpenFaaS's classic watchdog; it takes no flags.")]
pub(crate) struct Watchdog {}

/// Runs until the watchdog ends; its exit code is the watchdog's.
pub(crate) fn run() -> ExitCode {
    watchdog::run(std::env::vars_os())
}

impl Watchdog {
    /// Not reached: without arguments `main` has started the watchdog already, with `--help` clap
    /// has answered, and any other argument was refused.
    ///
    /// # Errors
    /// Usage.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Err(Failure::usage("`ringway watchdog` takes no arguments"))
    }
}
