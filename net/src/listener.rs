//! Listening sockets: TCP with SO_REUSEPORT so that each core has its own, Unix by path.
//!
//! What it does not do: accept in a loop or decide what to do when descriptors run out; the
//! worker does.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    path::Path,
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::{
    Readiness, Stream,
    fd::{borrow_socket, set_nonblocking_if_needed},
    runtime::{BackEnd, back_end, wants_nonblocking},
};

/// Connections that the kernel holds for us before we accept them (capped by
/// net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Binds a TCP listener. With `share_port`, other sockets of this user may bind the same address
/// and the kernel spreads connections over them (SO_REUSEPORT, socket(7)).
///
/// # Errors
/// What bind(2) or listen(2) answered: address in use, no permission, unknown address.
pub fn bind_tcp(address: SocketAddr, share_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Binds a listener at a path of the file system, which must not exist yet.
///
/// # Errors
/// What bind(2) answered: exists already, no permission, or a path over 107 bytes.
pub fn bind_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A listening socket on this core's runtime.
pub struct Listener {
    inner: Inner,
}

enum Inner {
    Ring {
        socket: Socket,
        readiness: Readiness,
        is_tcp: bool,
    },
    Tcp(monoio::net::TcpListener),
    Unix(monoio::net::UnixListener),
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.inner {
            Inner::Ring { .. } => "Listener(ring)",
            Inner::Tcp(_) => "Listener(tcp)",
            Inner::Unix(_) => "Listener(unix)",
        })
    }
}

impl Listener {
    /// Takes over a bound, listening socket. Call it on the runtime's thread.
    ///
    /// # Errors
    /// When the socket is neither TCP nor Unix, or cannot be registered.
    pub fn new(socket: Socket) -> io::Result<Self> {
        let domain = socket.domain()?;
        if back_end() == BackEnd::Ring {
            let readiness = Readiness::new(socket.as_fd().try_clone_to_owned()?)?;
            let is_tcp = domain != Domain::UNIX;
            return Ok(Self {
                inner: Inner::Ring {
                    socket,
                    readiness,
                    is_tcp,
                },
            });
        }
        set_nonblocking_if_needed(socket.as_fd())?;
        let fd = OwnedFd::from(socket);
        let inner = if domain == Domain::UNIX {
            Inner::Unix(monoio::net::UnixListener::from_std(fd.into())?)
        } else {
            Inner::Tcp(monoio::net::TcpListener::from_std(fd.into())?)
        };
        Ok(Self { inner })
    }

    /// Stops listening: a pending [`Listener::accept`] ends with an error, so that no connection is
    /// taken from the kernel and then forgotten, as a dropped one might be.
    pub fn stop(&self) {
        let fd = match &self.inner {
            Inner::Ring { socket, .. } => socket.as_raw_fd(),
            Inner::Tcp(listener) => listener.as_raw_fd(),
            Inner::Unix(listener) => listener.as_raw_fd(),
        };
        let socket = borrow_socket(fd, self);
        // The error would say that it does not listen.
        SockRef::from(&socket).shutdown(Shutdown::Both).ok();
    }

    /// Waits for the next connection. The address is that of a TCP peer.
    ///
    /// # Errors
    /// What accept(2) answered; `EMFILE` and `ENFILE` pass when descriptors are free again, and
    /// `ECONNABORTED` concerns only the connection that is gone.
    pub async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match &self.inner {
            Inner::Ring {
                socket,
                readiness,
                is_tcp,
            } => loop {
                match socket.accept() {
                    Ok((stream, peer)) => {
                        if *is_tcp {
                            stream.set_tcp_nodelay(true)?;
                        }
                        return Ok((Stream::adopt(stream)?, peer.as_socket()));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        readiness.readable().await?
                    }
                    Err(error) => return Err(error),
                }
            },
            Inner::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                close_on_exec(stream.as_raw_fd(), &stream)?;
                // Replies are written whole: waiting for more (Nagle) only adds latency.
                stream.set_nodelay(true)?;
                Ok((Stream::from_tcp(stream), Some(peer)))
            }
            Inner::Unix(listener) => {
                let (stream, _unnamed) = listener.accept().await?;
                close_on_exec(stream.as_raw_fd(), &stream)?;
                Ok((Stream::from_unix(stream), None))
            }
        }
    }
}

/// The io_uring driver accepts without SOCK_CLOEXEC; a program that this process starts must not
/// get a client's connection.
fn close_on_exec<T>(fd: RawFd, owner: &T) -> io::Result<()> {
    if wants_nonblocking() {
        return Ok(());
    }
    SockRef::from(&borrow_socket(fd, owner)).set_cloexec(true)
}
