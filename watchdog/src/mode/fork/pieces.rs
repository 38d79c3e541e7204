//! Bytes that wait in memory, in pieces.
//!
//! A single vector would have to move as it grows, and be there twice meanwhile; and keeping what was
//! received as it came would let a client that sends single bytes take a buffer for each. So bytes are
//! copied into pieces, each as large as all before it together, up to a limit.

use std::collections::VecDeque;

use net::{Chunk, ChunkMut};

use crate::limits::{HELD_BYTES_MAX, PIECE_BYTES_MAX};

/// Bytes in order.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    full: VecDeque<Chunk>,
    last: ChunkMut,
    /// How many in all.
    len: usize,
}

impl Pieces {
    /// These bytes, without a copy.
    pub(crate) fn of(chunk: Chunk) -> Self {
        Self {
            len: chunk.len(),
            full: VecDeque::from([chunk]),
            last: ChunkMut::new(),
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let before = self.len - self.last.len();
            let size = before.clamp(HELD_BYTES_MAX, PIECE_BYTES_MAX);
            if self.last.is_empty() && before > 0 {
                self.last.reserve_exact(size);
            }
            let room = size - self.last.len();
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.last.extend_from_slice(now);
            self.len += now.len();
            if self.last.len() == size {
                let full = std::mem::take(&mut self.last);
                self.full.push_back(full.freeze());
            }
            bytes = rest;
        }
    }

    /// The bytes at the beginning: all, if there are few.
    pub(crate) fn first(&self) -> &[u8] {
        match self.full.front() {
            Some(piece) => piece,
            None => &self.last,
        }
    }

    /// Takes the first piece out; none if nothing is left.
    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        let piece = match self.full.pop_front() {
            Some(piece) => piece,
            None if self.last.is_empty() => return None,
            None => std::mem::take(&mut self.last).freeze(),
        };
        self.len -= piece.len();
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: bytes come out in order and in few pieces, however they went in.
    #[test]
    fn what_goes_in_in_any_pieces_comes_out_in_order_in_few() {
        let all: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        for step in [7, 1000, 40_000, 3_000_000] {
            let mut pieces = Pieces::default();
            for bytes in all.chunks(step) {
                pieces.push(bytes);
            }
            assert_eq!(pieces.len(), all.len());
            assert_eq!(pieces.first(), &all[..HELD_BYTES_MAX]);
            let (mut out, mut count) = (Vec::new(), 0);
            while let Some(piece) = pieces.pop() {
                assert!(piece.len() <= PIECE_BYTES_MAX);
                out.extend_from_slice(&piece);
                count += 1;
            }
            assert!(out == all, "in steps of {step}");
            assert!(count <= 10, "{count} pieces");
            assert_eq!(pieces.len(), 0);
        }
    }

    #[test]
    fn a_chunk_stays_where_it_is() {
        let chunk = Chunk::copied(b"hello");
        let address = chunk.as_ptr();
        let mut pieces = Pieces::of(chunk);
        pieces.push(b" you");
        assert_eq!((pieces.first(), pieces.len()), (&b"hello"[..], 9));
        assert_eq!(pieces.pop().unwrap().as_ptr(), address);
        assert_eq!(&*pieces.pop().unwrap(), b" you");
        assert!(pieces.pop().is_none());
    }
}
