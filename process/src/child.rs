//! A running process, held by its pidfd.
//!
//! A process id is only a number that the kernel may give to another process once ours has been
//! waited for. Everything here goes through the pidfd, which means this one process for ever; the
//! exception is the process group, which has no such handle (see [`Child::kill_group`]).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};

use crate::{Exit, Signal};

/// A process that this one started.
///
/// Dropping it neither ends nor waits for the process: whoever owns a `Child` must see to it that
/// [`Child::try_wait`] or [`Child::wait`] returns its [`Exit`], or a zombie stays until this
/// process ends.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    own_group: bool,
    exit: Option<Exit>,
}

impl Child {
    pub(crate) fn new(pid: Pid, pidfd: OwnedFd, own_group: bool) -> Self {
        Self {
            pid,
            pidfd,
            own_group,
            exit: None,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    /// Its pidfd, which becomes readable when it has ended, pidfd_open(2).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Whether it has ended. It stays unreaped, so its process id and group are still its own.
    ///
    /// # Errors
    /// What waitid(2) reports; `ECHILD` if something else has waited for it.
    pub fn has_ended(&self) -> io::Result<bool> {
        if self.exit.is_some() {
            return Ok(true);
        }
        Ok(self
            .wait_with(WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT)?
            .is_some())
    }

    /// How it ended, if it has; reaps it. May be asked again.
    ///
    /// # Errors
    /// What waitid(2) reports; `ECHILD` if something else has waited for it.
    pub fn try_wait(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_none() {
            self.exit = self
                .wait_with(WaitIdOptions::NOHANG)?
                .as_ref()
                .map(Exit::from_wait);
        }
        Ok(self.exit)
    }

    /// Waits until it has ended, and reaps it. Stops the calling thread: not for event loops.
    ///
    /// # Errors
    /// As [`Child::try_wait`].
    pub fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            self.exit = self
                .wait_with(WaitIdOptions::empty())?
                .as_ref()
                .map(Exit::from_wait);
        }
    }

    fn wait_with(&self, how: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
        rustix::io::retry_on_intr(|| {
            waitid(
                WaitId::PidFd(self.pidfd.as_fd()),
                WaitIdOptions::EXITED | how,
            )
        })
        .map_err(io::Error::from)
    }

    /// Sends a signal to this process alone. It is no error if it has already ended.
    ///
    /// # Errors
    /// What pidfd_send_signal(2) reports: `EPERM` if it runs as another user.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal.raw()) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a signal to its process group, if it was started with one of its own; else, to itself.
    ///
    /// Once it has been reaped this does nothing: the number of its group may belong to others by
    /// then. So to end what a process left behind, wait for its end with [`Child::has_ended`] or
    /// the pidfd, call this, then reap it.
    ///
    /// # Errors
    /// What kill(2) reports: `EPERM` if no member may be signalled.
    pub fn kill_group(&self, signal: Signal) -> io::Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        if !self.own_group {
            return self.signal(signal);
        }
        crate::kill_group(self.pid(), signal)
    }
}
