//! A connected socket in two halves that can be used at the same time.
//!
//! What it does not do: buffer, or set deadlines of its own: a caller races what it waits for
//! against a [`Timer`], or names one to [`Sender::send_within`].

use std::{
    cell::UnsafeCell,
    io,
    net::Shutdown,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::Path,
    rc::{Rc, Weak},
    time::Duration,
};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable},
    net::{TcpStream, UnixStream},
};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::{
    Chunk, ChunkMut, Either, Endpoint, Timer,
    combine::race,
    fd::{Readiness, borrow_socket},
    hang_up::{HangUp, Peek, peek},
    pace::Pace,
    ring,
    runtime::{self, BackEnd},
    timer::sleep,
};

/// A connection. Dropping it closes it.
#[derive(Debug)]
pub struct Stream {
    /// The half that reads.
    pub receiver: Receiver,
    /// The half that writes.
    pub sender: Sender,
}

impl Stream {
    /// Connects, with TCP_NODELAY.
    ///
    /// # Errors
    /// What connect(2) answered.
    pub async fn connect(to: &Endpoint) -> io::Result<Self> {
        match to {
            Endpoint::Tcp(address) if runtime::back_end() == BackEnd::Ring => {
                let kind = Type::STREAM.cloexec();
                let socket = Socket::new(Domain::for_address(*address), kind, None)?;
                socket.set_tcp_nodelay(true)?;
                let socket = ring::Socket::new(socket.into());
                socket.connect(SockAddr::from(*address)).await?;
                Ok(Self::from_ring(socket))
            }
            Endpoint::Tcp(address) => {
                let stream = TcpStream::connect_addr(*address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::from_tcp(stream))
            }
            Endpoint::Unix(path) => Self::adopt(connect_unix(path).await?.into(), false),
        }
    }

    /// A socket that is connected, in the mode that the back end wants.
    pub(crate) fn adopt(fd: OwnedFd, is_tcp: bool) -> io::Result<Self> {
        Ok(match runtime::back_end() {
            BackEnd::Ring => Self::from_ring(ring::Socket::new(fd)),
            BackEnd::Monoio if is_tcp => Self::from_tcp(TcpStream::from_std(fd.into())?),
            BackEnd::Monoio => Self::from_unix(UnixStream::from_std(fd.into())?),
        })
    }

    fn from_ring(socket: Rc<ring::Socket>) -> Self {
        let fd = socket.as_raw_fd();
        Self {
            receiver: Receiver {
                half: ReadHalf::Ring(Reading(Rc::clone(&socket))),
                fd,
                pace: Pace::default(),
            },
            sender: Sender {
                half: WriteHalf::Ring(Writing(socket)),
                fd,
            },
        }
    }

    pub(crate) fn from_tcp(stream: TcpStream) -> Self {
        let fd = stream.as_raw_fd();
        let (read, write) = stream.into_split();
        Self {
            receiver: Receiver {
                half: ReadHalf::Tcp(read),
                fd,
                pace: Pace::default(),
            },
            sender: Sender {
                half: WriteHalf::Tcp(write),
                fd,
            },
        }
    }

    pub(crate) fn from_unix(stream: UnixStream) -> Self {
        let fd = stream.as_raw_fd();
        let (read, write) = stream.into_split();
        Self {
            receiver: Receiver {
                half: ReadHalf::Unix(read),
                fd,
                pace: Pace::default(),
            },
            sender: Sender {
                half: WriteHalf::Unix(write),
                fd,
            },
        }
    }

    /// What [`Stream::is_quiet`] tells, as far as this thread has heard, which costs nothing where a
    /// receive is always under way: what came before the last turn of the loop is known.
    #[must_use]
    pub fn seems_quiet(&self) -> bool {
        self.seemed_quiet()
            .unwrap_or_else(|| self.receiver.peek() == Peek::Nothing)
    }

