//! Whether the peer of a connection is still there, learnt without reading from it.
//!
//! What it does not do: see past bytes that nobody has read.

use std::{future::pending, io, mem::MaybeUninit, os::fd::AsRawFd, rc::Rc};

use socket2::SockRef;

use crate::{
    fd::{Readiness, borrow_socket},
    ring,
};

/// Waits for the end of the peer's stream without reading from it.
#[derive(Debug)]
pub struct HangUp(Watch);

#[derive(Debug)]
enum Watch {
    Descriptor(Readiness),
    /// Its receive is on and brings the end by itself.
    Ring(Rc<ring::Socket>),
}

impl HangUp {
    /// By polling a descriptor that nobody else polls.
    pub(crate) const fn of_descriptor(readiness: Readiness) -> Self {
        Self(Watch::Descriptor(readiness))
    }

    /// By the receive that is under way.
    pub(crate) const fn of_ring(socket: Rc<ring::Socket>) -> Self {
        Self(Watch::Ring(socket))
    }

    /// Ends when the peer has closed its side or reset the connection. When it sends bytes in
    /// place of that (a pipelined request), the watch cannot see past them and never ends.
    pub async fn hung_up(&self) -> Parting {
        let readiness = match &self.0 {
            Watch::Descriptor(readiness) => readiness,
            Watch::Ring(socket) => {
                return match socket.ended().await {
                    0 => Parting::Finished,
                    _errno => Parting::Reset,
                };
            }
        };
        if readiness.readable().await.is_err() {
            // It says nothing about the peer; the next read or write will.
            pending::<()>().await;
        }
        let socket = borrow_socket(readiness.as_raw_fd(), self);
        match peek(&SockRef::from(&socket)) {
            Peek::Finished => Parting::Finished,
            Peek::Broken => Parting::Reset,
            Peek::Bytes | Peek::Nothing => pending().await,
        }
    }
}

/// How a peer has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// It sends no more; it may still read (FIN).
    Finished,
    /// It neither sends nor reads (RST).
    Reset,
}

/// What a look at the socket's receive queue shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Peek {
    Nothing,
    Bytes,
    Finished,
    Broken,
}

pub(crate) fn peek(socket: &SockRef<'_>) -> Peek {
    let mut byte = [MaybeUninit::uninit(); 1];
    match socket.recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT) {
        Ok(0) => Peek::Finished,
        Ok(_) => Peek::Bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Peek::Nothing,
        Err(_) => Peek::Broken,
    }
}
