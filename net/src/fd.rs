//! The one room of this crate that needs `unsafe`: descriptors that come from outside the type
//! system, and buffers lent to the kernel.
//!
//! Everything here is small and says which invariant holds and who keeps it.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd},
    rc::Rc,
};

use monoio::buf::{IoBuf, IoBufMut};

use crate::{
    Chunk, ChunkMut, ring,
    runtime::{BackEnd, back_end},
};

/// Waits until a descriptor (a pipe, pidfd, signalfd, listening socket) can be read or written.
///
/// Reading and writing it is the caller's business; this only tells when to try.
#[derive(Debug)]
pub struct Readiness {
    inner: Polled,
}

#[derive(Debug)]
enum Polled {
    Ring(Rc<OwnedFd>),
    /// Not a Unix stream: the type is borrowed for its `readable` and `writable`, which are a
    /// poll operation and work on every pollable descriptor. No other operation is made by it.
    Monoio(monoio::net::UnixStream),
}

impl Readiness {
    /// Takes the descriptor over and makes it non-blocking. Call it on the runtime's thread.
    ///
    /// # Errors
    /// When the descriptor cannot be polled (a regular file under epoll).
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        set_nonblocking(fd.as_fd())?;
        if back_end() == BackEnd::Ring {
            return Ok(Self {
                inner: Polled::Ring(Rc::new(fd)),
            });
        }
        // SAFETY: the descriptor is open and owned, and `into_raw_fd` hands that ownership on.
        // That it is not a Unix socket is harmless: see `inner`.
        let stream = unsafe { std::os::unix::net::UnixStream::from_raw_fd(fd.into_raw_fd()) };
        Ok(Self {
            inner: Polled::Monoio(monoio::net::UnixStream::from_std(stream)?),
        })
    }

    /// Waits until a read would not block (bytes, end of file or an error are there).
    ///
    /// # Errors
    /// What poll(2) answered.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.inner {
            Polled::Ring(fd) => ring::readable(fd).await,
            Polled::Monoio(stream) => stream.readable(false).await,
        }
    }

    /// Waits until a write would not block.
    ///
    /// # Errors
    /// What poll(2) answered.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.inner {
            Polled::Ring(fd) => ring::writable(fd).await,
            Polled::Monoio(stream) => stream.writable(false).await,
        }
    }

    /// Reads what is there, up to the room that `into` has left; 0 at the end of file.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; else what read(2) answered.
    pub fn try_read(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        let room = into.spare_capacity_mut();
        // SAFETY: the pointer and length describe `room`, which is exclusively borrowed, and the
        // descriptor is open as long as `self` lives.
        let count = unsafe { libc::read(self.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) };
        let count = usize::try_from(count).map_err(|_negative| io::Error::last_os_error())?;
        let filled = into.len() + count;
        // SAFETY: read(2) wrote `count` bytes behind the old length, within the capacity.
        unsafe { into.set_len(filled) };
        Ok(count)
    }

    /// How many bytes wait in the pipe, from either end of it: FIONREAD, ioctl_list(2).
    ///
    /// # Errors
    /// What ioctl(2) answered: `ENOTTY` where that cannot be said.
    pub fn waiting_bytes(&self) -> io::Result<usize> {
        let mut count: libc::c_int = 0;
        // SAFETY: the request writes one int, which is borrowed exclusively, and the descriptor is
        // open as long as `self` lives.
        let result = unsafe { libc::ioctl(self.as_raw_fd(), libc::FIONREAD, &raw mut count) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Writes as much of `bytes` as fits now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing fits; else what write(2) answered.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the pointer and length describe `bytes`, and the descriptor is open as long as
        // `self` lives.
        let count = unsafe { libc::write(self.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
    }
}

impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        match &self.inner {
            Polled::Ring(fd) => fd.as_raw_fd(),
            Polled::Monoio(stream) => stream.as_raw_fd(),
        }
    }
}

/// A socket or pipe that some live object owns, as socket2 and rustix want it.
///
/// `fd` must be the descriptor of an object that outlives the returned reference: the callers in
/// `stream.rs` and `pipe.rs` take it from the halves and ends that they borrow.
pub(crate) fn borrow_socket<T: ?Sized>(fd: RawFd, _owner: &T) -> BorrowedFd<'_> {
    // SAFETY: the lifetime of the result is that of `_owner`, which holds the descriptor open.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Makes a descriptor non-blocking.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_GETFL takes no argument and the descriptor is open.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & libc::O_NONBLOCK != 0 {
        return Ok(());
    }
    // SAFETY: F_SETFL takes an int and the descriptor is open.
    let result = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Adopts the descriptor number `fd` that the process was started with (sd_listen_fds(3): the
/// first handed-over socket is number 3). `None` when it is not an open listening socket.
///
/// Call it once per number and before other code opens descriptors.
#[must_use]
pub fn inherited_listener(fd: RawFd) -> Option<socket2::Socket> {
    let socket: socket2::Socket = adopt(fd)?.into();
    // Proves that it is a socket, and one that listens.
    match socket2::SockRef::from(&socket).is_listener() {
        Ok(true) => Some(socket),
        _ => None,
    }
}

/// Adopts the descriptor number `fd`, which the parent says is the read end of a pipe.
#[must_use]
pub fn inherited_pipe(fd: RawFd) -> Option<OwnedFd> {
    adopt(fd)
}

fn adopt(fd: RawFd) -> Option<OwnedFd> {
    if fd < 3 {
        return None;
    }
    // SAFETY: F_SETFD on a number that is not open only answers EBADF.
    let result = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    if result < 0 {
        return None;
    }
    // SAFETY: the number is open (fcntl succeeded) and above stdio, and by the contract above
    // nothing else in this process owns it: it was inherited across exec.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

// SAFETY: the pointer stays valid while `self` moves (the bytes live in a heap vector behind an
// `Rc`), they are initialised, and nothing writes to the storage of a `Chunk`.
unsafe impl IoBuf for Chunk {
    fn read_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: a `ChunkMut` is the only view of its storage, so nobody else reads or writes it while
// the kernel does, and the heap vector does not move with `self`.
unsafe impl IoBufMut for ChunkMut {
    fn write_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.capacity()
    }

    unsafe fn set_init(&mut self, count: usize) {
        // SAFETY: the trait's contract: the kernel initialised `count` bytes from `write_ptr`.
        unsafe { self.set_len(count) };
    }
}
