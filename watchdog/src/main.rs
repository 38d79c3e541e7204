//! `fwatchdog`: turns a program into a function. All of it is in the library, which `ringway
//! watchdog` runs too.

use std::process::ExitCode;

fn main() -> ExitCode {
    watchdog::run(std::env::vars_os())
}
