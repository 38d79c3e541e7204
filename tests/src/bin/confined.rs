//! Runs a program with less than usual: see `tests::confine`. All of it is in the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tests::confine::run(std::env::args_os())
}
