//! The gateway: an io_uring data plane that carries requests, and a control plane that decides
//! where they go.

#![forbid(unsafe_code)]

mod run;
mod version;

pub mod config;
pub mod limits;

// What the planes share.
pub mod shared;
pub mod snapshot;

// The data plane, in the order in which a request meets its rooms.
mod handover;
pub mod plane;
mod worker;

pub mod route;

pub mod balance;
mod outlier;
mod pool;
mod proxy;

pub mod failure;
mod reply;

// The control plane.
pub mod control;

mod api;
pub mod provider;

pub mod metrics;

pub use config::Config;
pub use run::{Ready, RunError, run};
pub use version::{GIT_SHA, VERSION};
