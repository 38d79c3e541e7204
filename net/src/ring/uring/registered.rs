//! A ring that its thread has registered with the kernel, so that entering it needs no look into
//! the table of descriptors, which threads share: 45 of the 220 ns that an enter with nothing to do
//! takes (Linux 6.18).
//!
//! The crate `io-uring` remembers that in a `Submitter`, which borrows the ring and so cannot be kept
//! beside it; that is why this exists. The kernel holds a registered ring, and the memory that counts as
//! locked for it, until the thread ends: so it is taken back here.
//!
//! Invariants, each kept in this file:
//! - The ring stays where it is, and is only ever borrowed shared, until this is dropped.
//! - This is neither `Sync` nor lends what it borrows, so each queue has one user at a time.

use std::ptr::NonNull;

use io_uring::{IoUring, Submitter, cqueue, squeue};

/// A ring and the way into it.
pub(super) struct Registered {
    // The order of the fields is that of their end.
    submitter: Submitter<'static>,
    ring: Owned,
}

/// A ring on the heap, owned by a pointer since the submitter borrows it.
struct Owned(NonNull<IoUring>);

impl Registered {
    /// Registers a ring with this thread, which alone may use it from now on. Where that is refused,
    /// everything works all the same.
    pub(super) fn new(ring: IoUring) -> Self {
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
    pub(super) const fn submitter(&self) -> &Submitter<'_> {
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
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: `self` is borrowed alone, and no queue outlives a method of this type.
        let mut queue = unsafe { self.ring().submission_shared() };
        // SAFETY: by this function's contract.
        unsafe { queue.push(entry) }.is_ok()
    }

    /// Takes the next entry out of the completion queue.
    pub(super) fn pop(&mut self) -> Option<cqueue::Entry> {
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
