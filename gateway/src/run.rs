//! A whole gateway, from its settings to its orderly end.
//!
//! The order matters: each worker gets its runtime first, so that it is known what all run on; then
//! the address is taken, since that is what fails most; then the control
//! plane brings back what was deployed; only then do the workers accept, so that the first request
//! finds its function. Last, the listening sockets are offered to whatever gateway may come to
//! replace this one. On the way out the workers finish their requests before replicas end.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
};

use net::{Driver, SelectError};

use crate::{
    Config,
    control::{self, ControlError, Options, Termination},
    handover::{self, Withdrawal},
    plane::{self, Bells, Crew, Listeners, StartError},
    shared::Shared,
};

/// Why a gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The driver that was asked for is refused.
    #[error(transparent)]
    Driver(#[from] SelectError),
    /// An address is taken, or a worker cannot start.
    #[error(transparent)]
    Plane(#[from] StartError),
    /// The state directory is taken or broken, or what was deployed cannot be brought back.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A worker ended as it should not.
    #[error("the data plane broke down: {0}")]
    Broken(std::io::Error),
}

/// A gateway that answers requests.
#[derive(Debug)]
pub struct Ready<'a> {
    /// Where it listens, with the ports that the kernel chose.
    pub addresses: &'a [SocketAddr],
    /// What the workers run on, and why.
    pub driver: &'a Driver,
    /// Where it keeps what must last.
    pub state_dir: &'a Path,
}

/// Runs until SIGTERM or SIGINT, and then until requests in flight have ended. Calls `on_ready`
/// once it answers.
///
/// # Errors
/// [`RunError`] says what is in the way.
pub fn run(config: &Config, mut on_ready: impl FnMut(&Ready<'_>)) -> Result<(), RunError> {
    raise_descriptor_limit();
    let crew = Crew::new(config.threads, Driver::select(config.driver)?)?;
    let driver = crew.driver().clone();
    tracing::info!(driver = %driver.kind, reason = driver.reason, "the data plane has a driver");
    let prepared = control::prepare(config)?;
    let mut listeners = Listeners::bind(&config.listen, config.threads, config.take_over)?;
    let goods = listeners.take_goods();
    let (withdrawal, offering) = handover::offering().map_err(StartError::Worker)?;
    let first = prepared.first_snapshot(config.threads);
    let shared = Arc::new(Shared::new(first, config.threads));
    let bells = Arc::new(OnceLock::new());
    let options = Options {
        driver: driver.clone(),
        on_terminate: Box::new(tell_workers(
            withdrawal,
            Arc::clone(&shared),
            Arc::clone(&bells),
        )),
    };
    let control = prepared.start(Arc::clone(&shared), options)?;
    let plane = match plane::start(listeners, crew, &config.limits, &shared) {
        Ok(plane) => plane,
        Err(error) => {
            control.shutdown();
            return Err(error.into());
        }
    };
    let bells = bells.get_or_init(|| plane.bells());
    // A signal may have come before there was anybody to ring for.
    bells.ring();
    // Only now: whoever takes the sockets over may rely on them being served.
    if let Err(error) = offering.begin(goods) {
        tracing::warn!(%error, "no other gateway will be able to take over from this one");
    }
    on_ready(&Ready {
        addresses: plane.addresses(),
        driver: &driver,
        state_dir: &config.state_dir,
    });
    let ended = plane.join().map_err(RunError::Broken);
    control.shutdown();
    ended
}

/// Each client and each request in flight needs a descriptor.
fn raise_descriptor_limit() {
    match process::raise_descriptor_limit() {
        Ok(limit) => tracing::debug!(limit, "the limit of open descriptors is raised"),
        Err(error) => {
            tracing::warn!(%error, "the limit of open descriptors stays as it is (ulimit -n)");
        }
    }
}

/// What the control plane calls when a signal asks the gateway to end.
fn tell_workers(
    mut withdrawal: Withdrawal,
    shared: Arc<Shared>,
    bells: Arc<OnceLock<Bells>>,
) -> impl FnMut(Termination) + Send {
    move |what| {
        // First, or a copy of a socket would live on after the workers have closed theirs.
        withdrawal.withdraw();
        match what {
            Termination::Graceful => shared.start_draining(),
            Termination::AtOnce => shared.leave_at_once(),
        }
        if let Some(bells) = bells.get() {
            bells.ring();
        }
    }
}
