//! The watchdog turns any program into a function: it listens for HTTP, and for each request starts
//! the program, gives it the body on standard input, and answers with what it writes.
//!
//! It is compatible with OpenFaaS's classic watchdog (same environment variables, headers, routes
//! and statuses) and is meant to cost no more than starting the program does. One thread, on the
//! event loop of `net`; processes through `process`; HTTP through `wire`.
//!
//! The life of a request: `server` accepts, `connection` reads a head and picks the route, `cgi`
//! makes the environment of the process, `mode::fork` starts it and moves bytes both ways until it
//! ends or one of the limits is reached, `reply` writes the answer. `mode::http` passes requests on
//! to a program that has an HTTP server of its own, `mode::worker` to several that read one after the
//! other from a pipe, `mode::static_files` sends files without any program. `calls` knows which
//! processes belong to running calls, so that whatever else is left behind can be ended and reaped;
//! `shutdown` ends it all in order. `identity` says who all of this is, `log` what is told to people,
//! and `metrics` what is counted.
//!
//! What it does not do: no TLS, no authentication, no routing; the gateway in front does that. The
//! meaning of every variable is in `docs/watchdog.md`.

#![forbid(unsafe_code)]

mod config;
mod server;
mod shutdown;

mod backend;
mod by_name;
mod cgi;
mod connection;
mod input;
mod marshal;
mod mode;
mod reply;
mod request;

mod calls;
mod deadline;
mod service;
mod timers;

mod metrics;

mod clock;
mod identity;
mod json;
mod limits;
mod lock_file;
mod log;

use std::ffi::OsString;
use std::process::ExitCode;

use config::Config;

/// Exit code for a wrong setting: `EX_USAGE` of sysexits(3).
const EXIT_USAGE: u8 = 64;

/// Says whether a watchdog would start with the settings in `variables`. Nothing outside of them is
/// looked at: a program or a folder that is missing is not found out here.
///
/// # Errors
/// The line with which [`run`] would end: the variable, its value and the accepted form.
pub fn check(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<(), String> {
    Config::from_environment(variables)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Runs a watchdog with the settings in `variables` until it is told to end, and returns the code
/// to exit with: 0 after an orderly end, 64 for a wrong setting, 69 if it cannot listen.
///
/// Call it first in `main`: it takes over inherited descriptors by their numbers, and blocks
/// signals for the threads that come later.
pub fn run(variables: impl Iterator<Item = (OsString, OsString)>) -> ExitCode {
    match Config::from_environment(variables) {
        Ok(config) => server::run(config),
        Err(error) => {
            log::last_words(&error.to_string());
            ExitCode::from(EXIT_USAGE)
        }
    }
}
