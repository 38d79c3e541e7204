//! What this back end asks of the kernel, and what comes back: the seam where tests put another
//! kernel, which answers in any order, late, short or not at all.

use std::{io, os::fd::OwnedFd, rc::Rc, time::Duration};

use socket2::SockAddr;

use super::socket::Socket;
use crate::Chunk;

/// One operation. It owns all that the kernel reads or writes while it is under way, and the
/// descriptor that it is for: whoever waited for it may be gone by then.
#[derive(Debug)]
pub(super) enum Request {
    /// Bytes as they come, each in a buffer of the kernel's choosing, until the stream ends, the
    /// buffers run out, or it is cancelled.
    Receive(Rc<Socket>),
    /// All of a chunk, however long that takes; less when the connection breaks meanwhile.
    Send(Rc<Socket>, Chunk),
    /// A connection.
    Connect(Rc<Socket>, Box<SockAddr>),
    /// That a descriptor can be read.
    Readable(Rc<OwnedFd>),
    /// That a descriptor can be written.
    Writable(Rc<OwnedFd>),
    /// The end of another operation, whose own completion says how it ended.
    Cancel(Token),
}

/// Names an operation to the kernel: its slot, and how often that slot was used before, so that a
/// late word about an earlier operation is not taken for one about this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

impl Token {
    /// As the kernel carries it.
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// As it comes back.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of 64 bits are taken apart"
    )]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self {
            slot: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// The kernel's word about an operation.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) token: Token,
    /// A count, or an errno below zero.
    pub(super) result: i32,
    /// More words about the same operation will follow.
    pub(super) more: bool,
    /// What was received.
    pub(super) data: Option<Chunk>,
}

/// How long to wait for a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all: there is other work.
    No,
    /// Until there is one, or this long.
    Within(Duration),
    /// Until there is one.
    Long,
}

/// A kernel, or what a test puts in its place.
pub(super) trait Kernel {
    /// Starts an operation at the next [`Kernel::enter`]; tells whether there is room for it, which
    /// there is again after one.
    ///
    /// # Safety
    /// What `request` owns must live until the last completion of `token`, if there is room.
    #[expect(unsafe_code, reason = "the kernel keeps pointers into the request")]
    #[must_use]
    unsafe fn start(&mut self, token: Token, request: &Request) -> bool;

    /// Hands over what was started and waits, as far as `wait` says, for one completion.
    ///
    /// # Errors
    /// What io_uring_enter(2) answered, but for what passes.
    fn enter(&mut self, wait: Wait) -> io::Result<()>;

    /// Receives that can have a buffer at the same time.
    fn buffers(&self) -> usize;

    /// The next completion that has come.
    fn next(&mut self) -> Option<Completion>;
}

#[cfg(test)]
impl Kernel for Box<dyn Kernel> {
    #[expect(unsafe_code, reason = "handed on as it is")]
    unsafe fn start(&mut self, token: Token, request: &Request) -> bool {
        // SAFETY: by this function's own contract.
        unsafe { (**self).start(token, request) }
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        (**self).enter(wait)
    }

    fn buffers(&self) -> usize {
        (**self).buffers()
    }

    fn next(&mut self) -> Option<Completion> {
        (**self).next()
    }
}