    fn seemed_quiet(&self) -> Option<bool> {
        match &self.receiver.half {
            ReadHalf::Ring(reading) => reading.0.seems_quiet(),
            ReadHalf::Tcp(_) | ReadHalf::Unix(_) => None,
        }
    }

    /// Whether an idle connection can still be used: the peer neither closed it nor sent
    /// anything that nobody asked for. Costs one recv(2) with MSG_PEEK.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.seemed_quiet().unwrap_or(true) && self.receiver.peek() == Peek::Nothing
    }
}

/// connect(2) to a Unix socket either succeeds at once or says that the backlog is full (EAGAIN),
/// and the kernel offers no readiness to wait for then: so try again, a little later each time.
/// The caller's deadline ends it.
async fn connect_unix(path: &Path) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    let mut pause = Duration::from_micros(500);
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        match socket.connect(&address) {
            Ok(()) => {
                socket.set_nonblocking(runtime::wants_nonblocking())?;
                return Ok(socket);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The reading half of a [`Stream`].
#[derive(Debug)]
pub struct Receiver {
    half: ReadHalf,
    fd: RawFd,
    pace: Pace,
}

#[derive(Debug)]
enum ReadHalf {
    Tcp(OwnedReadHalf<TcpStream>),
    Unix(OwnedReadHalf<UnixStream>),
    Ring(Reading),
}

/// Dropping the reading half ends the receive, or the descriptor would stay open with it.
#[derive(Debug)]
struct Reading(Rc<ring::Socket>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.stop_receiving();
    }
}

impl Receiver {
    /// Waits for the next bytes; an empty chunk is the end of the stream. However fast the peer sends,
    /// other tasks have their turn.
    ///
    /// Dropping the future before it ends may lose bytes that had arrived: do so only when the
    /// connection is not read any more.
    ///
    /// # Errors
    /// What recv(2) answered, `ConnectionReset` above all.
    pub async fn recv(&mut self) -> io::Result<Chunk> {
        let (result, buffer) = match &mut self.half {
            ReadHalf::Tcp(half) => self.pace.run(half.read(ChunkMut::new())).await,
            ReadHalf::Unix(half) => self.pace.run(half.read(ChunkMut::new())).await,
            // A few chunks at most wait there, so this lets others have their turn by itself.
            ReadHalf::Ring(reading) => return reading.0.recv().await,
        };
        result?;
        Ok(buffer.freeze())
    }

    /// A watch that tells when the peer goes away while nobody reads from it.
    ///
    /// # Errors
    /// When no descriptor is left for it.
    pub fn watch(&self) -> io::Result<HangUp> {
        if let ReadHalf::Ring(reading) = &self.half {
            return Ok(HangUp::of_ring(Rc::clone(&reading.0)));
        }
        // A descriptor of its own: the driver keys its registrations by descriptor.
        let copy = borrow_socket(self.fd, self).try_clone_to_owned()?;
        Ok(HangUp::of_descriptor(Readiness::new(copy)?))
    }

    /// A handle with which another task of this thread can end the reading.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            owner: match &self.half {
                ReadHalf::Tcp(half) => WeakHalf::Tcp(Rc::downgrade(&half.0)),
                ReadHalf::Unix(half) => WeakHalf::Unix(Rc::downgrade(&half.0)),
                ReadHalf::Ring(reading) => WeakHalf::Ring(Rc::downgrade(&reading.0)),
            },
            fd: self.fd,
        }
    }

    fn peek(&self) -> Peek {
        peek(&SockRef::from(&borrow_socket(self.fd, self)))
    }
}

/// Ends the reading of a connection from outside: a pending or later [`Receiver::recv`] yields
/// what has arrived and then the end of the stream, so no byte is lost.
#[derive(Debug)]
pub struct Stopper {
    owner: WeakHalf,
    fd: RawFd,
}

