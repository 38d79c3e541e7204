//! The settings of a gateway after they were proved valid; nothing behind this checks again.

mod upstream;

use std::{net::SocketAddr, path::PathBuf};

use net::DriverChoice;

use crate::limits::Limits;

pub use upstream::{StaticUpstream, UpstreamError};

/// How a gateway is to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect; at least one. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Take the listening sockets of a gateway that listens there already, and share the address
    /// with whoever else does.
    pub take_over: bool,
    /// Function specs, sockets and logs live here; made if it is not there, mode 0700.
    pub state_dir: PathBuf,
    /// Workers of the data plane, one thread each; at least one.
    pub threads: usize,
    /// Which kernel interface to use.
    pub driver: DriverChoice,
    /// Servers that already run, served beside the deployed functions.
    pub statics: Vec<StaticUpstream>,
    /// Limits of the data plane.
    pub limits: Limits,
    /// A small watchdog that the caller carries, for when none is installed beside it.
    pub watchdog: Option<&'static [u8]>,
}
