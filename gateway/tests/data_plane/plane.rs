//! A data plane with one function, `f`, and no control plane.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use gateway::{
    failure::Reason,
    limits::{FunctionLimits, Limits},
    metrics::{FunctionCounters, WorkerCells},
    plane::{self, Crew, DataPlane, Listeners},
    shared::Shared,
    snapshot::{self, Function, Snapshot},
};
use net::{Driver, Endpoint};

use crate::replica::Replica;

/// One worker is enough for behaviour, and makes the choice of connections certain.
const CORES: usize = 1;

/// No end is waited for longer; it is reached only by a bug.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Plane {
    running: DataPlane,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Plane {
    pub(crate) fn start(driver: &str, limits: Limits, replicas: &[&Replica]) -> Self {
        Self::start_after(driver, limits, replicas, |_address, _shared| ()).0
    }

    /// Calls `before` when clients can connect already, but nobody accepts yet.
    pub(crate) fn start_after<T>(
        driver: &str,
        limits: Limits,
        replicas: &[&Replica],
        before: impl FnOnce(SocketAddr, &Shared) -> T,
    ) -> (Self, T) {
        let endpoints = replicas
            .iter()
            .map(|replica| Endpoint::Tcp(replica.address))
            .collect();
        Self::build(driver, limits, endpoints, FunctionLimits::default(), before)
    }

    /// The same for replicas at any places, of a function with limits of its own.
    pub(crate) fn start_with(
        driver: &str,
        limits: Limits,
        endpoints: Vec<Endpoint>,
        own: FunctionLimits,
    ) -> Self {
        Self::build(driver, limits, endpoints, own, |_address, _shared| ()).0
    }

    fn build<T>(
        driver: &str,
        limits: Limits,
        endpoints: Vec<Endpoint>,
        own: FunctionLimits,
        before: impl FnOnce(SocketAddr, &Shared) -> T,
    ) -> (Self, T) {
        let driver = Driver::select(driver.parse().unwrap()).unwrap();
        let function = Arc::new(Function {
            name: "f".into(),
            replicas: endpoints
                .into_iter()
                .map(|endpoint| Arc::new(snapshot::Replica::new(endpoint, "f", CORES)))
                .collect(),
            counters: Arc::new(FunctionCounters::new(CORES)),
            limits: own,
        });
        let first = Snapshot {
            generation: 1,
            functions: HashMap::from([("f".into(), Arc::clone(&function))]),
            control: function,
        };
        let shared = Arc::new(Shared::new(first, CORES));
        let listen = [([127, 0, 0, 1], 0).into()];
        let listeners = Listeners::bind(&listen, CORES, false).unwrap();
        let address = listeners.addresses()[0];
        let result = before(address, &shared);
        let crew = Crew::new(CORES, driver).unwrap();
        let running = plane::start(listeners, crew, &limits, &shared).unwrap();
        let plane = Self {
            running,
            address,
            shared,
        };
        (plane, result)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// What the workers count.
    pub(crate) fn cells(&self) -> &WorkerCells {
        &self.shared.workers[0]
    }

    /// Waits until as many failures of this reason have been counted: a moment after the client
    /// has noticed.
    pub(crate) fn until_failed(&self, reason: Reason, count: u64) {
        self.until(|cells| cells.failures(reason) >= count);
        assert_eq!(self.cells().failures(reason), count, "{reason:?}");
    }

    /// Waits for the workers' numbers to be so.
    pub(crate) fn until(&self, condition: impl Fn(&WorkerCells) -> bool) {
        let give_up = Instant::now() + DEADLINE;
        while !condition(self.cells()) {
            assert!(Instant::now() < give_up, "in vain: {:#?}", self.cells());
            thread::yield_now();
        }
    }

    /// Begins to drain, and waits until nothing new is accepted.
    pub(crate) fn drain(&self) {
        self.shared.start_draining();
        self.running.bells().ring();
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_ok() {
            assert!(begun.elapsed() < DEADLINE, "it goes on listening");
        }
    }

    pub(crate) fn leave_at_once(&self) {
        self.shared.leave_at_once();
        self.running.bells().ring();
    }

    /// Waits for its end.
    pub(crate) fn join(self) {
        let (ended, wait) = mpsc::channel();
        thread::spawn(move || ended.send(self.running.join()));
        wait.recv_timeout(DEADLINE).expect("it ends").unwrap();
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Waits on purpose: longer than a request is served without a watch on its client.
pub(crate) fn pause_beyond_watch() {
    pause(Duration::from_millis(100));
}

/// Time itself is what these tests are about, so there is no condition to wait for.
fn pause(length: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(length).unwrap_err();
}
