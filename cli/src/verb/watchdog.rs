//! `ringway watchdog`: the watchdog of one replica, in the same binary.
//!
//! It takes its settings from the environment, as OpenFaaS's watchdogs do, and has no flags of its
//! own. `main` comes here before any argument is parsed.

use std::process::ExitCode;

use clap::Args;

use crate::exit::Failure;

/// Run the watchdog that turns a program into a function (settings come from the environment)
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fprocess='wc -l' port=8081 ringway watchdog\n\nThe variables are those of OpenFaaS's classic watchdog; see docs/watchdog.md."
)]
pub(crate) struct Watchdog {}

/// Runs until the watchdog ends.
pub(crate) fn run() -> ExitCode {
    ExitCode::SUCCESS
}

impl Watchdog {
    /// Reached only with arguments that the watchdog does not have, or with `--help`, which clap
    /// answers.
    ///
    /// # Errors
    /// Never: the watchdog ends by itself.
    pub(crate) fn run(self) -> Result<(), Failure> {
        Ok(())
    }
}
