//! The product from outside: real binaries, real processes, raw HTTP. Each test runs under io_uring
//! and under epoll (`RINGWAY_TEST_DRIVERS=epoll` leaves the first half out).
//!
//! One binary, so that it is linked once. Which module holds what:
//! - `routing`: which path and method reaches whom.
//! - `paths`: they are bytes; no spelling of one route is another.
//! - `forwarding`: what a function and a client see of each other, header by header and byte by byte.
//! - `refusals`: what is ambiguous, byte by byte: who is told what, and that nobody sees it.
//! - `errors`: every status that the gateway gives by itself.
//! - `hop_by_hop`: fields that are for one connection only.
//! - `limits`: those that a user can set.
//! - `bodies`: large ones, both ways, with bounded memory.
//! - `streaming`: bodies that flow, at the pace of the slower side, nothing held back.
//! - `messages`: trailers, chunk extensions, early answers, half-closed clients.
//! - `websocket`, `curl`: clients that others have written.
//! - `churn`: connections that come and go in every way; nothing is mixed up, nothing is left.
//! - `storms`: thousands at once, and too few descriptors.
//! - `concurrency`: many clients at once, spread over replicas.
//! - `update`: deploy, scale and remove under load without a failed request.
//! - `takeover`: one gateway replaced by another on the same port, under load.
//! - `durability`: kill -9 at any instant.
//! - `local_provider`: what a function's processes get, and how they end.
//! - `api`: what was deployed is echoed, what is wrong is refused with a reason.
//! - `http_mode`: functions with an HTTP server of their own, through gateway and watchdog.
//! - `worker_mode`: functions as workers on pipes, through gateway and watchdog, and on their own.
//! - `static_mode`: functions that are files.
//! - `serializing_mode`, `streaming_mode`, `prefork`: the other ways to run a process per request.
//! - `watchdog`: statuses and limits of a process per request.
//! - `watchdog_settings`: metrics, log, user, mask and working directory of a replica.
//! - `refused`: where the kernel, or who stands before it, refuses io_uring.
//! - `logs`, `metrics`, `cli`, `drivers`: as they say.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, as it should"
)]

mod api;
mod bodies;
mod churn;
mod cli;
mod concurrency;
mod curl;
mod drivers;
mod durability;
mod errors;
mod forwarding;
mod hop_by_hop;
mod http_mode;
mod limits;
mod local_provider;
mod logs;
mod messages;
mod metrics;
mod paths;
mod prefork;
mod refusals;
mod refused;
mod routing;
mod serializing_mode;
mod static_mode;
mod storms;
mod streaming;
mod streaming_mode;
mod takeover;
mod update;
mod watchdog;
mod watchdog_settings;
mod websocket;
mod worker_mode;
