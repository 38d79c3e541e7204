//! Buffers on the move: [`ChunkMut`] is being filled, [`Chunk`] is filled and may be shared.
//!
//! Why: io_uring wants a buffer that it owns while an operation is in flight, and a proxy wants
//! to hand on what it read without copying it. Both are reference-counted views of a `Vec<u8>`
//! that goes back to a per-thread shelf when its last view is dropped, so that the keep-alive
//! path allocates nothing once it is warm.
//!
//! What it does not do: cross threads (`Rc`), or shrink a vector that grew past its size: such
//! a one is freed instead of shelved.

#![expect(
    clippy::rc_buffer,
    reason = "the vector goes back to the shelf and is filled again, which an Rc<[u8]> cannot be"
)]

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    rc::Rc,
};

/// Capacity of a shelved buffer, in bytes. One receive takes at most this much. With half of it,
/// large bodies cost 28 to 69 % more; a buffer has memory only as far as it was ever used.
pub const CHUNK_BYTES: usize = 32 * 1024;

/// How many free buffers one thread keeps, in buffers (16 MiB in all, where that many were ever in use
/// at once and full). A request has up to four in hand and the ring some of its own, so this is enough
/// for 64 in flight; with 64 buffers, each request of 64 busy connections allocated three.
const SHELF_BUFFERS_MAX: usize = 512;

thread_local! {
    static SHELF: RefCell<Vec<Rc<Vec<u8>>>> = const { RefCell::new(Vec::new()) };
}

fn take_from_shelf() -> Rc<Vec<u8>> {
    SHELF
        .with(|shelf| shelf.borrow_mut().pop())
        .unwrap_or_else(|| Rc::new(Vec::with_capacity(CHUNK_BYTES)))
}

/// Gives a vector back if this was its last view. The thread may be ending (the shelf gone), in
/// which case the vector is simply freed.
fn give_back(mut storage: Rc<Vec<u8>>) {
    if let Some(bytes) = Rc::get_mut(&mut storage)
        && bytes.capacity() == CHUNK_BYTES
    {
        bytes.clear();
        // The error says that the thread is ending and its shelf is gone: nothing is lost.
        SHELF
            .try_with(|shelf| {
                let mut shelf = shelf.borrow_mut();
                if shelf.len() < SHELF_BUFFERS_MAX {
                    shelf.push(storage);
                }
            })
            .ok();
    }
}

/// A buffer with one owner, to be written to. It dereferences to `Vec<u8>`, so a codec can
/// append to it without knowing this crate.
#[derive(Debug)]
pub struct ChunkMut {
    /// Never shared: `Rc` only so that freezing costs no allocation.
    storage: Option<Rc<Vec<u8>>>,
}

impl ChunkMut {
    /// An empty buffer with room for [`CHUNK_BYTES`] (it grows when more is appended).
    #[must_use]
    pub fn new() -> Self {
        Self {
            storage: Some(take_from_shelf()),
        }
    }

    /// Ends the writing.
    #[must_use]
    pub fn freeze(mut self) -> Chunk {
        let storage = self.storage.take();
        let end = storage.as_ref().map_or(0, |bytes| bytes.len());
        Chunk {
            storage,
            start: 0,
            end,
        }
    }

    /// Bytes that can still be appended without growing.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity() - self.len()
    }
}

impl Default for ChunkMut {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for ChunkMut {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        self.storage.as_deref().expect("present until dropped")
    }
}

impl DerefMut for ChunkMut {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        let storage = self.storage.as_mut().expect("present until dropped");
        Rc::get_mut(storage).expect("a ChunkMut is the only view of its storage")
    }
}

impl Drop for ChunkMut {
    fn drop(&mut self) {
        if let Some(storage) = self.storage.take() {
            give_back(storage);
        }
    }
}

/// Bytes that were received, or are to be sent. Cloning and splitting share the storage.
#[derive(Debug, Clone, Default)]
pub struct Chunk {
    storage: Option<Rc<Vec<u8>>>,
    start: usize,
    end: usize,
}

impl Chunk {
    /// A chunk that holds a copy of `bytes`.
    #[must_use]
    pub fn copied(bytes: &[u8]) -> Self {
        let mut chunk = ChunkMut::new();
        chunk.extend_from_slice(bytes);
        chunk.freeze()
    }