#[derive(Debug)]
enum WeakHalf {
    Tcp(Weak<UnsafeCell<TcpStream>>),
    Unix(Weak<UnsafeCell<UnixStream>>),
    Ring(Weak<ring::Socket>),
}

impl Stopper {
    /// shutdown(2) of the reading side; nothing if the connection is gone already.
    pub fn stop(&self) {
        // The upgraded half keeps the descriptor open during the call.
        match &self.owner {
            WeakHalf::Tcp(weak) => weak.upgrade().map(|half| self.shut_down(&half)),
            WeakHalf::Unix(weak) => weak.upgrade().map(|half| self.shut_down(&half)),
            WeakHalf::Ring(weak) => weak.upgrade().map(|half| self.shut_down(&half)),
        };
    }

    fn shut_down<T>(&self, owner: &T) {
        let socket = borrow_socket(self.fd, owner);
        // The error says that the peer was faster: the reading ends by itself.
        SockRef::from(&socket).shutdown(Shutdown::Read).ok();
    }
}

/// The writing half of a [`Stream`].
#[derive(Debug)]
pub struct Sender {
    half: WriteHalf,
    fd: RawFd,
}

#[derive(Debug)]
enum WriteHalf {
    Tcp(OwnedWriteHalf<TcpStream>),
    Unix(OwnedWriteHalf<UnixStream>),
    Ring(Writing),
}

/// Dropping the writing half ends the send, or a peer that does not read would keep the descriptor.
#[derive(Debug)]
struct Writing(Rc<ring::Socket>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.stop_sending();
    }
}

impl Sender {
    /// Writes the whole chunk. One chunk may still be on its way when this ends: the next call waits
    /// for it and tells how it ended, as [`Sender::flush`] does.
    ///
    /// # Errors
    /// What send(2) answered: `BrokenPipe` or `ConnectionReset` when the peer is gone.
    pub async fn send(&mut self, mut chunk: Chunk) -> io::Result<()> {
        while !chunk.is_empty() {
            let (result, back) = match &mut self.half {
                WriteHalf::Tcp(half) => half.write(chunk).await,
                WriteHalf::Unix(half) => half.write(chunk).await,
                WriteHalf::Ring(writing) => return writing.0.send(chunk).await,
            };
            chunk = back;
            match result? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => chunk.advance(count),
            }
        }
        Ok(())
    }

    /// Waits until the kernel has taken everything. A sender that is dropped without it gives up what
    /// the kernel has not taken.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn flush(&mut self) -> io::Result<()> {
        match &self.half {
            WriteHalf::Ring(writing) => writing.0.flush().await,
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) => Ok(()),
        }
    }

    /// Whether the kernel has taken everything, as far as this thread has heard.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        match &self.half {
            WriteHalf::Ring(writing) => writing.0.is_flushed(),
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) => true,
        }
    }

    /// Whether a chunk that [`Sender::send`] has accepted is known to have been refused by the kernel,
    /// so that not a byte of it has gone out.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        match &self.half {
            WriteHalf::Ring(writing) => writing.0.is_refused(),
            WriteHalf::Tcp(_) | WriteHalf::Unix(_) => false,
        }
    }

    /// Writes the whole chunk, or gives up when `limit` has passed, for which it sets `timer`.
    ///
    /// # Errors
    /// As [`Sender::send`], and `TimedOut`; a part of the chunk may have gone out by then.
    pub async fn send_within(
        &mut self,
        chunk: Chunk,
        timer: &Timer,
        limit: Duration,
    ) -> io::Result<()> {
        timer.set(limit);
        match race(self.send(chunk), timer.expired()).await {
            Either::First(result) => result,
            Either::Second(()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Says that nothing more will be sent (FIN), once all is; the other direction stays open.
    ///
    /// # Errors
    /// As [`Sender::send`], and what shutdown(2) answered.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        SockRef::from(&borrow_socket(self.fd, self)).shutdown(Shutdown::Write)
    }
}
