//! Listening sockets: TCP with SO_REUSEPORT so that each core has its own, Unix by path.
//!
//! A listener waits for readiness and then accepts without blocking. That costs a system call more
//! than an accept that the kernel completes by itself, but it can be stopped at any moment, and no
//! connection is ever taken from the kernel and then forgotten. It never calls shutdown(2): the
//! same socket may be in another process, which goes on with it.
//!
//! What it does not do: accept in a loop or decide what to do when descriptors run out; the
//! worker does.

use std::{
    cell::RefCell,
    fmt,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use monoio::net::{TcpStream, UnixStream};
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{Readiness, Stream, fd::borrow_socket, runtime::wants_nonblocking, timer::sleep};

/// Connections that the kernel holds for us before we accept them (capped by
/// net.core.somaxconn).
pub const BACKLOG: u16 = 4096;

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
    socket.listen(BACKLOG.into())?;
    Ok(socket)
}

/// Binds a listener at a path of the file system, which must not exist yet.
///
/// # Errors
/// What bind(2) answered: exists already, no permission, or a path over 107 bytes.
pub fn bind_unix(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG.into())?;
    Ok(socket)
}

/// A listening socket on this core's runtime.
///
/// However fast clients connect, other tasks have their turn: see [`Listener::accept`].
pub struct Listener {
    readiness: Readiness,
    is_tcp: bool,
    /// What accepted sockets are made with.
    flags: SocketFlags,
    pace: RefCell<Pace>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.is_tcp {
            true => "Listener(tcp)",
            false => "Listener(unix)",
        })
    }
}

/// A connection and, if it came over TCP, where from.
type Accepted = (Stream, Option<SocketAddr>);

impl Listener {
    /// Takes over a bound, listening socket. Call it on the runtime's thread.
    ///
    /// # Errors
    /// When the socket is neither TCP nor Unix, or cannot be registered.
    pub fn new(socket: Socket) -> io::Result<Self> {
        let is_tcp = socket.domain()? != Domain::UNIX;
        if is_tcp {
            // Replies are written whole: waiting for more (Nagle) only adds latency. Accepted
            // sockets inherit it, which saves a system call for each.
            socket.set_tcp_nodelay(true)?;
        }
        // A program that this process starts must not get a client's connection.
        let mut flags = SocketFlags::CLOEXEC;
        flags.set(SocketFlags::NONBLOCK, wants_nonblocking());
        Ok(Self {
            readiness: Readiness::new(OwnedFd::from(socket))?,
            is_tcp,
            flags,
            pace: RefCell::default(),
        })
    }

    /// Waits for the next connection. The address is that of a TCP peer. Dropping the future before
    /// it ends loses nothing.
    ///
    /// It is ready at once while connections wait, but not for ever: after 64 of them it waits until
    /// the runtime has looked at timers and at everything that has completed.
    ///
    /// # Errors
    /// What accept(2) answered; `EMFILE` and `ENFILE` pass when descriptors are free again, and
    /// `ECONNABORTED` concerns only the connection that is gone.
    pub async fn accept(&self) -> io::Result<Accepted> {
        self.turn().await;
        loop {
            match self.accept_now() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness.readable().await?;
                }
                result => return result,
            }
        }
    }

    /// The next connection that is in the backlog already, `None` if there is none. It waits only
    /// for other tasks' turn, as [`Listener::accept`] does.
    ///
    /// # Errors
    /// As [`Listener::accept`].
    pub async fn accept_waiting(&self) -> io::Result<Option<Accepted>> {
        self.turn().await;
        match self.accept_now() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        }
    }

    fn accept_now(&self) -> io::Result<Accepted> {
        let listening = borrow_socket(self.readiness.as_raw_fd(), self);
        let (socket, peer) = acceptfrom_with(listening, self.flags)?;
        if self.is_tcp {
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
            let stream = TcpStream::from_std(socket.into())?;
            return Ok((Stream::from_tcp(stream), peer));
        }
        let stream = UnixStream::from_std(socket.into())?;
        Ok((Stream::from_unix(stream), None))
    }

    async fn turn(&self) {
        poll_fn(|cx| self.pace.borrow_mut().poll_turn(cx)).await;
    }
}

/// Connections that are accepted before the runtime must have looked around.
const IN_A_ROW_MAX: u32 = 64;

/// The shortest pause that a timer knows.
const BREATH: Duration = Duration::from_millis(1);

/// Sees to it that clients who connect faster than they are accepted do not take the thread for
/// themselves.
///
/// A connection makes a task that is ready at once, and often its request is there already. As long
/// as any task is ready, the runtime neither looks at timers nor (under io_uring) at most of what
/// has completed; nothing but the end of a pause says that it did. So a pause is begun in time and
/// must be over before the next turn but [`IN_A_ROW_MAX`]; nearly always it is, and costs nothing.
#[derive(Default)]
struct Pace {
    /// Turns since the last pause.
    turns: u32,
    breath: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Pace {
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.turns == IN_A_ROW_MAX / 2 && self.breath.is_none() {
            self.breath = Some(Box::pin(sleep(BREATH)));
        }
        if let Some(breath) = &mut self.breath {
            if breath.as_mut().poll(cx).is_ready() {
                *self = Self::default();
            } else if self.turns >= IN_A_ROW_MAX {
                return Poll::Pending;
            }
        }
        self.turns += 1;
        Poll::Ready(())
    }
}
