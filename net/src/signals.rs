//! Signals as something to wait for: blocked for the process, read from a signalfd(2).

use std::{io, os::fd::OwnedFd};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

use crate::Readiness;

/// Waits for a set of signals.
#[derive(Debug)]
pub struct Signals {
    readiness: Readiness,
}

impl Signals {
    /// Blocks `signals` for this thread, and so for those that it starts later: call it before
    /// any other thread exists. A child that must see them needs its mask reset (posix_spawn
    /// does).
    ///
    /// # Errors
    /// What sigprocmask(2) or signalfd(2) answered.
    ///
    /// # Panics
    /// Outside [`crate::Runtime::block_on`], since the descriptor is registered with its runtime.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self {
            readiness: Readiness::new(OwnedFd::from(fd))?,
        })
    }

    /// Waits for the next signal.
    ///
    /// # Errors
    /// What read(2) answered.
    pub async fn next(&mut self) -> io::Result<Signal> {
        loop {
            let mut buffer = Vec::with_capacity(size_of::<libc::signalfd_siginfo>());
            match self.readiness.try_read(&mut buffer) {
                Ok(_) => {
                    // The first field of signalfd_siginfo is ssi_signo, a u32.
                    let number = buffer
                        .first_chunk::<4>()
                        .map_or(0, |b| u32::from_ne_bytes(*b));
                    let number = i32::try_from(number).unwrap_or(0);
                    return Signal::try_from(number).map_err(io::Error::from);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness.readable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
