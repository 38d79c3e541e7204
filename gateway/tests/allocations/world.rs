//! A worker between clients and a replica that are plain sockets.
//!
//! What a worker keeps has the size of the most that it ever needed at once. So the warm-up needs more
//! than what follows: some clients more, all of whose requests are at the replica before it answers
//! the first.
//!
//! Messages are told apart by their last bytes alone, which is enough where the test writes both ends.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixListener,
    sync::{
        Arc, Barrier, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use gateway::{
    limits::{FunctionLimits, Limits},
    metrics::FunctionCounters,
    plane::{self, Crew, DataPlane, Listeners},
    shared::Shared,
    snapshot::{Function, Replica, Snapshot},
};
use net::{Driver, DriverChoice, Endpoint};
use tempfile::TempDir;

/// No end is waited for longer; it is reached only by a bug.
const DEADLINE: Duration = Duration::from_secs(20);

/// The name that `plane` gives the one worker's thread.
const WORKER: &str = "worker-0";

/// Clients that are there for the warm-up only.
const EXTRA: usize = 8;

/// Rounds in which everything that is kept gets its size.
const WARM_UP: usize = 100;

/// One worker at a time, or its thread could not be told from another test's.
static TURN: Mutex<()> = Mutex::new(());

/// What goes to and fro, by each connection once a round.
pub(crate) struct Script {
    /// Ends with [`Script::request_end`], which stands nowhere else in it.
    pub(crate) request: Vec<u8>,
    /// The last bytes of a request, as the replica sees it.
    pub(crate) request_end: &'static [u8],
    /// Ends with [`Script::answer_end`], which stands nowhere else in it.
    pub(crate) answer: Vec<u8>,
    pub(crate) answer_end: &'static [u8],
    pub(crate) connections: usize,
    /// Times that the worker receives something in a round, at most.
    pub(crate) receives: u64,
    pub(crate) limits: FunctionLimits,
}

/// A worker, its clients and its replica.
pub(crate) struct World {
    _turn: MutexGuard<'static, ()>,
    _folder: TempDir,
    running: DataPlane,
    shared: Arc<Shared>,
    clients: Vec<TcpStream>,
    request: Vec<u8>,
    answer_end: &'static [u8],
    buffer: Vec<u8>,
    in_step: Arc<AtomicBool>,
}

impl World {
    /// A world that is warm.
    pub(crate) fn new(driver: DriverChoice, script: Script) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("replica");
        let listener = UnixListener::bind(&path).unwrap();
        let function = function(Endpoint::Unix(path), script.limits);
        let first = Snapshot {
            generation: 1,
            functions: HashMap::from([("f".into(), Arc::clone(&function))]),
            control: function,
        };
        let shared = Arc::new(Shared::new(first, 1));
        let listeners = Listeners::bind(&[([127, 0, 0, 1], 0).into()], 1, false).unwrap();
        let address = listeners.addresses()[0];
        let driver = Driver::select(driver).unwrap();
        let crew = Crew::new(1, driver).unwrap();
        let running = plane::start(listeners, crew, &Limits::default(), &shared).unwrap();
        let connect = |_| {
            let client = TcpStream::connect(address).unwrap();
            client.set_read_timeout(Some(DEADLINE)).unwrap();
            client
        };
        let in_step = Arc::new(AtomicBool::new(true));
        let mut world = Self {
            _turn: turn,
            _folder: folder,
            running,
            shared,
            clients: (0..script.connections + EXTRA).map(connect).collect(),
            request: script.request.clone(),
            answer_end: script.answer_end,
            buffer: vec![0; 128 * 1024],
            in_step: Arc::clone(&in_step),
        };
        let connections = script.connections;
        serve(listener, script, in_step);
        world.warm_up(connections);
        world
    }

    fn warm_up(&mut self, connections: usize) {
        for _ in 0..WARM_UP {
            self.round();
        }
        assert_eq!(self.upstream_connections(), self.clients.len() as u64);
        self.in_step.store(false, Ordering::SeqCst);
        self.clients.truncate(connections);
        let give_up = Instant::now() + DEADLINE;
        while self.shared.workers[0].connections.get() > connections as u64 {
            assert!(
                Instant::now() < give_up,
                "clients that left are still there"
            );
            thread::yield_now();
        }
        // What their leaving set in motion comes to its end.
        for _ in 0..WARM_UP {
            self.round();
        }
    }

    /// The worker's thread, as the kernel numbers it.
    pub(crate) fn worker(&self) -> i32 {
        fs::read_dir("/proc/self/task")
            .unwrap()
            .map(|task| task.unwrap().path())
            .find(|task| fs::read_to_string(task.join("comm")).unwrap().trim_end() == WORKER)
            .map(|task| task.file_name().unwrap().to_str().unwrap().parse().unwrap())
            .expect("a worker")
    }

    /// One request on each connection, and their answers.
    pub(crate) fn round(&mut self) {
        for client in &mut self.clients {
            client.write_all(&self.request).unwrap();
        }
        for client in &mut self.clients {
            let length = read_until(client, &mut self.buffer, self.answer_end);
            let answer = &self.buffer[..length];
            assert!(
                answer.starts_with(b"HTTP/1.1 200"),
                "{}",
                answer.escape_ascii()
            );
        }
    }

    /// Connections that the worker keeps to the replica, busy or not.
    pub(crate) fn upstream_connections(&self) -> u64 {
        self.shared.workers[0].upstream_connections.get()
    }

    pub(crate) fn end(self) {
        drop(self.clients);
        self.shared.leave_at_once();
        self.running.bells().ring();
        self.running.join().unwrap();
    }
}

fn function(endpoint: Endpoint, limits: FunctionLimits) -> Arc<Function> {
    Arc::new(Function {
        name: "f".into(),
        replicas: Box::new([Arc::new(Replica::new(endpoint, "f", 1))]),
        counters: Arc::new(FunctionCounters::new(1)),
        limits,
    })
}

/// A thread for each connection. While `in_step` is set, none answers before each has its request.
fn serve(listener: UnixListener, script: Script, in_step: Arc<AtomicBool>) {
    let step = Arc::new(Barrier::new(script.connections + EXTRA));
    let script = Arc::new(script);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (step, script) = (Arc::clone(&step), Arc::clone(&script));
            let in_step = Arc::clone(&in_step);
            thread::spawn(move || {
                let mut buffer = vec![0; 128 * 1024];
                while read_until(&mut stream, &mut buffer, script.request_end) > 0 {
                    if in_step.load(Ordering::SeqCst) {
                        step.wait();
                    }
                    // A gateway that has left is the end of the test.
                    stream.write_all(&script.answer).ok();
                }
            });
        }
    });
}

/// Reads up to and with `end`; tells how many bytes, 0 at the end of the stream.
fn read_until(stream: &mut impl Read, buffer: &mut [u8], end: &[u8]) -> usize {
    let mut length = 0;
    while !buffer[..length].ends_with(end) {
        match stream.read(&mut buffer[length..]) {
            Ok(0) if length == 0 => return 0,
            Ok(count) if count > 0 => length += count,
            // With a time limit set, a call may end early (signal(7)).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => panic!("cut short: {outcome:?} {}", buffer[..length].escape_ascii()),
        }
    }
    length
}
