//! Whether this kernel, as it treats this process, has what the ring needs.

use std::io;

use io_uring::{
    Probe,
    opcode::{AsyncCancel, Connect, PollAdd, RecvMulti, Send},
};

use super::uring::{Size, Uring};

/// Why there can be no ring.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What the kernel answered.
    Kernel(io::Error),
    /// An operation that it does not know.
    Lacks(&'static str),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

/// The operations in use, by name and opcode.
const OPERATIONS: [(&str, u8); 5] = [
    ("async cancel", AsyncCancel::CODE),
    ("connect", Connect::CODE),
    ("poll", PollAdd::CODE),
    ("receive", RecvMulti::CODE),
    ("send", Send::CODE),
];

/// Sets up a ring like those of the workers, and takes it down.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn probe(size: Size) -> Result<(), Refusal> {
    let uring = Uring::new(size)?;
    // With nothing to submit: a filter may let a ring be made and refuse its use.
    uring.submitter().submit()?;
    let mut probe = Probe::new();
    uring.submitter().register_probe(&mut probe)?;
    match missing(&probe) {
        Some(name) => Err(Refusal::Lacks(name)),
        None => Ok(()),
    }
}

/// The first operation that the kernel does not know.
fn missing(probe: &Probe) -> Option<&'static str> {
    let mut operations = OPERATIONS.iter();
    let lacks = operations.find(|(_, code)| !probe.is_supported(*code));
    lacks.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_lacks_an_operation_is_found_out() {
        // One that was never filled in knows nothing.
        assert_eq!(missing(&Probe::new()), Some(OPERATIONS[0].0));
    }
}
