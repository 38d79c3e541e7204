//! The control plane: one thread with a tokio runtime that runs the `/system` API, keeps the
//! functions running through a provider, and tells the data plane who is ready.
//!
//! Starting has two steps, since the data plane must know the API's address before it exists:
//!
//! ```text
//! prepare(config)          locks the state directory, ends leftovers, binds the API's socket
//!   .first_snapshot(cores) with the API as its only upstream ─► Shared::new
//!   .start(shared, …)      reads what was deployed, publishes it, starts replicas ─► Control
//! control.shutdown()       when the workers have gone: drains and ends replicas, then joins
//! ```
//!
//! Everything on the thread is `!Send` and shared by `Rc`: there are no locks here, and no
//! question of order between two of its tasks but at an `await`. What blocks for long (an fsync,
//! a walk through /proc) goes to a small pool of threads.
//!
//! What it does not do: touch a request, or decide how many replicas there are.

mod routes;
mod signals;
mod state_dir;
mod statics;

use std::{
    collections::HashMap, io, os::unix::net::UnixListener as StdUnixListener, rc::Rc, sync::Arc,
    sync::mpsc as std_mpsc, thread::JoinHandle, time::Duration,
};

use net::Endpoint;
use time::OffsetDateTime;
use tokio::{
    net::UnixListener,
    sync::oneshot,
    task::{LocalSet, spawn_local},
};

use crate::{
    Config,
    api::{About, Api},
    provider::{
        Provider,
        local::{
            BLOCKING_THREADS_MAX, Context, LocalProvider, SpecStore, WatchdogLauncher,
            WatchdogProgram,
        },
    },
    shared::Shared,
    snapshot::Snapshot,
};

pub use routes::Routes;
pub use signals::Termination;
pub use state_dir::StateDirError;
pub(crate) use statics::Statics;

#[cfg(test)]
pub(crate) use routes::tests as tests_routes;

/// For a blocking call that is still under way when everything else has ended, such as the
/// removal of a directory on a disk that does not answer. What it leaves undone, the next start
/// finds.
const BLOCKED_MAX: Duration = Duration::from_secs(2);

