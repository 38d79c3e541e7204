//! A data plane with one function, `f`, and no control plane.

use std::{
    collections::HashMap,
    net::TcpStream,
    sync::{Arc, mpsc},
    time::Duration,
};

use gateway::{
    limits::Limits,
    metrics::FunctionCounters,
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
        let driver = Driver::select(driver.parse().unwrap()).unwrap();
        let function = Arc::new(Function {
            name: "f".into(),
            replicas: replicas
                .iter()
                .map(|replica| {
                    let endpoint = Endpoint::Tcp(replica.address);
                    Arc::new(snapshot::Replica::new(endpoint, "f", CORES))
                })
                .collect(),
            counters: Arc::new(FunctionCounters::new(CORES)),
            upstream_timeout: None,
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
