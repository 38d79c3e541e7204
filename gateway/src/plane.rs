//! Starts and ends the data plane: one thread, listener and bell per core.
//!
//! What it does not do: route or relay; the workers do.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
};

use net::{Driver, Ringer, Runtime, SelectError};
use socket2::Socket;

use crate::{
    handover::{self, Goods},
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
    /// The driver that was asked for is refused.
    #[error(transparent)]
    Driver(#[from] SelectError),
}

/// Listening sockets, a set for each core.
#[derive(Debug)]
pub struct Listeners {
    addresses: Vec<SocketAddr>,
    per_core: Vec<Vec<Socket>>,
    goods: Vec<Goods>,
}

impl Listeners {
    /// Binds each address once per core (SO_REUSEPORT), so that the kernel spreads connections.
    /// Clients can connect from now on; they wait in the backlog until the workers start.
    ///
    /// With `take_over`, the sockets of a gateway that listens there already come first; every one
    /// of them gets a worker, also if there are more than cores.
    ///
    /// # Errors
    /// [`StartError::Listen`] names the address.
    pub fn bind(listen: &[SocketAddr], cores: usize, take_over: bool) -> Result<Self, StartError> {
        let mut all = Self {
            addresses: Vec::new(),
            per_core: (0..cores).map(|_| Vec::new()).collect(),
            goods: Vec::new(),
        };
        for address in listen {
            all.add(*address, take_over)
                .map_err(|source| StartError::Listen {
                    address: *address,
                    source,
                })?;
        }
        Ok(all)
    }

    fn add(&mut self, mut address: SocketAddr, take_over: bool) -> io::Result<()> {
        let mut inheritance = None;
        // A free port, 0, is nobody's yet.
        if take_over && address.port() != 0 {
            inheritance = handover::ask(address);
        }
        let mut sockets = match &mut inheritance {
            Some(inheritance) => std::mem::take(&mut inheritance.sockets),
            None => Vec::new(),
        };
        while sockets.len() < self.per_core.len() {
            let socket = net::bind_tcp(address, true)?;
            // With the port that the kernel chose in place of 0, so that the next binds the same.
            address = socket.local_addr()?.as_socket().unwrap_or(address);
            sockets.push(socket);
        }
        self.goods.push(Goods::new(address, &sockets, inheritance)?);
        for (index, socket) in sockets.into_iter().enumerate() {
            let core = index % self.per_core.len();
            self.per_core[core].push(socket);
        }
        self.addresses.push(address);
        Ok(())
    }

    /// The addresses, with the ports that the kernel chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What can be handed over to another gateway. It is to be dropped before the workers leave.
    pub(crate) fn take_goods(&mut self) -> Vec<Goods> {
        std::mem::take(&mut self.goods)
    }
}

/// A thread for each worker, with its runtime, before there is anything to serve. A ring is made by
/// the thread that uses it, and takes memory of which there may be too little for all: who cannot
/// have one is to be known before clients can come. Dropping the crew ends it.
#[derive(Debug)]
pub struct Crew {
    driver: Driver,
    hands: Vec<Hand>,
}

/// One worker's thread, and where it hears what to do.
#[derive(Debug)]
struct Hand {
    thread: JoinHandle<()>,
    work: mpsc::Sender<Setup>,
}

impl Crew {
    /// Makes a runtime for each of `count` workers, on `driver` or on what is left of it
    /// ([`Driver::after`]): the same for all of them.
    ///
    /// # Errors
    /// When no thread can be started, or no runtime made, or only on what was not asked for.
    pub fn new(count: usize, mut driver: Driver) -> Result<Self, StartError> {
        loop {
            let mut hands = Vec::new();
            let (made, outcomes) = mpsc::channel();
            for core in 0..count {
                hands.push(Hand::new(core, driver.clone(), made.clone())?);
            }
            drop(made);
            // One that panicked has not told anything.
            let outcomes: io::Result<Vec<()>> = outcomes.iter().collect();
            match outcomes {
                Ok(_) => return Ok(Self { driver, hands }),
                Err(error) => {
                    hands.into_iter().for_each(Hand::dismiss);
                    driver = driver.after(error)?;
                }
            }
        }
    }

    /// What all of them run on, and why.
    #[must_use]
    pub fn driver(&self) -> &Driver {
        &self.driver
    }
}

impl Hand {
    fn new(core: usize, driver: Driver, made: mpsc::Sender<io::Result<()>>) -> io::Result<Self> {
        let (work, setup) = mpsc::channel();
        let thread = Builder::new().name(format!("worker-{core}"));
        let thread = thread.spawn(move || match Runtime::new(&driver) {
            Ok(runtime) => {
                made.send(Ok(())).ok();
                drop(made);
                // No word at all: the gateway does not start, or another driver is tried.
                if let Ok(setup) = setup.recv() {
                    worker::run(runtime, setup);
                }
            }
            Err(error) => drop(made.send(Err(error))),
        })?;
        Ok(Self { thread, work })
    }

    /// Ends it before it had anything to do, so that its ring is closed.
    fn dismiss(self) {
        drop(self.work);
        // A panic has been told by the thread itself.
        self.thread.join().ok();
    }
}

/// Gives each of the crew its listeners. When this returns, every one accepts connections.
///
/// # Errors
/// When descriptors have run out. Those that could start have been told to leave.
///
/// # Panics
/// When the crew is not as many as the listeners were bound for.
pub fn start(
    listeners: Listeners,
    crew: Crew,
    limits: &Limits,
    shared: &Arc<Shared>,
) -> Result<DataPlane, StartError> {
    assert_eq!(
        listeners.per_core.len(),
        crew.hands.len(),
        "a worker for each"
    );
    let mut ringers = Vec::new();
    let mut threads = Vec::new();
    let (started, outcomes) = mpsc::channel();
    let pairs = listeners.per_core.into_iter().zip(crew.hands);
    for (core, (listeners, hand)) in pairs.enumerate() {
        let (ringer, bell) = net::bell()?;
        let setup = Setup {
            core,
            listeners,
            bell,
            shared: Arc::clone(shared),
            limits: limits.clone(),
            started: started.clone(),
        };
        // One that has panicked does not tell that it has started.
        hand.work.send(setup).ok();
        threads.push(hand.thread);
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
