//! Handing the listening sockets to the gateway that replaces this one, so that not a single
//! connection is lost between the two.
//!
//! Why: a connection that waits in the backlog of a socket is reset when that socket is closed, and
//! where several sockets share a port (SO_REUSEPORT) the kernel has chosen the socket when the
//! client's first packet came. So a gateway that leaves must not close sockets: its successor gets
//! the very same ones, and whatever waits in them is accepted by either.
//!
//! How: a running gateway listens on an abstract Unix socket, its *door*, that is named for the
//! address ([`name`]). A gateway that is started with `--reuse-port` connects there and is sent the
//! door itself and all sockets of the address (SCM_RIGHTS, unix(7)). It keeps that connection for as
//! long as it lives, as a *lease*: meanwhile the older one leaves the door to it, and if the newer
//! one goes first, the older one attends to it again. So there is always exactly one that answers,
//! the name is never free in between, and a chain of replacements works however each link ends.
//!
//! Both sides look at the other's user (SO_PEERCRED) and ignore all but their own: anybody may take
//! the name first, or knock. An abstract name belongs to the network namespace, as the port does.
//!
//! What it does not do: hand over connections; a gateway finishes those that it has accepted.

mod ask;
mod offer;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, recvmsg, sendmsg,
};

pub(crate) use ask::{Inheritance, ask};
pub(crate) use offer::{Goods, Withdrawal, offering};

/// The name of an address's door.
fn name(address: SocketAddr) -> String {
    format!("ringway/listen/{address}")
}

fn abstract_name(address: SocketAddr) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new_abstract_name(name(address).as_bytes())?)
}

/// Whether the process at the other end runs as this one's user.
///
/// # Errors
/// What getsockopt(2) answered.
fn is_same_user(socket: &impl AsFd) -> io::Result<bool> {
    let peer = getsockopt(socket, PeerCredentials)?;
    Ok(peer.uid() == rustix::process::geteuid().as_raw())
}

/// Descriptors in one message; the kernel takes up to 253 (SCM_MAX_FD).
const PER_MESSAGE: usize = 64;

/// More than any machine has cores, so that nobody can fill our table of descriptors.
const DESCRIPTORS_MAX: usize = 4096;

/// What a message says, before the number of descriptors that are still to come. The number in it
/// is that of the protocol.
const GREETING: &str = "ringway sockets 1, to come: ";

/// Sends descriptors, in as many messages as it takes. The socket keeps messages apart
/// (SOCK_SEQPACKET).
fn send(to: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut to_come = descriptors.len();
    for some in descriptors.chunks(PER_MESSAGE) {
        to_come -= some.len();
        let text = format!("{GREETING}{to_come}");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PER_MESSAGE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(some));
        let text = [IoSlice::new(text.as_bytes())];
        sendmsg(to, &text, &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives what [`send`] sent.
fn receive(from: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    let mut received = Vec::new();
    loop {
        let mut text = [0; 64];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PER_MESSAGE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut text)];
        let message = recvmsg(from, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let before = received.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                received.extend(descriptors);
            }
        }
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
        let to_come = text
            .get(..message.bytes)
            .filter(|_| !message.flags.intersects(cut))
            .and_then(|text| std::str::from_utf8(text).ok())
            .and_then(|text| text.strip_prefix(GREETING))
            .and_then(|number| number.parse::<usize>().ok());
        let is_progress = before < received.len() && received.len() <= DESCRIPTORS_MAX;
        match to_come {
            Some(0) if is_progress => return Ok(received),
            Some(_) if is_progress => {}
            _ => return Err(io::Error::other("it speaks another language")),
        }
    }
}
