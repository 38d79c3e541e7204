//! The last lines that the replicas of one function wrote, in a bounded piece of memory.
//!
//! Text lies in one ring of bytes and each line is 24 bytes beside it, so that taking a line is
//! a copy and no allocation: a function that writes 100 MB/s pushes its own old lines out, and
//! neither blocks nor takes the gateway's memory. What was pushed out is counted.
//!
//! What it does not do: keep history over a restart, wait, or know about pipes.

use std::collections::VecDeque;

use time::OffsetDateTime;

/// What one function's lines may take, in bytes, the 24 of each line included.
const RING_BYTES_MAX: usize = 1024 * 1024;
/// The longest line; what is longer is cut into several.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// The ring. Lines are numbered from 0 in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct LogRing {
    text: VecDeque<u8>,
    /// Place of the first byte of `text` in all that was ever written.
    text_begin: u64,
    lines: VecDeque<Line>,
    /// The number of the first line in `lines`, and so how many were pushed out.
    first: u64,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    /// Place in all that was ever written.
    begin: u64,
    bytes: u32,
    instance: u32,
    /// Nanoseconds since 1970, good until 2262.
    at_ns: i64,
}

/// A line that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadLine {
    pub(crate) number: u64,
    pub(crate) instance: u32,
    pub(crate) at: OffsetDateTime,
    pub(crate) text: String,
}

impl LogRing {
    /// Takes a line of `instance` that arrived at `at`, without its line end.
    pub(crate) fn push(&mut self, instance: u32, at: OffsetDateTime, text: &[u8]) {
        let text = &text[..text.len().min(LINE_BYTES_MAX)];
        let cost = text.len() + size_of::<Line>();
        while self.bytes() + cost > RING_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.first += 1;
            self.text.drain(..oldest.bytes as usize);
            self.text_begin += u64::from(oldest.bytes);
        }
        self.lines.push_back(Line {
            begin: self.text_begin + self.text.len() as u64,
            // LINE_BYTES_MAX fits.
            bytes: u32::try_from(text.len()).unwrap_or(0),
            instance,
            at_ns: i64::try_from(at.unix_timestamp_nanos()).unwrap_or(i64::MAX),
        });
        self.text.extend(text);
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.lines.len() * size_of::<Line>()
    }

    /// The number of the oldest line that is still there: how many were pushed out.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next line will have.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    /// The number of the first of the last `count` lines that `wanted` accepts.
    pub(crate) fn tail(&self, count: usize, wanted: impl Fn(u32, OffsetDateTime) -> bool) -> u64 {
        let mut from = self.next();
        let mut number = from;
        let mut left = count;
        for line in self.lines.iter().rev() {
            if left == 0 {
                break;
            }
            number -= 1;
            if wanted(line.instance, line.at()) {
                from = number;
                left -= 1;
            }
        }
        from
    }

    /// Up to `count` lines from number `from` on that `wanted` accepts, and the number to go on
    /// from.
    pub(crate) fn read(
        &self,
        from: u64,
        count: usize,
        wanted: impl Fn(u32, OffsetDateTime) -> bool,
    ) -> (Vec<ReadLine>, u64) {
        let mut found = Vec::new();
        let mut number = from.max(self.first);
        let skip = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        for line in self.lines.iter().skip(skip) {
            if found.len() == count {
                break;
            }
            if wanted(line.instance, line.at()) {
                found.push(ReadLine {
                    number,
                    instance: line.instance,
                    at: line.at(),
                    text: self.text_of(line),
                });
            }
            number += 1;
        }
        (found, number)
    }

    fn text_of(&self, line: &Line) -> String {
        let begin = usize::try_from(line.begin - self.text_begin).unwrap_or(usize::MAX);
        let bytes: Vec<u8> = self
            .text
            .range(begin..begin + line.bytes as usize)
            .copied()
            .collect();
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl Line {
    fn at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at_ns))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Cuts what comes out of a pipe into lines.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
}

