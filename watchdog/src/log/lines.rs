//! What a program writes to the log: bytes in, lines out.
//!
//! A line that is longer than `log_buffer_size` is cut, between two characters, since one that
//! never ends would take all memory. OpenFaaS's of-watchdog stops reading in that case, and the
//! function with it.

use super::{Format, STYLE, object, write};
use crate::clock;

/// Where a program wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Writes what a program writes to the log, line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: Stream,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            partial: Vec::new(),
        }
    }

    /// Takes the next bytes, and writes the lines that they complete, all in one write.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let mut out = Vec::new();
        self.split(bytes, &mut out);
        if !out.is_empty() {
            write(&out);
        }
    }

    /// Writes what is left of a last line without an end.
    pub(crate) fn finish(&mut self) {
        if !self.partial.is_empty() {
            let mut out = Vec::new();
            self.end_line(&mut out);
            write(&out);
        }
    }

    fn split(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end], out);
            self.end_line(out);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes, out);
    }

    /// Adds to the line, and cuts it where it gets too long.
    fn extend(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        let most = STYLE.get().line_bytes_max;
        while self.partial.len() + bytes.len() > most {
            let (fits, rest) = bytes.split_at(most - self.partial.len());
            self.partial.extend_from_slice(fits);
            let whole = self.partial.len() - unfinished(&self.partial);
            let next = self.partial.split_off(whole);
            self.end_line(out);
            self.partial = next;
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        let style = STYLE.get();
        match style.format {
            Format::Json => object(out, self.stream.name(), &self.partial),
            Format::Text => {
                if style.prefixed {
                    clock::log_time(|time| out.extend_from_slice(time.as_bytes()));
                    out.extend_from_slice(self.stream.name().as_bytes());
                    out.extend_from_slice(b": ");
                }
                out.extend_from_slice(&self.partial);
                out.push(b'\n');
            }
        }
        self.partial.clear();
    }
}

/// How many bytes at the end begin a UTF-8 character that does not end there.
fn unfinished(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let needs = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return 0,
        };
        return match needs > back + 1 {
            true => back + 1,
            false => 0,
        };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::{Style, set_style};
    use super::*;

    /// What becomes of these pieces with this style.
    fn lines(style: Style, pieces: &[&[u8]]) -> String {
        set_style(style);
        let (mut lines, mut out) = (Lines::new(Stream::Stderr), Vec::new());
        for piece in pieces {
            lines.split(piece, &mut out);
        }
        if !lines.partial.is_empty() {
            lines.end_line(&mut out);
        }
        String::from_utf8(out).unwrap()
    }

    fn plain(line_bytes_max: usize) -> Style {
        Style {
            prefixed: false,
            line_bytes_max,
            ..Style::DEFAULT
        }
    }

    #[test]
    fn lines_are_put_together_and_taken_apart() {
        let pieces: [&[u8]; 4] = [b"on", b"e\ntwo\n\nth", b"", b"ree"];
        assert_eq!(lines(plain(100), &pieces), "one\ntwo\n\nthree\n");
    }

    #[test]
    fn a_line_is_cut_where_it_is_too_long() {
        assert_eq!(lines(plain(4), &[b"12345678\n"]), "1234\n5678\n");
        assert_eq!(lines(plain(4), &[b"123", b"456789"]), "1234\n5678\n9\n");
        // As long as allowed is not too long, wherever its end comes.
        assert_eq!(lines(plain(4), &[b"1234", b"\n5"]), "1234\n5\n");
    }

    #[test]
    fn a_cut_does_not_go_through_a_character() {
        assert_eq!(lines(plain(4), &["abcäd".as_bytes()]), "abc\näd\n");
        assert_eq!(lines(plain(4), &["a€€".as_bytes()]), "a€\n€\n");
        assert_eq!(lines(plain(4), &["a😀".as_bytes()]), "a\n😀\n");
        // What is no character is cut anywhere.
        assert_eq!(unfinished(b"\xff\xff\xff\xff"), 0);
        assert_eq!(unfinished(b"\x80\x80\x80\x80"), 0);
    }

    #[test]
    fn a_prefix_names_time_and_stream() {
        let text = lines(Style::DEFAULT, &[b"oh"]);
        assert!(text.ends_with(" stderr: oh\n"), "{text}");
        assert_eq!(text.len(), "2006/01/02 15:04:05 stderr: oh\n".len());
    }

    #[test]
    fn json_lines_are_objects() {
        let style = Style {
            format: Format::Json,
            ..plain(100)
        };
        let text = lines(style, &[b"say \"oh\"\n\xff"]);
        let ends = [
            "\",\"stream\":\"stderr\",\"message\":\"say \\\"oh\\\"\"}",
            "\",\"stream\":\"stderr\",\"message\":\"\u{fffd}\"}",
        ];
        for (line, end) in text.lines().zip(ends) {
            assert!(line.starts_with("{\"time\":\"2"), "{line}");
            assert!(line.ends_with(end), "{line}");
        }
        assert_eq!(text.lines().count(), 2);
    }
}
