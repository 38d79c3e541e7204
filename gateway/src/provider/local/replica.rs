//! One replica: a watchdog process on a Unix socket that it was handed.
//!
//! It gets descriptors 0 (nothing), 1 and 2 (our pipe), 3 (its listening socket, as sd_listen_fds(3)
//! has it) and 4 (the lifeline: a pipe whose other end only this gateway holds, so that its end
//! of file says that the gateway is gone, however it went), and an environment from scratch. It
//! runs in a session and, where the machine allows, a control group of its own: what it starts
//! can be found and ended.
//!
//! `LISTEN_PID` is left out, since a pid is not known before posix_spawn(3) has returned; the
//! watchdog takes its absence as meant for itself.
//!
//! What it does not do: start again, or decide about traffic; `slot` does.

use std::{
    cell::Cell,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use net::Endpoint;
use process::{
    Child, Command, Group, Signal, Stdio,
    limits::{Enforcer, Limits},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::unix::pipe,
    task::{JoinHandle, spawn_local},
    time::timeout,
};

use super::{
    chores::{Chore, Chores},
    environment,
    fence::Fence,
    health,
    launch::{Later, Launcher, Order, Running, Unhealthy},
    leftovers::{Record, boot_id},
    logs::instance_name,
    places::{Files, Places},
    program::WatchdogProgram,
};

/// The number of the lifeline in the watchdog.
const LIFELINE_FD: RawFd = 4;
/// For a process that was sent SIGKILL to be gone; longer only where the kernel itself hangs.
const KILL_MAX: Duration = Duration::from_secs(10);
/// For the last output of a replica that has ended.
const LAST_OUTPUT_MAX: Duration = Duration::from_millis(200);

/// Starts watchdogs.
#[derive(Debug)]
pub(crate) struct WatchdogLauncher {
    program: WatchdogProgram,
    places: Places,
    enforcer: Arc<Enforcer>,
    boot: String,
    chores: Chores,
    /// Groups that were made to see what is enforced; each has a name of its own.
    trials: Cell<u64>,
}

impl WatchdogLauncher {
    /// Finds out what limits this machine can enforce, and says so in the log.
    pub(crate) fn new(program: WatchdogProgram, places: Places) -> Self {
        let enforcer = Enforcer::detect();
        tracing::info!(
            watchdog = %program.path.display(),
            limits = enforcer.describe(),
            "functions run as processes of this machine"
        );
        Self {
            program,
            places,
            enforcer: Arc::new(enforcer),
            boot: boot_id(),
            chores: Chores::new(),
            trials: Cell::new(0),
        }
    }

    fn start(&self, order: &Order) -> io::Result<Replica> {
        let spec = &order.spec;
        let files = Files::make(&self.places, &spec.id, order.instance)?;
        let socket = net::bind_unix(&files.socket)?;
        let (log_read, log_write) = process::pipe()?;
        // Whatever may fail without a process is done before there is one to be ended.
        let output = pipe::Receiver::from_owned_fd(log_read)?;
        let (lifeline_read, lifeline) = process::pipe()?;
        let dir = spec.dir.as_deref().unwrap_or(&files.own_dir);
        let child = Command::new(&self.program.path)
            .args(&self.program.args)
            .envs(environment::variables(spec, &files.own_dir))
            .env("LISTEN_FDS", "1")
            .env("RINGWAY_LIFELINE_FD", LIFELINE_FD.to_string())
            .dir(dir)
            .stdout(Stdio::Fd(log_write))
            .stderr(Stdio::StdoutCopy)
            .pass_fd(socket.into(), 3)
            .pass_fd(lifeline_read, LIFELINE_FD)
            .group(Group::NewSession)
            .spawn()
            .map_err(io::Error::other)?;
        let pid = child.pid();
        let recorded = Record::of(pid, &self.boot).map_or(Ok(()), |record| files.record(&record));
        if let Err(error) = recorded {
            return Err(give_up(child, error));
        }
        let watched = watch(child).map_err(|(child, error)| give_up(child, error))?;
        let name = instance_name(&spec.id, order.instance);
        let log = spawn_local(Rc::clone(&order.logs).pump(output, order.instance));
        Ok(Replica {
            authority: spec.id.name().to_owned(),
            started: Started {
                watched,
                fence: Fence::begin(
                    &self.chores.fences,
                    Arc::clone(&self.enforcer),
                    name,
                    pid,
                    spec.limits,
                ),
                files,
                removals: self.chores.removals.clone(),
                lifeline,
            },
            log,
        })
    }
}

/// Has the runtime watch a child's pidfd.
#[expect(
    deprecated,
    reason = "its successor asks for `unsafe` and a promise, which a `Child` keeps: it owns one pidfd for life"
)]
fn watch(child: Child) -> Result<AsyncFd<Watched>, (Child, io::Error)> {
    AsyncFd::try_with_interest(Watched(child), Interest::READABLE).map_err(|error| {
        let (Watched(child), error) = error.into_parts();
        (child, error)
    })
}

