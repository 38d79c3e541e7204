//! The gateway: an io_uring data plane that carries requests, and a control plane that decides
//! where they go.

#![forbid(unsafe_code)]

mod api;
pub mod config;
pub mod control;
pub mod limits;
pub mod provider;
pub mod route;
pub mod shared;
pub mod snapshot;

pub mod plane;
mod worker;

mod balance;
mod pool;
mod proxy;

mod failure;
mod reply;

pub mod metrics;
mod version;

pub use config::Config;
pub use version::{GIT_SHA, VERSION};
