//! The newer gateway's side: asking who listens on an address for its sockets.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with,
    sockopt::{Timeout, set_socket_timeout, socket_acceptconn},
};
use socket2::{Socket, Type};

use super::{abstract_name, is_same_user, receive};

/// How long the older gateway may take to answer. It does at once, unless it is stopped, or has
/// handed its door to a third one that is still starting.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What another gateway has handed over for one address.
#[derive(Debug)]
pub(crate) struct Inheritance {
    /// Its listening sockets, all of them: each is to be accepted from, or clients that the kernel
    /// sends there wait in vain.
    pub(crate) sockets: Vec<Socket>,
    /// What is to be kept for as long as this gateway lives.
    pub(super) keys: Keys,
}

/// The place of whoever answers for an address.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) door: OwnedFd,
    /// While it is open, the older gateway leaves the door to this one.
    pub(super) lease: OwnedFd,
}

/// Asks for the sockets of an address. `None` if nobody offers them, or whoever does is not to be
/// trusted or does not answer; the log says so.
pub(crate) fn ask(address: SocketAddr) -> Option<Inheritance> {
    match try_ask(address) {
        Ok(inheritance) => {
            let sockets = inheritance.sockets.len();
            tracing::info!(%address, sockets, "listening sockets were taken over from a gateway");
            Some(inheritance)
        }
        // connect(2): nobody has this name.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(%address, "no gateway offers its listening sockets");
            None
        }
        Err(error) => {
            tracing::warn!(
                %address, %error,
                "listening sockets cannot be taken over: connections that wait in them when the \
                 other gateway ends will be lost"
            );
            None
        }
    }
}

fn try_ask(address: SocketAddr) -> io::Result<Inheritance> {
    let lease = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Also for connect(2), which waits where too many others do.
    for direction in [Timeout::Recv, Timeout::Send] {
        set_socket_timeout(&lease, direction, Some(ANSWER_MAX))?;
    }
    connect(&lease, &abstract_name(address)?)?;
    if !is_same_user(&lease)? {
        return Err(io::Error::other("they are offered by another user"));
    }
    let mut descriptors = receive(&lease)?.into_iter();
    let door = descriptors.next().filter(|door| is_door(door, address));
    let door = door.ok_or_else(|| io::Error::other("its door is missing"))?;
    let sockets = descriptors.map(Socket::from).collect::<Vec<_>>();
    if sockets.is_empty() || !sockets.iter().all(|socket| listens_on(socket, address)) {
        return Err(io::Error::other("what it sent are not the right sockets"));
    }
    Ok(Inheritance {
        sockets,
        keys: Keys { door, lease },
    })
}

fn is_door(descriptor: &OwnedFd, address: SocketAddr) -> bool {
    let has_name = || {
        let name = getsockname(descriptor)?;
        io::Result::Ok(name == abstract_name(address)?.into())
    };
    socket_acceptconn(descriptor.as_fd()).is_ok_and(|listens| listens)
        && has_name().is_ok_and(|same| same)
}

fn listens_on(socket: &Socket, address: SocketAddr) -> bool {
    let own = socket.local_addr().map(|own| own.as_socket());
    socket.is_listener().is_ok_and(|listens| listens)
        && socket.r#type().is_ok_and(|kind| kind == Type::STREAM)
        && own.is_ok_and(|own| own == Some(address))
}
