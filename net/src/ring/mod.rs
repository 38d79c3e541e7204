//! The ring back end: an executor on io_uring for one thread, with async on top.
//!
//! - `kernel`: what is asked and answered; the seam for tests.
//! - `uring`: the real kernel, with its buffers.
//! - `probe`: whether this kernel has what it takes.
//! - `operations`: what is under way, and who waits for it.
//! - `executor`: tasks, and the loop that runs them.
//! - `socket`, `timers`: what tasks wait for.
//!
//! What makes it cheap: one system call a turn for all that the tasks of a turn have started; a
//! receive that stays on over many requests and takes a buffer only when bytes come; completions
//! that go straight to the task that waits; and no task that is woken for the end of its send.
//!
//! What holds at all times, and who sees to it:
//! - What the kernel reads or writes lives until the last completion of the operation, whoever waited
//!   for it and left (`operations`).
//! - A late completion is never taken for another operation's: a token names a slot and how often it
//!   was used (`operations`).
//! - A buffer has one writer: the kernel until the completion that names it, then us (`uring`).
//! - A socket has one receive and one send under way at most, so bytes are in order (`socket`).
//! - The loop sleeps only if no task is ready and the kernel has all that it is to do (`executor`,
//!   `operations`).
//!
//! What it does not do: use linked timeouts (own timers end what takes too long), sqpoll, registered
//! files, or a wait for several completions: `bench-results/README.md` says what those were worth.

mod executor;
mod kernel;
mod operations;
mod probe;
#[cfg(test)]
mod real_kernel;
mod socket;
mod timers;
#[expect(unsafe_code, reason = "the ring itself")]
mod uring;

use std::{future::Future, io, os::fd::OwnedFd, rc::Rc};

use executor::Core;
pub(crate) use executor::RingRuntime;
use kernel::Request;
pub(crate) use probe::{Refusal, probe};
pub(crate) use socket::Socket;
pub(crate) use timers::sleep_until;
pub(crate) use uring::Size;

/// Whether this thread is within [`RingRuntime::block_on`].
pub(crate) fn is_here() -> bool {
    Core::is_here()
}

/// When the turn of this thread's loop began, a moment ago.
pub(crate) fn now() -> std::time::Instant {
    Core::with(Core::now)
}

/// Starts a task.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    Core::with(|core| core.spawn(Box::pin(task)));
}

/// Waits until a descriptor can be read.
///
/// # Errors
/// What poll(2) answered.
pub(crate) async fn readable(fd: &Rc<OwnedFd>) -> io::Result<()> {
    polled(Core::run(Request::Readable(Rc::clone(fd))).await)
}

/// Waits until a descriptor can be written.
///
/// # Errors
/// What poll(2) answered.
pub(crate) async fn writable(fd: &Rc<OwnedFd>) -> io::Result<()> {
    polled(Core::run(Request::Writable(Rc::clone(fd))).await)
}

fn polled(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok(())
}
