//! The product from outside: real binaries, real processes, raw HTTP. Each test runs under io_uring
//! and under epoll (`RINGWAY_TEST_DRIVERS=epoll` leaves the first half out).
//!
//! One binary, so that it is linked once. Which module holds what:
//! - `routing`: which path and method reaches whom.
//! - `forwarding`: what a function and a client see of each other, header by header and byte by byte.
//! - `errors`: every status that the gateway gives by itself.
//! - `bodies`: large ones, both ways, with bounded memory.
//! - `concurrency`: many clients at once, spread over replicas.
//! - `update`: deploy, scale and remove under load without a failed request.
//! - `takeover`: one gateway replaced by another on the same port, under load.
//! - `durability`: kill -9 at any instant.
//! - `local_provider`: what a function's processes get, and how they end.
//! - `api`: what was deployed is echoed, what is wrong is refused with a reason.
//! - `watchdog`: statuses and limits of a process per request.
//! - `logs`, `metrics`, `cli`, `drivers`: as they say.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, as it should"
)]

mod api;
mod bodies;
mod cli;
mod concurrency;
mod drivers;
mod durability;
mod errors;
mod forwarding;
mod local_provider;
mod logs;
mod metrics;
mod routing;
mod takeover;
mod update;
mod watchdog;
