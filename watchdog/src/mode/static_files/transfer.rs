//! A file on its way to the client.
//!
//! It is read in pieces as the client takes them, into buffers that are used again. (sendfile(2)
//! would save the copy, but needs the socket's descriptor, which `net` keeps to itself.) A download
//! may be long, so what is limited is not its time but each pause in it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use net::{ChunkMut, Either, Pace, Sender, race};
use rustix::buffer::spare_capacity;
use rustix::io::{pread, retry_on_intr};

use crate::log;
use crate::timers::Timers;

/// What is to be sent, and how long that may take.
#[derive(Debug)]
pub(super) struct Transfer<'f> {
    pub(super) file: &'f File,
    /// Its name, for the log.
    pub(super) name: &'f [u8],
    /// Bytes of the file.
    pub(super) part: Range<u64>,
    /// The longest time that a piece may take to go out; none = no limit.
    pub(super) pause_max: Option<Duration>,
    /// When it must be over, if the client has said so.
    pub(super) end: Option<Instant>,
}

impl Transfer<'_> {
    /// Sends `head`, and the part of the file behind it.
    ///
    /// # Errors
    /// The client is gone or too slow, or the file cannot be read to the end of the part. The
    /// answer has no end then.
    pub(super) async fn run(
        mut self,
        head: ChunkMut,
        sender: &mut Sender,
        timers: &Timers,
    ) -> io::Result<()> {
        let pace = Pace::default();
        let mut piece = head;
        loop {
            if let Err(error) = self.fill(&mut piece) {
                let name = self.name.escape_ascii();
                log::line(&format!("{name} was not sent to its end: {error}"));
                return Err(error);
            }
            self.within(sender.send(piece.freeze()), timers).await?;
            if self.part.is_empty() {
                break;
            }
            // A client who takes it as fast as it comes would have the thread for himself.
            pace.turn().await;
            piece = ChunkMut::new();
        }
        self.within(sender.flush(), timers).await
    }

    /// Appends as much of the file as there is room for.
    fn fill(&mut self, piece: &mut ChunkMut) -> io::Result<()> {
        if self.part.is_empty() || piece.room() == 0 {
            return Ok(());
        }
        let before = piece.len();
        let offset = self.part.start;
        let read = retry_on_intr(|| pread(self.file, spare_capacity(piece), offset))?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter meanwhile",
            ));
        }
        let left = self.part.end - offset;
        let taken = usize::try_from(left).map_or(read, |left| left.min(read));
        piece.truncate(before + taken);
        self.part.start += u64::try_from(taken).unwrap_or(left);
        Ok(())
    }

    /// Waits for `sending` as long as a pause may be.
    async fn within(
        &self,
        sending: impl Future<Output = io::Result<()>>,
        timers: &Timers,
    ) -> io::Result<()> {
        let pause_end = self.pause_max.map(|pause| Instant::now() + pause);
        let limit = [pause_end, self.end].into_iter().flatten().min();
        match limit {
            Some(limit) => timers.call.set_at(limit),
            None => timers.call.clear(),
        }
        match race(sending, timers.call.expired()).await {
            Either::First(sent) => sent,
            Either::Second(()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}
