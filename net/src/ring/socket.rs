//! A connected socket: what has arrived on it, and how its bytes are asked for and sent.
//!
//! One receive is under way nearly always, also while nobody reads: it costs an idle connection no
//! buffer, since the kernel chooses one when bytes arrive, and it brings the end of the stream
//! unasked. What arrives waits in the inbox. A reader that is slow stops it: beyond a few buffers
//! the receive is cancelled, and the kernel's own window holds the sender back.
//!
//! A send is handed over and not waited for: nearly always the kernel takes all of it at once, and
//! a task that waited would be woken for nothing. One is under way at a time; the next one waits for
//! it, and learns how it ended.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    rc::Rc,
    task::Poll,
};

use socket2::SockAddr;

use super::{
    executor::{Core, TaskId},
    kernel::{Request, Token},
};
use crate::Chunk;

/// Buffers that may wait for a reader before the receive is stopped.
const WAITING_MAX: usize = 4;

/// A socket of this thread.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    inbox: Inbox,
    outbox: Outbox,
}

/// What is being sent, and what is known of what was.
#[derive(Debug, Default)]
struct Outbox {
    under_way: Cell<Option<Token>>,
    /// The errno of a send that failed.
    broken: Cell<Option<i32>>,
    /// It was so from its first byte on.
    refused: Cell<bool>,
}

/// What has come, and what is known of what will.
#[derive(Debug, Default)]
struct Inbox {
    waiting: RefCell<VecDeque<Chunk>>,
    /// How the stream ended: an errno, or 0 for a proper end.
    ended: Cell<Option<i32>>,
    reader: Cell<Option<TaskId>>,
    /// The kernel may not know of the receive: there was no buffer or no room for it, and it is to be
    /// asked again. Until the next word, nobody can tell what has come.
    is_put_off: Cell<bool>,
    receive: Cell<Receive>,
}

/// The one receive of a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Receive {
    /// None: not asked for yet, stopped, or at the end. One that is put off is still on.
    #[default]
    Off,
    On(Token),
    /// It is being cancelled.
    Stopping(Token),
}

