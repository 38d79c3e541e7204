//! Starts and ends the data plane: one thread, listener and bell per core.
//!
//! What it does not do: route or relay; the workers do.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
};

use net::{Driver, Ringer};
use socket2::Socket;

use crate::{
    limits::Limits,
    shared::Shared,
    worker::{self, Setup},
};

/// The running workers.
#[derive(Debug)]
pub struct DataPlane {
    addresses: Vec<SocketAddr>,
    bells: Bells,
    threads: Vec<JoinHandle<()>>,
}

/// Gets the attention of all workers, from any thread.
#[derive(Debug, Clone)]
pub struct Bells {
    ringers: Vec<Ringer>,
}

impl Bells {
    /// Makes the workers look at what they share with the control plane.
    pub fn ring(&self) {
        for ringer in &self.ringers {
            ringer.ring();
        }
    }
}

/// Why the data plane could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, is not ours, or needs a privilege.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// No thread or descriptor is left.
    #[error("cannot start a worker: {0}")]
    Worker(#[from] io::Error),
}

/// Listening sockets, a set for each core.
#[derive(Debug)]
pub struct Listeners {
    addresses: Vec<SocketAddr>,
    per_core: Vec<Vec<Socket>>,
}

impl Listeners {
    /// Binds each address once per core (SO_REUSEPORT), so that the kernel spreads connections.
    /// Clients can connect from now on; they wait in the backlog until the workers start.
    ///
    /// # Errors
    /// [`StartError::Listen`] names the address.
    pub fn bind(listen: &[SocketAddr], cores: usize) -> Result<Self, StartError> {
        let mut addresses = listen.to_vec();
        let per_core = (0..cores)
            .map(|_| bind_all(&mut addresses))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            addresses,
            per_core,
        })
    }

    /// The addresses, with the ports that the kernel chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Binds each address, putting the port that the kernel chose in place of 0 so that the next core
/// binds the same.
fn bind_all(addresses: &mut [SocketAddr]) -> Result<Vec<Socket>, StartError> {
    let mut sockets = Vec::new();
    for address in addresses {
        let bound = net::bind_tcp(*address, true).and_then(|socket| {
            let actual = socket.local_addr()?.as_socket();
            Ok((socket, actual))
        });
        let (socket, actual) = bound.map_err(|source| StartError::Listen {
            address: *address,
            source,
        })?;
        *address = actual.unwrap_or(*address);
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Starts a worker per core. When this returns, every one has its runtime and accepts
/// connections.
///
/// # Errors
/// When a thread cannot be started, or a worker cannot make its runtime (a ring needs lockable
/// memory). Those that could start have been told to leave.
pub fn start(
    listeners: Listeners,
    driver: &Driver,
    limits: &Limits,
    shared: &Arc<Shared>,
) -> Result<DataPlane, StartError> {
    let mut ringers = Vec::new();
    let mut threads = Vec::new();
    let (started, outcomes) = mpsc::channel();
    for (core, listeners) in listeners.per_core.into_iter().enumerate() {
        let (ringer, bell) = net::bell()?;
        let setup = Setup {
            core,
            driver: driver.clone(),
            listeners,
            bell,
            shared: Arc::clone(shared),
            limits: limits.clone(),
            started: started.clone(),
        };
        let thread = Builder::new().name(format!("worker-{core}"));
        threads.push(thread.spawn(|| worker::run(setup))?);
        ringers.push(ringer);
    }
    drop(started);
    for _ in &threads {
        let outcome = outcomes.recv();
        outcome.unwrap_or_else(|_panicked| Err(io::Error::other("a worker panicked")))?;
    }
    Ok(DataPlane {
        addresses: listeners.addresses,
        bells: Bells { ringers },
        threads,
    })
}

impl DataPlane {
    /// Where it listens, with the ports that the kernel chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What the control plane rings.
    #[must_use]
    pub fn bells(&self) -> Bells {
        self.bells.clone()
    }

    /// Waits until every worker has drained and ended.
    ///
    /// # Errors
    /// When one panicked.
    pub fn join(self) -> io::Result<()> {
        for thread in self.threads {
            let ended = thread.join();
            ended.map_err(|_panic| io::Error::other("a worker panicked; see the log"))?;
        }
        Ok(())
    }
}