impl Splitter {
    /// Calls `line` for each line that is complete, or as long as a line may be.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, complete) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if complete && self.partial.is_empty() && text.len() <= LINE_BYTES_MAX {
                line(text);
                continue;
            }
            self.partial.extend_from_slice(text);
            while self.partial.len() > LINE_BYTES_MAX {
                line(&self.partial[..LINE_BYTES_MAX]);
                self.partial.drain(..LINE_BYTES_MAX);
            }
            if complete {
                line(&self.partial);
                // Not only emptied: a long line once must not cost memory for ever.
                self.partial = Vec::new();
            }
        }
    }

    /// The last line, if its end never came.
    pub(crate) fn finish(self, line: impl FnOnce(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_700_000_000 + seconds).unwrap()
    }

    fn all(ring: &LogRing, from: u64) -> Vec<String> {
        let (lines, _) = ring.read(from, usize::MAX, |_, _| true);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_read_in_order_from_anywhere() {
        let mut ring = LogRing::default();
        for (text, second) in ["a", "", "c", "d"].iter().zip(0..) {
            ring.push(
                u32::try_from(second % 2).unwrap(),
                at(second),
                text.as_bytes(),
            );
        }
        assert_eq!(all(&ring, 0), ["a", "", "c", "d"]);
        assert_eq!(all(&ring, 2), ["c", "d"]);
        assert_eq!(all(&ring, 99), Vec::<String>::new());
        let (odd, next) = ring.read(0, 1, |instance, _| instance == 1);
        assert_eq!((odd[0].text.as_str(), odd[0].number, next), ("", 1, 2));
        assert_eq!(ring.tail(3, |_, _| true), 1);
        assert_eq!(ring.tail(1, |instance, _| instance == 0), 2);
        assert_eq!(ring.tail(0, |_, _| true), 4);
        assert_eq!(ring.tail(100, |_, _| true), 0);
        assert_eq!(ring.tail(100, |_, time| time >= at(3)), 3);
    }

    #[test]
    fn old_lines_make_room_and_are_counted() {
        let mut ring = LogRing::default();
        let line = [b'x'; 1000];
        for _ in 0..5000 {
            ring.push(0, at(0), &line);
            assert!(ring.bytes() <= RING_BYTES_MAX);
        }
        assert_eq!(ring.next(), 5000);
        let kept = RING_BYTES_MAX / (1000 + size_of::<Line>());
        assert_eq!(ring.first(), 5000 - kept as u64);
        assert_eq!(all(&ring, 0).len(), kept);
    }

    #[test]
    fn what_is_no_text_is_shown_as_far_as_it_is() {
        let mut ring = LogRing::default();
        ring.push(0, at(0), b"a\xffb");
        assert_eq!(all(&ring, 0), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_bounded() {
        let mut splitter = Splitter::default();
        let mut lengths = Vec::new();
        for _ in 0..40 {
            splitter.feed(&[b'x'; 10_000], |line| lengths.push(line.len()));
            assert!(splitter.partial.len() <= LINE_BYTES_MAX);
        }
        splitter.feed(b"\nend", |line| lengths.push(line.len()));
        splitter.finish(|line| lengths.push(line.len()));
        assert_eq!(lengths.iter().sum::<usize>(), 400_003);
        assert_eq!(lengths.last(), Some(&3));
    }

    proptest! {
        /// However the pipe cuts the bytes, the lines are the same.
        #[test]
        fn lines_do_not_depend_on_how_they_arrive(text in "[ab\n]{0,60}", size in 1_usize..7) {
            let mut lines = Vec::new();
            let mut splitter = Splitter::default();
            for piece in text.as_bytes().chunks(size) {
                splitter.feed(piece, |line| lines.push(line.to_vec()));
            }
            splitter.finish(|line| lines.push(line.to_vec()));
            let wanted: Vec<_> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(lines, wanted);
        }
    }
}
