//! The real kernel: a ring of submissions and completions, and a ring of buffers that the kernel
//! chooses from when bytes arrive.
//!
//! Invariants, each kept in this file:
//! - A buffer belongs to the kernel while its number is in the buffer ring, and to us from the
//!   completion that names it until we put another one in its place. So it has one writer.
//! - The buffer ring has room for exactly the buffers there are, so it never overflows.
//! - The memory of the buffer ring outlives the ring that it is registered with.
//! - A ring stays where it is, is only ever borrowed shared, and is of one thread; each of its queues
//!   is used by one method at a time.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    io,
    os::fd::AsRawFd,
    ptr::NonNull,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use io_uring::{
    IoUring, Submitter, cqueue, opcode, squeue,
    types::{BufRingEntry, Fd, SubmitArgs, Timespec},
};

use super::kernel::{Completion, Kernel, Request, Token, Wait};
use crate::{CHUNK_BYTES, Chunk, ChunkMut};

/// How much of everything a ring has. Little is enough to be right, more makes it fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Submission queue length, in entries, a power of two; the completion queue is four times
    /// that, since every connection has a receive under way. What does not fit into the first waits in
    /// `operations`; what does not fit into the second is kept by the kernel and handed over later
    /// (IORING_FEAT_NODROP). So nothing is lost.
    pub(crate) entries: u32,
    /// Buffers that the kernel can choose from, a power of two. They are given memory when they are
    /// used for the first time, so an idle thread has none of these 4 MiB.
    pub(crate) buffers: u16,
}

impl Size {
    /// What a worker has: 140 KiB that count as locked memory, 136 from Linux 6.6 on (measured by
    /// RLIMIT_MEMLOCK): 64 for the submissions, as much for the completions, and the rest for
    /// what is around them and the buffer ring.
    pub(crate) const FULL: Self = Self {
        entries: 1024,
        buffers: 128,
    };
    /// What it makes do with where little memory may be locked: 16 KiB.
    pub(crate) const SMALL: Self = Self {
        entries: 64,
        buffers: 32,
    };
}

/// The one group of buffers.
const GROUP: u16 = 0;

/// Alignment of the buffer ring: the largest page that Linux runs on.
const PAGE_BYTES: usize = 64 * 1024;

/// The ring flags of every worker. DEFER_TASKRUN (Linux 6.1) runs completions only when the
/// thread asks for them, which halved the cost of wake-ups in measurements; a ring without it is
/// slower than epoll, so such a kernel gets epoll.
fn build(entries: u32) -> io::Result<IoUring> {
    let builder = |no_array: bool| {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            // Says when completions wait to be run, so that an enter that does not wait runs them.
            .setup_taskrun_flag()
            .setup_cqsize(entries * 4)
            .dontfork();
        if no_array {
            // Linux 6.6: one indirection less.
            builder.setup_no_sqarray();
        }
        builder.build(entries)
    };
    match builder(true) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => builder(false),
        result => result,
    }
}

/// A ring with its buffers.
pub(super) struct Uring {
    // The order of the fields is that of their end: the ring lets go of the buffers first.
    ring: Registered,
    buffers: Buffers,
}

impl Uring {
    /// Sets the ring up for this thread, which alone may use it.
    ///
    /// # Errors
    /// What io_uring_setup(2) or io_uring_register(2) answered.
    pub(super) fn new(size: Size) -> io::Result<Self> {
        let ring = Registered::new(build(size.entries)?);
        let buffers = Buffers::new(size.buffers);
        // SAFETY: the memory has room for that many entries, is page-aligned, and outlives the ring
        // by the order of the fields of `Uring`.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                buffers.entries.as_ptr() as u64,
                size.buffers,
                GROUP,
                0,
            )?;
        }
        let mut uring = Self { ring, buffers };
        for number in 0..size.buffers {
            uring.buffers.put(number);
        }
        Ok(uring)
    }

    /// For what is asked of the kernel beside operations.
    pub(super) fn submitter(&self) -> &Submitter<'_> {
        self.ring.submitter()
    }

    fn completion(&mut self, entry: &cqueue::Entry) -> Completion {
        let data = cqueue::buffer_select(entry.flags()).map(|number| {
            let length = usize::try_from(entry.result()).unwrap_or(0);
            self.buffers.take(number, length)
        });
        Completion {
            token: Token::from_bits(entry.user_data()),
            result: entry.result(),
            more: cqueue::more(entry.flags()),
            data,
        }
    }
}