impl Socket {
    /// A socket, in blocking mode.
    pub(crate) fn new(fd: OwnedFd) -> Rc<Self> {
        Rc::new(Self {
            fd,
            inbox: Inbox {
                waiting: RefCell::new(VecDeque::with_capacity(WAITING_MAX)),
                ..Inbox::default()
            },
            outbox: Outbox::default(),
        })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Waits for the next bytes; an empty chunk is the end of the stream. Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    /// What recv(2) answered.
    pub(crate) async fn recv(self: &Rc<Self>) -> io::Result<Chunk> {
        poll_fn(|_| {
            if let Some(chunk) = self.inbox.waiting.borrow_mut().pop_front() {
                return Poll::Ready(Ok(chunk));
            }
            self.poll_end().map(|end| match end {
                0 => Ok(Chunk::default()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            })
        })
        .await
    }

    /// Waits for the end of the stream while nobody reads: an errno, or 0. Bytes that come in
    /// place of it are kept for the reader.
    pub(crate) async fn ended(self: &Rc<Self>) -> i32 {
        poll_fn(|_| self.poll_end()).await
    }

    /// How the stream has ended, if it has; else this task is woken for whatever comes.
    fn poll_end(self: &Rc<Self>) -> Poll<i32> {
        if let Some(errno) = self.inbox.ended.get() {
            return Poll::Ready(errno);
        }
        self.inbox.reader.set(Some(Core::current_task()));
        let room = self.inbox.waiting.borrow().len() < WAITING_MAX;
        if room && self.inbox.receive.get() == Receive::Off {
            let request = Request::Receive(Rc::clone(self));
            let token = Core::with(|core| core.operations().start_unwatched(request));
            self.inbox.receive.set(Receive::On(token));
        }
        Poll::Pending
    }

    /// The kernel's word about the receive. Tells whom to wake.
    pub(super) fn received(&self, result: i32, data: Option<Chunk>, more: bool) -> Option<TaskId> {
        let inbox = &self.inbox;
        inbox.is_put_off.set(false);
        if !more {
            inbox.receive.set(Receive::Off);
        }
        match (result, data) {
            (1.., Some(chunk)) => inbox.waiting.borrow_mut().push_back(chunk),
            (0, _) => inbox.ended.set(Some(0)),
            // Stopped by us, or interrupted: the next reader asks again.
            _ if passes(-result) => {}
            _ => inbox.ended.set(Some(-result)),
        }
        if let Receive::On(token) = inbox.receive.get()
            && inbox.waiting.borrow().len() >= WAITING_MAX
        {
            inbox.receive.set(Receive::Stopping(token));
            // Not now: this is called from within a turn of the operations.
            Core::with(|core| core.cancel_later(token));
        }
        inbox.reader.take()
    }

    /// The kernel does not know of the receive, and will be asked again.
    pub(super) fn put_off(&self) {
        self.inbox.is_put_off.set(true);
    }

    /// Nobody reads any more.
    pub(crate) fn stop_receiving(&self) {
        if let Receive::On(token) = self.inbox.receive.get() {
            self.inbox.receive.set(Receive::Stopping(token));
            Core::if_there(|core| core.cancel_later(token));
        }
    }

    /// Whether neither bytes nor the end of the stream have come, as far as is known; `None` where
    /// no receive is under way that would tell.
    pub(crate) fn seems_quiet(&self) -> Option<bool> {
        let inbox = &self.inbox;
        if !inbox.waiting.borrow().is_empty() || inbox.ended.get().is_some() {
            return Some(false);
        }
        let would_tell = matches!(inbox.receive.get(), Receive::On(_)) && !inbox.is_put_off.get();
        would_tell.then_some(true)
    }

    /// Hands bytes over, once those before them are sent.
    ///
    /// # Errors
    /// What send(2) answered, to what was sent before.
    pub(crate) async fn send(self: &Rc<Self>, chunk: Chunk) -> io::Result<()> {
        self.flush().await?;
        let request = Request::Send(Rc::clone(self), chunk);
        let token = Core::with(|core| core.operations().start_unwatched(request));
        self.outbox.under_way.set(Some(token));
        Ok(())
    }

    /// Waits until the kernel has taken all that was sent.
    ///
    /// # Errors
    /// What send(2) answered.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        poll_fn(|_| {
            if let Some(token) = self.outbox.under_way.get() {
                let task = Core::current_task();
                Core::with(|core| core.operations().watch(token, task));
                return Poll::Pending;
            }
            match self.outbox.broken.get() {
                Some(errno) => Poll::Ready(Err(io::Error::from_raw_os_error(errno))),
                None => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// The kernel's word about the last `length` bytes that were to be sent.
    pub(super) fn sent(&self, result: i32, length: usize) {
        self.outbox.under_way.set(None);
        match usize::try_from(result) {
            Ok(count) if count == length => {}
            // It goes on after a short send by itself, until the connection breaks.
            Ok(_short) => self.outbox.broken.set(Some(libc::EPIPE)),
            // It tells of an error only if it has taken nothing.
            Err(_negative) => {
                self.outbox.broken.set(Some(-result));
                self.outbox.refused.set(true);
            }
        }
    }

    /// Whether nothing is being sent, and nothing has failed to be.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.under_way.get().is_none() && self.outbox.broken.get().is_none()
    }

    /// Whether a send has failed before its first byte.
    pub(crate) fn is_refused(&self) -> bool {
        self.outbox.refused.get()
    }

    /// Nobody writes any more: what the kernel has not taken is given up.
    pub(crate) fn stop_sending(&self) {
        if let Some(token) = self.outbox.under_way.get() {
            Core::if_there(|core| core.cancel_later(token));
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// What connect(2) answered.
    pub(crate) async fn connect(self: &Rc<Self>, address: SockAddr) -> io::Result<()> {
        let result = Core::run(Request::Connect(Rc::clone(self), Box::new(address))).await;
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        Ok(())
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd()
    }
}

/// Errors of a receive that say nothing about the stream.
fn passes(errno: i32) -> bool {
    matches!(
        errno,
        libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN
    )
}
