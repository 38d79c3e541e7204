//! How another thread gets the attention of a core: it rings, the core's task wakes up.
//!
//! It carries no data; what the ring means lies elsewhere (a snapshot, a flag).

use std::{
    io::{self, PipeWriter as StdPipeWriter, Write},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use crate::{PipeReader, fd::set_nonblocking};

/// The end that waits. Turn it into a [`Bell`] on the thread of its runtime.
#[derive(Debug)]
pub struct Bell {
    fd: OwnedFd,
}

/// The end that rings, from any thread.
#[derive(Debug, Clone)]
pub struct Ringer {
    pipe: Arc<StdPipeWriter>,
}

/// Makes a bell.
///
/// # Errors
/// When no descriptor is left.
pub fn bell() -> io::Result<(Ringer, Bell)> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(writer.as_fd())?;
    Ok((
        Ringer {
            pipe: Arc::new(writer),
        },
        Bell { fd: reader.into() },
    ))
}

impl Ringer {
    /// Wakes the other end, once or a few times.
    pub fn ring(&self) {
        // A full pipe (it never blocks) means that it rings already, a closed one that nobody is
        // there to hear.
        (&*self.pipe).write_all(b"!").ok();
    }
}

impl Bell {
    /// Calls `on_ring` on this thread each time it rings, until all ringers are gone.
    ///
    /// # Errors
    /// When the bell cannot be polled.
    pub async fn listen(self, mut on_ring: impl FnMut()) -> io::Result<()> {
        let mut pipe = PipeReader::new(self.fd)?;
        while !pipe.recv().await?.is_empty() {
            on_ring();
        }
        Ok(())
    }
}
