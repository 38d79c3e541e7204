//! The gateway: an io_uring data plane that carries requests, and a control plane that decides
//! where they go.

#![forbid(unsafe_code)]

pub mod config;
pub mod limits;
pub mod metrics;
pub mod route;
pub mod shared;
pub mod snapshot;
mod version;

pub use config::Config;
pub use version::{GIT_SHA, VERSION};