/// Why the control plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The state directory is taken or broken.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The API's socket cannot be bound.
    #[error("the control plane cannot listen on {path}: {source}")]
    Listen {
        /// The socket.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// What was deployed cannot be read, or is in the way.
    #[error("what was deployed cannot be brought back: {0}")]
    Restore(io::Error),
    /// Anything else that the system refuses.
    #[error("the control plane cannot start: {0}")]
    System(#[from] io::Error),
}

/// What the control plane is told beside the configuration.
pub struct Options {
    /// Which driver the data plane runs on, for `/system/info` and `/metrics`.
    pub driver: net::Driver,
    /// Called on the control thread at SIGTERM or SIGINT; the workers are to leave.
    pub on_terminate: Box<dyn FnMut(Termination) + Send>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

/// A control plane whose address is known and whose state directory is locked.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    state: state_dir::StateDir,
    listener: StdUnixListener,
    statics: Statics,
}

/// Locks the state directory and binds the API's private socket.
///
/// # Errors
/// [`ControlError`] names what is in the way, and for a second gateway the first one.
pub fn prepare(config: &Config) -> Result<Prepared, ControlError> {
    let state = state_dir::StateDir::open(&config.state_dir)?;
    let path = state.control_socket();
    let listen = |source| ControlError::Listen {
        path: path.display().to_string(),
        source,
    };
    let listener = StdUnixListener::from(std::os::fd::OwnedFd::from(
        net::bind_unix(&path).map_err(listen)?,
    ));
    listener.set_nonblocking(true).map_err(listen)?;
    let now = crate::provider::local::rfc3339(OffsetDateTime::now_utc());
    let statics = Statics::new(&config.statics, now)
        .map_err(|error| ControlError::Restore(io::Error::other(error)))?;
    Ok(Prepared {
        config: config.clone(),
        state,
        listener,
        statics,
    })
}

impl Prepared {
    /// The snapshot to begin with, for a gateway of `cores` workers: the API and nothing else.
    #[must_use]
    pub fn first_snapshot(&self, cores: usize) -> Snapshot {
        let endpoint = Endpoint::Unix(self.state.control_socket());
        Snapshot {
            generation: 1,
            functions: HashMap::new(),
            control: routes::control_function(endpoint, cores),
        }
    }

    /// Starts the thread and returns when all that was deployed is published (its replicas may
    /// still be coming up), so that the first request finds its function.
    ///
    /// # Errors
    /// [`ControlError`] says what could not be brought back.
    pub fn start(self, shared: Arc<Shared>, options: Options) -> Result<Control, ControlError> {
        let (stop, stopped) = oneshot::channel();
        let (report, reported) = std_mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || match runtime() {
                Ok(runtime) => {
                    let tasks = LocalSet::new();
                    runtime.block_on(tasks.run_until(run(self, shared, options, stopped, &report)));
                    drop(tasks);
                    runtime.shutdown_timeout(BLOCKED_MAX);
                }
                Err(error) => {
                    report.send(Err(error.into())).ok();
                }
            })?;
        match reported.recv() {
            Ok(Ok(())) => Ok(Control {
                thread,
                stop: Some(stop),
            }),
            Ok(Err(error)) => Err(error),
            Err(_gone) => Err(io::Error::other("its thread has ended").into()),
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
}

/// A running control plane. Dropping it stops the thread too, but does not wait for it.
#[derive(Debug)]
pub struct Control {
    thread: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Control {
    /// Drains and ends all replicas within the drain limit, then the thread. The workers should
    /// have gone before. A second SIGTERM or SIGINT meanwhile ends the replicas by force.
    pub fn shutdown(mut self) {
        drop(self.stop.take());
        if self.thread.join().is_err() {
            tracing::error!("the control plane's thread panicked");
        }
    }
}

type Report = std_mpsc::SyncSender<Result<(), ControlError>>;

/// The thread's work, from restoring what was deployed to ending it.
async fn run(
    prepared: Prepared,
    shared: Arc<Shared>,
    options: Options,
    stopped: oneshot::Receiver<()>,
    report: &Report,
) {
    let drain_max = prepared.config.limits.drain_timeout;
    let plane = match Plane::restore(&prepared, Arc::clone(&shared), &options) {
        Ok(plane) => plane,
        Err(error) => {
            report.send(Err(error)).ok();
            return;
        }
    };
    let Prepared {
        listener, state, ..
    } = prepared;
    let served = UnixListener::from_std(listener).map(|listener| {
        spawn_local(Rc::clone(&plane.api).serve(listener));
    });
    let signals = signals::Signals::new();
    let mut signals = match served.and(signals) {
        Ok(signals) => signals,
        Err(error) => {
            report.send(Err(error.into())).ok();
            return;
        }
    };
    report.send(Ok(())).ok();
    let mut on_terminate = options.on_terminate;
    let leave = async {
        // Also when the handle was dropped.
        stopped.await.ok();
        plane.provider.shutdown(drain_max).await;
    };
    tokio::select! {
        () = leave => {}
        () = signals.watch(|what| {
            plane.prepare_to_leave(what);
            on_terminate(what);
        }) => {}
    }
    tracing::info!("the control plane has ended");
    // The lock last: whoever comes next finds nothing running.
    drop(state);
}

/// What lives on the thread.
struct Plane {
    api: Rc<Api>,
    provider: Rc<dyn Provider>,
    context: Rc<Context>,
}

impl Plane {
    /// Brings back what was deployed and publishes it.
    fn restore(
        prepared: &Prepared,
        shared: Arc<Shared>,
        options: &Options,
    ) -> Result<Self, ControlError> {
        let routes = Rc::new(Routes::new(Arc::clone(&shared)));
        prepared.statics.route(&routes);
        let program = WatchdogProgram::choose(prepared.config.watchdog, &prepared.state.run())?;
        let launcher = WatchdogLauncher::new(program, prepared.state.places());
        let context = Rc::new(Context::new(
            Box::new(launcher),
            Rc::clone(&routes),
            prepared.config.limits.clone(),
        ));
        let store = SpecStore::open(prepared.state.root()).map_err(ControlError::Restore)?;
        let provider = LocalProvider::restore(store, Rc::clone(&context), &prepared.statics.ids())
            .map_err(ControlError::Restore)?;
        let provider: Rc<dyn Provider> = Rc::new(provider);
        routes.flush();
        spawn_local(Rc::clone(&routes).publish_changes());
        let api = Rc::new(Api {
            provider: Rc::clone(&provider),
            routes,
            statics: prepared.statics.clone(),
            shared,
            about: About::new(&options.driver),
        });
        Ok(Self {
            api,
            provider,
            context,
        })
    }

    /// A signal has come; the workers are told next.
    fn prepare_to_leave(&self, what: Termination) {
        // Who follows a log is a request in flight, for which the workers would wait.
        self.provider.end_followers();
        if what == Termination::AtOnce {
            self.context.hurry();
        }
    }
}