    /// Both, one after the other: for what rarely comes in two pieces, as a head does. Copies only
    /// `second` where nobody else looks at the storage of `first`.
    #[must_use]
    pub fn joined(mut first: Self, second: Self) -> Self {
        if first.is_empty() {
            return second;
        }
        let end = first.end;
        if let Some(bytes) = first.storage.as_mut().and_then(Rc::get_mut)
            && bytes.len() == end
        {
            bytes.extend_from_slice(&second);
            first.end += second.len();
            return first;
        }
        let mut both = ChunkMut::new();
        both.extend_from_slice(&first);
        both.extend_from_slice(&second);
        both.freeze()
    }

    /// Drops the first `count` bytes from view.
    ///
    /// # Panics
    /// If there are fewer than `count`.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "advance past the end of a chunk");
        self.start += count;
        self.let_go_if_empty();
    }

    /// Splits off the first `count` bytes.
    ///
    /// # Panics
    /// If there are fewer than `count`.
    #[must_use]
    pub fn split_to(&mut self, count: usize) -> Self {
        let head = self.slice(0..count);
        self.advance(count);
        head
    }

    /// The part of this chunk in `range`, sharing its storage.
    ///
    /// # Panics
    /// If `range` does not lie within the chunk.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len());
        if range.is_empty() {
            return Self::default();
        }
        Self {
            storage: self.storage.clone(),
            start: self.start + range.start,
            end: self.start + range.end,
        }
    }
}

impl Chunk {
    /// A view of nothing holds no buffer: an idle connection keeps what follows its last request,
    /// which is nothing nearly always.
    fn let_go_if_empty(&mut self) {
        if self.start == self.end {
            drop(std::mem::take(self));
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.storage {
            Some(storage) => &storage[self.start..self.end],
            None => &[],
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(storage) = self.storage.take() {
            give_back(storage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_and_advance_move_the_view_over_shared_storage() {
        let mut chunk = Chunk::copied(b"hello wide world");
        let hello = chunk.split_to(5);
        chunk.advance(1);
        assert_eq!(&*hello, b"hello");
        assert_eq!(&*chunk, b"wide world");
        assert_eq!(&*chunk.slice(5..10), b"world");
        drop(hello);
        assert_eq!(&*chunk, b"wide world");
    }

    #[test]
    fn joined_chunks_follow_each_other_and_an_empty_one_costs_no_copy() {
        let hello = Chunk::copied(b"hello");
        let address = hello.as_ptr();
        let hello = Chunk::joined(Chunk::default(), hello);
        assert_eq!(hello.as_ptr(), address);
        let both = Chunk::joined(hello, Chunk::copied(b" you"));
        assert_eq!((&*both, both.as_ptr()), (&b"hello you"[..], address));
    }

    #[test]
    fn joining_leaves_other_views_of_the_storage_alone() {
        let mut hello = Chunk::copied(b"hello wide");
        let first = hello.split_to(5);
        let both = Chunk::joined(first, Chunk::copied(b" you"));
        assert_eq!((&*both, &*hello), (&b"hello you"[..], &b" wide"[..]));
        let mut cut = Chunk::copied(b"hello wide").slice(0..5);
        cut = Chunk::joined(cut, Chunk::copied(b"!"));
        assert_eq!(&*cut, b"hello!");
    }

    #[test]
    fn a_view_of_nothing_holds_no_buffer() {
        let mut chunk = Chunk::copied(b"hello");
        let address = chunk.as_ptr();
        let empty = chunk.slice(5..5);
        chunk.advance(5);
        assert_eq!(ChunkMut::new().as_ptr(), address, "it is back on the shelf");
        assert!(empty.is_empty() && chunk.is_empty());
    }

    #[test]
    fn a_dropped_buffer_is_used_again_and_comes_back_empty() {
        let chunk = Chunk::copied(b"first");
        let address = chunk.as_ptr();
        drop(chunk);
        let again = ChunkMut::new();
        assert_eq!(again.as_ptr(), address);
        assert!(again.is_empty());
    }

    #[test]
    fn a_buffer_still_in_view_is_not_used_again() {
        let chunk = Chunk::copied(b"first");
        let view = chunk.slice(1..3);
        let address = chunk.as_ptr();
        drop(chunk);
        assert_ne!(ChunkMut::new().as_ptr(), address);
        assert_eq!(&*view, b"ir");
    }

    #[test]
    fn a_buffer_that_grew_is_freed_not_shelved() {
        let mut big = ChunkMut::new();
        big.resize(CHUNK_BYTES * 4, 7);
        drop(big.freeze());
        assert_eq!(ChunkMut::new().capacity(), CHUNK_BYTES);
    }
}