impl Kernel for Uring {
    unsafe fn start(&mut self, token: Token, request: &Request) -> bool {
        let entry = entry_for(request).user_data(token.to_bits());
        // SAFETY: by this function's contract, what the entry points to outlives the operation.
        unsafe { self.ring.push(&entry) }
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let limit = match wait {
            Wait::No => return passed(self.ring.submitter().submit()),
            Wait::Long => Duration::MAX,
            Wait::Within(time) => time,
        };
        let time = Timespec::from(limit);
        let mut arguments = SubmitArgs::new();
        if limit < Duration::MAX {
            arguments = arguments.timespec(&time);
        }
        passed(self.ring.submitter().submit_with_args(1, &arguments))
    }

    fn buffers(&self) -> usize {
        self.buffers.lent.len()
    }

    fn next(&mut self) -> Option<Completion> {
        let entry = self.ring.pop()?;
        Some(self.completion(&entry))
    }
}

/// What is no error of an enter: the time is over, a signal came, or completions must be reaped first.
/// The caller reaps in any case.
fn passed(entered: io::Result<usize>) -> io::Result<()> {
    match entered {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

fn entry_for(request: &Request) -> squeue::Entry {
    match request {
        Request::Receive(socket) => opcode::RecvMulti::new(Fd(socket.fd()), GROUP).build(),
        Request::Send(socket, chunk) => {
            // A socket takes at most INT_MAX at once, and no chunk is that long.
            let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX >> 1);
            // WAITALL: after a short send the kernel waits for room and goes on by itself
            // (io_uring_enter(2), Linux 5.19). Where all fits, it changes nothing.
            opcode::Send::new(Fd(socket.fd()), chunk.as_ptr(), length)
                .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
                .build()
        }
        Request::Connect(socket, address) => {
            opcode::Connect::new(Fd(socket.fd()), address.as_ptr().cast(), address.len()).build()
        }
        Request::Readable(fd) => poll(fd.as_raw_fd(), libc::POLLIN),
        Request::Writable(fd) => poll(fd.as_raw_fd(), libc::POLLOUT),
        Request::Cancel(token) => opcode::AsyncCancel::new(token.to_bits()).build(),
    }
}

fn poll(fd: i32, events: i16) -> squeue::Entry {
    #[expect(clippy::cast_sign_loss, reason = "poll(2)'s bits are below the sign")]
    opcode::PollAdd::new(Fd(fd), events as u32).build()
}

/// A ring that its thread has registered with the kernel, so that entering it needs no look into the
/// table of descriptors, which threads share: 45 of the 220 ns that an enter with nothing to do takes
/// (Linux 6.18).
///
/// The crate `io-uring` remembers that in a `Submitter`, which borrows the ring and so cannot be kept
/// beside it; that is why this exists. The kernel holds a registered ring, and the memory that counts
/// as locked for it, until the thread ends: so it is taken back here.
struct Registered {
    // The order of the fields is that of their end.
    submitter: Submitter<'static>,
    ring: Owned,
}

/// A ring on the heap, owned by a pointer since the submitter borrows it.
struct Owned(NonNull<IoUring>);

impl Registered {
    /// Registers a ring with this thread, which alone may use it from now on. Where that is refused,
    /// everything works all the same.
    fn new(ring: IoUring) -> Self {
        let ring = NonNull::from(Box::leak(Box::new(ring)));
        // SAFETY: it was leaked a line above, and lives until `Owned` is dropped, after the submitter.
        let mut submitter = unsafe { ring.as_ref() }.submitter();
        submitter.register_ring_fd().ok();
        Self {
            submitter,
            ring: Owned(ring),
        }
    }

    /// The way into the ring.
    const fn submitter(&self) -> &Submitter<'_> {
        &self.submitter
    }

    fn ring(&self) -> &IoUring {
        // SAFETY: it lives as long as `self`, and nobody borrows it otherwise than shared.
        unsafe { self.ring.0.as_ref() }
    }

    /// Puts an entry into the submission queue; tells whether there is room.
    ///
    /// # Safety
    /// What the entry points to must live until its last completion, if there is room.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: `self` is borrowed alone, and no queue outlives a method of this type.
        let mut queue = unsafe { self.ring().submission_shared() };
        // SAFETY: by this function's contract.
        unsafe { queue.push(entry) }.is_ok()
    }

    /// Takes the next entry out of the completion queue.
    fn pop(&mut self) -> Option<cqueue::Entry> {
        // SAFETY: as in `push`.
        unsafe { self.ring().completion_shared() }.next()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // The error says that it was not registered.
        self.submitter.unregister_ring_fd().ok();
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: from a box by `Registered::new`, and the submitter that borrowed it is gone.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The buffers that the kernel chooses from.
struct Buffers {
    /// The ring that both of us see.
    entries: NonNull<BufRingEntry>,
    /// Its end, as we count it; the kernel sees what was stored in the ring.
    tail: u16,
    /// By number. Each is the kernel's while it is in the ring.
    lent: Vec<ChunkMut>,
}

impl Buffers {
    fn layout(count: u16) -> Layout {
        Layout::array::<BufRingEntry>(usize::from(count))
            .and_then(|layout| layout.align_to(PAGE_BYTES))
            .expect("a few entries fit into memory")
    }

    fn new(count: u16) -> Self {
        assert!(count.is_power_of_two(), "as the kernel wants it");
        let layout = Self::layout(count);
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(memory.cast::<BufRingEntry>()) else {
            handle_alloc_error(layout);
        };
        Self {
            entries,
            tail: 0,
            lent: (0..count).map(|_| ChunkMut::new()).collect(),
        }
    }

    /// Takes a buffer back that the kernel has filled, and lends it another in its place.
    fn take(&mut self, number: u16, length: usize) -> Chunk {
        let buffer = &mut self.lent[usize::from(number)];
        let mut full = std::mem::take(buffer);
        assert!(length <= full.capacity(), "the kernel wrote past a buffer");
        // SAFETY: the kernel says that it has written `length` bytes from the start, and the line
        // above proves that they are within the buffer.
        unsafe { full.set_len(length) };
        self.put(number);
        full.freeze()
    }

    /// Gives the kernel the buffer of this number.
    fn put(&mut self, number: u16) {
        // The count is a power of two.
        let index = usize::from(self.tail) & (self.lent.len() - 1);
        let buffer = &mut self.lent[usize::from(number)];
        // SAFETY: the index is within the ring.
        let mut entry = unsafe { self.entries.add(index) };
        // SAFETY: the memory is ours and initialised, and the kernel reads an entry only after the
        // tail has passed it, which is below.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(buffer.as_mut_ptr() as u64);
        entry.set_len(u32::try_from(CHUNK_BYTES).unwrap_or(u32::MAX));
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the pointer is to the first entry of the ring.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is an aligned u16 within our memory, and only the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the entry before the tail that shows it.
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let count = u16::try_from(self.lent.len()).expect("as many as were asked for");
        let layout = Self::layout(count);
        // SAFETY: allocated with the same layout, and the ring that knew of it is closed: see
        // `Uring` for the order, and `Operations::end` for what was still under way.
        unsafe { dealloc(self.entries.as_ptr().cast(), layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread can have 16 of them (IO_RINGFD_REG_MAX), so one that was kept would show.
    #[test]
    fn however_many_rings_come_and_go_each_is_registered() {
        for _ in 0..40 {
            let ring = match IoUring::new(8) {
                Ok(ring) => ring,
                Err(error) => return eprintln!("not run: io_uring is refused: {error}"),
            };
            let mut ring = Registered::new(ring);
            let again = ring.submitter.register_ring_fd().unwrap_err();
            assert_eq!(again.raw_os_error(), Some(libc::EEXIST));
        }
    }
}
