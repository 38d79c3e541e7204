//! The harness of the end-to-end suites: starts the real binaries, speaks raw HTTP to them, looks at
//! their processes, and leaves nothing behind.
//!
//! It shares no code with the product. A client that used `wire` would repeat its mistakes and call
//! them right, so [`http`] is a small reader of its own, over plain blocking sockets.
//!
//! Reading order: [`Builder`] is a gateway to be started, [`Gateway`] one that runs on a state directory of its own, [`Connection`]
//! a client, [`Upstream`] a server behind `--static` whose every move the test decides,
//! [`Cli`] the command line as a person uses it; [`function`] is a function with its own HTTP server, [`worker`] one that reads requests from a pipe;
//! [`Confinement`] takes from a program what a container or an old kernel would not give it; [`eventually`] waits for a condition, never for a
//! time; [`processes`] tells who is alive and what they hold.
//!
//! What it does not do: judge. Assertions are in `tests/e2e`; the only ones here are of the
//! harness itself, and the promise that holds in every test: when a gateway is gone, so is
//! everything that it started.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a harness that cannot do its part fails the test, as it should"
)]

mod binaries;
mod builder;
pub mod confine;
mod driver;
mod gateway;
pub mod metrics;
mod time;

mod cli;
pub mod function;
pub mod http;
pub mod processes;
mod upstream;
pub mod worker;

pub use binaries::ringway;
pub use builder::Builder;
pub use cli::{Cli, Finished};
pub use confine::Confinement;
pub use driver::Driver;
pub use gateway::Gateway;
pub use http::{Connection, Response};
pub use time::{DEADLINE, SetOnDrop, eventually, hold_for};
pub use upstream::{Peer, Seen, Upstream};
