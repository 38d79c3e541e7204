//! `Range: bytes=…`, RFC 9110 §14.2. Pure.
//!
//! One range is served. Of several the whole file is the answer, which a server may always give:
//! players and downloads ask for one, and an answer in parts costs more than it saves.

use std::ops::Range;

/// What of a file is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: no range was asked for, or nothing that is one (§14.2: it is ignored).
    Whole,
    /// These bytes; there is one at least.
    Some(Range<u64>),
    /// Bytes that are not there.
    Unsatisfiable,
}

/// Reads a `Range` field for a file of `len` bytes.
pub(super) fn parse(value: &[u8], len: u64) -> Part {
    single(value)
        .and_then(|spec| part(spec, len))
        .unwrap_or(Part::Whole)
}

/// The one range that is asked for.
fn single(value: &[u8]) -> Option<&str> {
    let text = str::from_utf8(value).ok()?;
    let (unit, set) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Elements of a list may be empty, §5.6.1.2.
    let mut specs = set
        .split(',')
        .map(|spec| spec.trim_matches([' ', '\t']))
        .filter(|spec| !spec.is_empty());
    let first = specs.next()?;
    specs.next().is_none().then_some(first)
}

fn part(spec: &str, len: u64) -> Option<Part> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        return Some(match number(last)? {
            0 => Part::Unsatisfiable,
            // §14.1.2 calls it satisfiable, but no `Content-Range` can say it.
            _ if len == 0 => Part::Whole,
            suffix => Part::Some(len.saturating_sub(suffix)..len),
        });
    }
    let first = number(first)?;
    let end = match last {
        "" => len,
        last => {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(len)
        }
    };
    Some(match first < len {
        true => Part::Some(first..end),
        false => Part::Unsatisfiable,
    })
}

/// Digits; what is too large for any file is as good as the largest number.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_range_is_served() {
        for (value, want) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..10),
            ("bytes=3-5", 3..6),
            ("bytes=3-99", 3..10),
            ("bytes=9-99999999999999999999999", 9..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("bytes=-99999999999999999999999", 0..10),
            ("BYTES=1-1", 1..2),
            ("bytes= 1-1 ,", 1..2),
            ("bytes=,\t1-1", 1..2),
        ] {
            assert_eq!(parse(value.as_bytes(), 10), Part::Some(want), "{value}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        for value in [
            "bytes=10-",
            "bytes=10-11",
            "bytes=99999999999999999999999-",
            "bytes=-0",
        ] {
            assert_eq!(parse(value.as_bytes(), 10), Part::Unsatisfiable, "{value}");
        }
        assert_eq!(parse(b"bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(parse(b"bytes=-1", 0), Part::Whole);
    }

    #[test]
    fn everything_else_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5-3",
            "bytes=1",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=a-b",
            "bytes=1 - 2",
            "bytes =1-2",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=\u{661}-2",
        ] {
            assert_eq!(parse(value.as_bytes(), 10), Part::Whole, "{value}");
        }
        assert_eq!(parse(b"bytes=0-\xff", 10), Part::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(value in "(bytes=)?[0-9,\\- ]{0,12}", len in 0..20_u64) {
            if let Part::Some(range) = parse(value.as_bytes(), len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }

        #[test]
        fn a_range_that_was_written_is_read(first in 0..50_u64, more in 0..50_u64, len in 1..60_u64) {
            let part = parse(format!("bytes={first}-{}", first + more).as_bytes(), len);
            let want = match first < len {
                true => Part::Some(first..len.min(first + more + 1)),
                false => Part::Unsatisfiable,
            };
            prop_assert_eq!(part, want);
        }
    }
}
