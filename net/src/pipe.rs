//! The parent's ends of the pipes to a process.
//!
//! A pipe is read and written with plain non-blocking calls and polled only when it would block:
//! most of a child's output is there by the time it is asked for.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use crate::{Chunk, ChunkMut, Pace, Readiness, fd::borrow_socket};

/// What is left free of a buffer, in bytes, so that a copy of what was read fits into another one together
/// with the framing of a chunk (RFC 9112 §7.1). A larger copy would not go back to the shelf.
const FRAMING_BYTES: usize = 16;

/// The read end of a pipe.
#[derive(Debug)]
pub struct PipeReader {
    readiness: Readiness,
    /// A process may write faster than what it writes is passed on.
    pace: Pace,
}

impl PipeReader {
    /// Takes the descriptor over.
    ///
    /// # Errors
    /// When it cannot be polled.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            readiness: Readiness::new(fd)?,
            pace: Pace::default(),
        })
    }

    /// Waits for the next bytes; an empty chunk says that every write end is closed.
    /// Nothing is lost when the future is dropped. However fast the bytes come, others have their
    /// turn now and then.
    ///
    /// # Errors
    /// What read(2) answered.
    pub async fn recv(&mut self) -> io::Result<Chunk> {
        self.pace.turn().await;
        let mut buffer = ChunkMut::new();
        buffer.extend_from_slice(&[0; FRAMING_BYTES]);
        loop {
            match self.readiness.try_read(&mut buffer) {
                Ok(_) => {
                    let mut chunk = buffer.freeze();
                    chunk.advance(FRAMING_BYTES);
                    return Ok(chunk);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness.readable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What is there now, without waiting: `None` when nothing is, an empty chunk at the end.
    ///
    /// # Errors
    /// What read(2) answered.
    pub fn try_recv(&mut self) -> io::Result<Option<Chunk>> {
        let mut buffer = ChunkMut::new();
        match self.readiness.try_read(&mut buffer) {
            Ok(_) => Ok(Some(buffer.freeze())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands over what is there at this moment, without waiting. What is written meanwhile is left,
    /// so this ends even if somebody writes for ever.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        let mut left = self.readiness.waiting_bytes().unwrap_or(0);
        while left > 0
            && let Ok(Some(bytes)) = self.try_recv()
            && !bytes.is_empty()
        {
            left = left.saturating_sub(bytes.len());
            take(&bytes);
        }
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow_socket(self.readiness.as_raw_fd(), self)
    }
}

/// The write end of a pipe. Dropping it is the end of file for the reader.
#[derive(Debug)]
pub struct PipeWriter {
    readiness: Readiness,
    written: Cell<u64>,
}

impl PipeWriter {
    /// Takes the descriptor over.
    ///
    /// # Errors
    /// When it cannot be polled.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            readiness: Readiness::new(fd)?,
            written: Cell::new(0),
        })
    }

    /// Writes the whole chunk, waiting for the reader as need be.
    ///
    /// # Errors
    /// What write(2) answered; `BrokenPipe` when the reader closed its end.
    pub async fn send(&self, mut chunk: Chunk) -> io::Result<()> {
        while !chunk.is_empty() {
            match self.readiness.try_write(&chunk) {
                Ok(count) => {
                    chunk.advance(count);
                    self.written.set(self.written.get() + count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readiness.writable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many bytes were written so far.
    pub fn written_bytes(&self) -> u64 {
        self.written.get()
    }

    /// How many bytes were written and not read yet; that can be asked after the reader has gone.
    ///
    /// # Errors
    /// What ioctl(2) answered.
    pub fn unread_bytes(&self) -> io::Result<usize> {
        self.readiness.waiting_bytes()
    }
}

impl AsFd for PipeWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        borrow_socket(self.readiness.as_raw_fd(), self)
    }
}
