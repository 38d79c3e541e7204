//! A data plane with one function, `f`, and no control plane.

use std::{
    collections::HashMap,
    net::TcpStream,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use gateway::{
    failure::Reason,
    limits::{FunctionLimits, Limits},
    metrics::{FunctionCounters, WorkerCells},
    plane::{self, DataPlane, Listeners},
    shared::Shared,
    snapshot::{self, Function, Snapshot},
};
use net::{Driver, Endpoint};

use crate::replica::Replica;

/// One worker is enough for behaviour, and makes the choice of connections certain.
const CORES: usize = 1;

pub(crate) struct Plane {
    running: DataPlane,
    shared: Arc<Shared>,
}

impl Plane {
    pub(crate) fn start(driver: &str, limits: Limits, replicas: &[&Replica]) -> Self {
        let endpoints = replicas
            .iter()
            .map(|replica| Endpoint::Tcp(replica.address))
            .collect();
        Self::start_with(driver, limits, endpoints, FunctionLimits::default())
    }

    /// The same for replicas at any places, of a function with limits of its own.
    pub(crate) fn start_with(
        driver: &str,
        limits: Limits,
        endpoints: Vec<Endpoint>,
        own: FunctionLimits,
    ) -> Self {
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
        let running = plane::start(listeners, &driver, &limits, &shared).unwrap();
        Self { running, shared }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running.addresses()[0]).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
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
        let give_up = Instant::now() + Duration::from_secs(20);
        while !condition(self.cells()) {
            assert!(Instant::now() < give_up, "in vain: {:#?}", self.cells());
            thread::yield_now();
        }
    }

    pub(crate) fn drain(&self) {
        self.shared.start_draining();
        self.running.bells().ring();
    }

    pub(crate) fn join(self) {
        self.running.join().unwrap();
    }
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
