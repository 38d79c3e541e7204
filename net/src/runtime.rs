//! One executor for one thread.
//!
//! What it does not do: move a task to another thread, or know what the tasks are for.

use std::{future::Future, io, thread, time::Duration};

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder, time::TimeDriver};

use crate::{Driver, DriverKind, SelectError, ring, timer};

/// How often a ring is tried when there is no memory for it.
const TRIES: u32 = 10;

/// The pause between two tries. The kernel gives a ring's memory back some milliseconds after it
/// was closed, that of a process that has ended included.
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The executor and its driver. Make it on the thread that runs it: the ring has one issuer.
pub struct Runtime {
    inner: Inner,
}

enum Inner {
    Ring(ring::RingRuntime),
    MonoioUring(monoio::Runtime<TimeDriver<IoUringDriver>>),
    Epoll(monoio::Runtime<TimeDriver<LegacyDriver>>),
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.inner {
            Inner::Ring(_) => DriverKind::Ring,
            Inner::MonoioUring(_) => DriverKind::MonoioUring,
            Inner::Epoll(_) => DriverKind::Epoll,
        };
        f.debug_struct("Runtime").field("driver", &kind).finish()
    }
}

impl Runtime {
    /// Makes the executor for this thread. Where memory is short a ring is waited for up to 100 ms,
    /// since that of rings that were closed comes back late.
    ///
    /// # Errors
    /// What io_uring_setup(2) or epoll_create(2) answered: no memory or no descriptors left.
    /// [`Driver::after`] says what is left then.
    pub fn new(driver: &Driver) -> io::Result<Self> {
        let is_short = |error: &io::Error| error.raw_os_error() == Some(libc::ENOMEM);
        patiently(|| Self::try_new(driver), is_short)
    }

    /// Makes the executor for this thread on `driver`, or on what is left of it where that cannot
    /// be made; says which. For a program of one thread: several are to agree.
    ///
    /// # Errors
    /// When none can be made, or only on what was not asked for.
    pub fn on_any(mut driver: Driver) -> Result<(Self, Driver), SelectError> {
        loop {
            match Self::new(&driver) {
                Ok(runtime) => return Ok((runtime, driver)),
                Err(error) => driver = driver.after(error)?,
            }
        }
    }

    fn try_new(driver: &Driver) -> io::Result<Self> {
        let size = driver.size();
        let inner = match driver.kind {
            DriverKind::Ring => Inner::Ring(ring::RingRuntime::of_size(size)?),
            DriverKind::MonoioUring => Inner::MonoioUring(
                RuntimeBuilder::<TimeDriver<IoUringDriver>>::new()
                    .uring_builder(driver.monoio_ring())
                    .with_entries(size.entries)
                    .build()?,
            ),
            DriverKind::Epoll => {
                Inner::Epoll(RuntimeBuilder::<TimeDriver<LegacyDriver>>::new().build()?)
            }
        };
        Ok(Self { inner })
    }

    /// Runs `main`, and the tasks that it spawns, until `main` ends. Tasks that are still there
    /// then are dropped with the runtime.
    pub fn block_on<F: Future>(&mut self, main: F) -> F::Output {
        let main = async {
            spawn(timer::sweep());
            main.await
        };
        match &mut self.inner {
            Inner::Ring(runtime) => runtime.block_on(main),
            Inner::MonoioUring(runtime) => runtime.block_on(main),
            Inner::Epoll(runtime) => runtime.block_on(main),
        }
    }
}

/// Tries again a few times where memory is short.
pub(crate) fn patiently<T, E>(
    mut attempt: impl FnMut() -> Result<T, E>,
    is_short: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for _ in 1..TRIES {
        match attempt() {
            Err(error) if is_short(&error) => thread::park_timeout(BETWEEN_TRIES),
            result => return result,
        }
    }
    attempt()
}

/// Starts a task on this thread's executor.
///
/// # Panics
/// Outside [`Runtime::block_on`].
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    match back_end() {
        BackEnd::Ring => ring::spawn(task),
        BackEnd::Monoio => drop(monoio::spawn(task)),
    }
}

/// Who runs the tasks of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackEnd {
    /// The room `ring`.
    Ring,
    /// monoio, with either driver.
    Monoio,
}

/// Who runs the tasks of this thread.
pub(crate) fn back_end() -> BackEnd {
    if ring::is_here() {
        BackEnd::Ring
    } else {
        BackEnd::Monoio
    }
}

/// Whether the current thread's descriptors must be non-blocking (epoll) or not (io_uring).
pub(crate) fn wants_nonblocking() -> bool {
    back_end() == BackEnd::Monoio && monoio::utils::is_legacy()
}