/// Ends a process that cannot be used. It is new, so this takes microseconds.
fn give_up(mut child: Child, error: io::Error) -> io::Error {
    let ended = child
        .kill_group(Signal::KILL)
        .and_then(|()| child.wait().map(drop));
    if let Err(error) = ended {
        tracing::error!(pid = child.pid(), %error, "a replica that cannot be used cannot be ended");
    }
    error
}

impl Launcher for WatchdogLauncher {
    fn launch(&self, order: &Order) -> Result<Box<dyn Running>, String> {
        match self.start(order) {
            Ok(replica) => Ok(Box::new(replica)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn warnings(&self, limits: Limits) -> Later<'_, Vec<String>> {
        Box::pin(async move {
            if limits == Limits::default() {
                return Vec::new();
            }
            let enforcer = Arc::clone(&self.enforcer);
            let name = format!("trial-{}", self.trials.replace(self.trials.get() + 1));
            // Asked of a group that is made and dropped: whether a limit can be set is seen
            // only by setting it.
            let trial = self.chores.fences.run(move || {
                let group = enforcer.group(&name, limits)?;
                io::Result::Ok(group.warnings().to_vec())
            });
            match trial.await.map_err(io::Error::other).flatten() {
                Ok(warnings) => warnings,
                Err(error) => vec![format!("limits cannot be enforced: {error}")],
            }
        })
    }
}

/// A child that the runtime can wait for by its pidfd.
#[derive(Debug)]
struct Watched(Child);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.pidfd().as_raw_fd()
    }
}

/// The process and what is its own.
#[derive(Debug)]
struct Started {
    watched: AsyncFd<Watched>,
    fence: Fence,
    files: Files,
    removals: Chore,
    /// Held, never written.
    lifeline: OwnedFd,
}

impl Started {
    fn pid(&self) -> i32 {
        self.watched.get_ref().0.pid()
    }
}

/// A watchdog that was started.
struct Replica {
    authority: String,
    started: Started,
    log: JoinHandle<()>,
}

impl Running for Replica {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.started.files.socket.clone())
    }

    fn pid(&self) -> i32 {
        self.started.pid()
    }

    fn ended(&self) -> Later<'_, ()> {
        Box::pin(async {
            // A pidfd that cannot be polled counts as ended: what follows ends it for sure.
            self.started.watched.readable().await.map(drop).ok();
        })
    }

    fn check(&self) -> Later<'_, Result<(), Unhealthy>> {
        Box::pin(async {
            let closed = self.started.fence.closed().await;
            closed.map_err(|why| {
                Unhealthy::NoAnswer(format!("it cannot be put under its limits: {why}"))
            })?;
            health::check(&self.started.files.socket, &self.authority).await
        })
    }

    fn ask_to_end(&self) {
        if let Err(error) = self.started.watched.get_ref().0.signal(Signal::TERM) {
            tracing::warn!(pid = self.started.pid(), %error, "a replica cannot be asked to end");
        }
    }

    fn clean_up(self: Box<Self>) -> Later<'static, String> {
        Box::pin(async move {
            let how = end(self.started).await;
            let mut log = self.log;
            if timeout(LAST_OUTPUT_MAX, &mut log).await.is_err() {
                // Something that left the session and its group holds the pipe.
                log.abort();
            }
            how
        })
    }
}

/// Ends the process and all that it started, reaps it, and removes its files.
async fn end(started: Started) -> String {
    let pid = started.pid();
    let Started {
        mut watched,
        fence,
        files,
        removals,
        lifeline,
    } = started;
    // Before it is reaped: until then its number is its own.
    let group = fence.end_all(pid, files.own_dir.clone()).await;
    let killed = watched.get_ref().0.signal(Signal::KILL);
    let gone = timeout(KILL_MAX, watched.readable()).await.is_ok();
    let how = match watched.get_mut().0.try_wait() {
        Ok(Some(exit)) => exit.to_string(),
        Ok(None) => {
            tracing::error!(pid, gone, killed = ?killed.err(), "a replica does not end although it was killed");
            "still there".to_owned()
        }
        Err(error) => error.to_string(),
    };
    drop((watched, lifeline));
    // Removing what a function left in its directory may take long.
    removals.run(move || drop((files, group))).await.ok();
    how
}
