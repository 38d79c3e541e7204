//! The beginning of a request on its way to the function, joined so that it goes out in one write.

use net::{Chunk, ChunkMut};

/// What goes out first, kept so that it can be sent a second time.
#[derive(Debug, Clone)]
pub(crate) struct First {
    /// The head, and the beginning of the body where that needs no large copy.
    pub(crate) head: Chunk,
    /// The beginning of the body, where it does.
    pub(crate) piece: Chunk,
    /// That is all of the request.
    pub(crate) is_whole: bool,
}

impl First {
    pub(crate) fn new(mut head: ChunkMut, mut piece: Chunk, is_whole: bool) -> Self {
        if piece.len() <= head.room() {
            head.extend_from_slice(&piece);
            piece = Chunk::default();
        }
        Self {
            head: head.freeze(),
            piece,
            is_whole,
        }
    }
}
