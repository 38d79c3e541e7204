//! What a client has of a file already: `If-Match`, `If-None-Match`, the two dates, and `If-Range`,
//! RFC 9110 §13. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wire::Headers;

use super::range::{self, Part};
use super::validators::Validators;

/// A field that may come once only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Single<'h> {
    #[default]
    Absent,
    Once(&'h [u8]),
    /// Which of them counts is not said anywhere, so none does.
    Several,
}

impl<'h> Single<'h> {
    fn add(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Several => Self::Several,
        };
    }

    fn value(self) -> Option<&'h [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Several => None,
        }
    }

    /// Seconds since 1970, if it is a date; anything else is to be ignored (§13.1.3, §13.1.4).
    fn date(self) -> Option<u64> {
        date(self.value()?)
    }
}

/// The conditions of one request.
#[derive(Debug, Default)]
pub(super) struct Conditions<'h> {
    /// A value for each line of `If-Match`.
    matches: Vec<&'h [u8]>,
    /// A value for each line of `If-None-Match`.
    none_matches: Vec<&'h [u8]>,
    modified_since: Single<'h>,
    unmodified_since: Single<'h>,
    if_range: Single<'h>,
    range: Single<'h>,
}

/// What follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The file may be sent.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not the file that the client means.
    Failed,
}

impl<'h> Conditions<'h> {
    /// Finds them in one walk.
    pub(super) fn of(headers: &Headers<'h>) -> Self {
        let mut found = Self::default();
        for header in headers.iter() {
            match header.name.len() {
                5 if header.is("range") => found.range.add(header.value),
                8 if header.is("if-match") => found.matches.push(header.value),
                8 if header.is("if-range") => found.if_range.add(header.value),
                13 if header.is("if-none-match") => found.none_matches.push(header.value),
                17 if header.is("if-modified-since") => found.modified_since.add(header.value),
                19 if header.is("if-unmodified-since") => found.unmodified_since.add(header.value),
                _ => {}
            }
        }
        found
    }

    /// Judges a GET or HEAD, in the order of §13.2.2.
    pub(super) fn judge(&self, file: &Validators) -> Verdict {
        if !self.matches.is_empty() {
            if !any(&self.matches, file, Comparison::Strong) {
                return Verdict::Failed;
            }
        } else if let (Some(date), Some(modified)) = (self.unmodified_since.date(), file.modified_s)
            && modified > date
        {
            return Verdict::Failed;
        }
        if !self.none_matches.is_empty() {
            if any(&self.none_matches, file, Comparison::Weak) {
                return Verdict::NotModified;
            }
        } else if let (Some(date), Some(modified)) = (self.modified_since.date(), file.modified_s)
            && modified <= date
        {
            return Verdict::NotModified;
        }
        Verdict::Send
    }

    /// What of the file a GET is to be sent, §13.1.5 and §14.2. `now` in seconds since 1970.
    pub(super) fn part(&self, file: &Validators, len: u64, now_s: u64) -> Part {
        let is_current = match self.if_range {
            Single::Absent => true,
            Single::Several => false,
            Single::Once(value) => is_same(value, file, now_s),
        };
        match self.range.value() {
            Some(range) if is_current => range::parse(range, len),
            _ => Part::Whole,
        }
    }
}

/// Whether an `If-Range` names the file as it is. A date can be relied on only if the file could not
/// have changed a second time within the same second (§8.8.2.2).
fn is_same(value: &[u8], file: &Validators, now_s: u64) -> bool {
    if let Some(tag) = tags(value).next() {
        return !tag.is_weak && Some(tag.opaque) == file.opaque();
    }
    let modified = file.modified_s.filter(|modified| *modified < now_s);
    modified.is_some() && date(value) == modified
}

/// How two tags are compared, §8.8.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether one of the listed tags is the file's. `*` is any file that is there.
fn any(lines: &[&[u8]], file: &Validators, comparison: Comparison) -> bool {
    lines.iter().any(|line| {
        *line == b"*"
            || tags(line).any(|tag| {
                let may_be = comparison == Comparison::Weak || !tag.is_weak;
                may_be && Some(tag.opaque) == file.opaque()
            })
    })
}

/// An entity tag, §8.8.3. Ours are strong.
struct Tag<'h> {
    is_weak: bool,
    /// What is between the quotes.
    opaque: &'h [u8],
}

/// The tags of a list, up to the first thing that is none.
fn tags(mut list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', rest @ ..] = list {
            list = rest;
        }
        let is_weak = list.starts_with(b"W/");
        let quoted = list.strip_prefix(b"W/").unwrap_or(list);
        let rest = quoted.strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        list = &rest[end + 1..];
        Some(Tag {
            is_weak,
            opaque: &rest[..end],
        })
    })
}

/// Seconds since 1970 of a date in any of the three forms of §5.6.7.
fn date(value: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()?;
    seconds(time)
}

/// Seconds since 1970; none before that.
pub(super) fn seconds(time: SystemTime) -> Option<u64> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// A date as it is written, §5.6.7. `seconds` since 1970, in this millennium or the last.
pub(super) fn written(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Limits, Parsed};

    const MODIFIED: u64 = 1_700_000_000;
    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const AFTER: &str = "Tuesday, 14-Nov-23 22:13:21 GMT";

    fn file() -> Validators {
        Validators {
            tag: Some("\"a\"".to_owned()),
            modified_s: Some(MODIFIED),
        }
    }

    fn with<T>(fields: &[(&str, &str)], look: impl FnOnce(Conditions<'_>) -> T) -> T {
        let lines: String = fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let text = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let Ok(Parsed::Complete { head, .. }) =
            wire::parse_request(text.as_bytes(), &Limits::DEFAULT)
        else {
            panic!("the test's head is not complete")
        };
        look(Conditions::of(&head.headers))
    }

    fn verdict(fields: &[(&str, &str)]) -> Verdict {
        with(fields, |conditions| conditions.judge(&file()))
    }

    #[test]
    fn each_condition_is_judged_by_its_own_rule() {
        use Verdict::{Failed, NotModified, Send};
        for (name, value, want) in [
            ("If-None-Match", "\"a\"", NotModified),
            ("If-None-Match", "W/\"a\"", NotModified),
            ("If-None-Match", "\"x,y\", W/\"a\"", NotModified),
            ("If-None-Match", "*", NotModified),
            ("If-None-Match", "\"b\"", Send),
            ("If-None-Match", "a", Send),
            ("If-None-Match", "\"a", Send),
            ("If-None-Match", "", Send),
            ("If-None-Match", "\"b\" junk \"a\"", Send),
            ("If-Match", "\"a\"", Send),
            ("If-Match", "\"b\" , \"a\"", Send),
            ("If-Match", "*", Send),
            ("If-Match", "W/\"a\"", Failed),
            ("If-Match", "\"b\"", Failed),
            ("If-Match", "", Failed),
            ("If-Modified-Since", DATE, NotModified),
            ("If-Modified-Since", AFTER, NotModified),
            ("If-Modified-Since", BEFORE, Send),
            ("If-Modified-Since", "yesterday", Send),
            ("If-Unmodified-Since", DATE, Send),
            ("If-Unmodified-Since", BEFORE, Failed),
            ("If-Unmodified-Since", "yesterday", Send),
        ] {
            assert_eq!(verdict(&[(name, value)]), want, "{name}: {value}");
        }
    }

    #[test]
    fn tags_go_before_dates_and_failure_before_the_rest() {
        use Verdict::{Failed, NotModified, Send};
        let none = "If-None-Match";
        for (fields, want) in [
            (&[(none, "\"b\""), ("If-Modified-Since", AFTER)][..], Send),
            (
                &[("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)],
                Send,
            ),
            (&[("If-Match", "\"b\""), (none, "\"a\"")], Failed),
            (&[("If-Match", "\"a\""), (none, "\"a\"")], NotModified),
            (&[(none, "\"b\""), (none, "\"a\"")], NotModified),
            (
                &[("If-Modified-Since", AFTER), ("If-Modified-Since", AFTER)],
                Send,
            ),
        ] {
            assert_eq!(verdict(fields), want, "{fields:?}");
        }
    }

    #[test]
    fn a_file_without_tag_or_date_matches_none() {
        let bare = Validators {
            tag: None,
            modified_s: None,
        };
        let judge = |name, value| with(&[(name, value)], |own| own.judge(&bare));
        assert_eq!(judge("If-None-Match", "\"a\""), Verdict::Send);
        assert_eq!(judge("If-Match", "\"a\""), Verdict::Failed);
        assert_eq!(judge("If-Modified-Since", AFTER), Verdict::Send);
        assert_eq!(judge("If-Unmodified-Since", BEFORE), Verdict::Send);
    }

    #[test]
    fn a_range_holds_only_for_the_file_that_the_client_has_the_beginning_of() {
        let part =
            |fields: &[(&str, &str)], now_s| with(fields, |own| own.part(&file(), 10, now_s));
        let range = ("Range", "bytes=2-3");
        let (some, later) = (Part::Some(2..4), MODIFIED + 1);
        assert_eq!(part(&[range], MODIFIED), some);
        assert_eq!(part(&[("Range", "bytes=10-")], later), Part::Unsatisfiable);
        for (value, is_current) in [
            ("\"a\"", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            (DATE, true),
            (BEFORE, false),
            (AFTER, false),
            ("junk", false),
        ] {
            let want = if is_current {
                some.clone()
            } else {
                Part::Whole
            };
            assert_eq!(part(&[range, ("If-Range", value)], later), want, "{value}");
        }
        let same_second = part(&[range, ("If-Range", DATE)], MODIFIED);
        assert_eq!(same_second, Part::Whole);
        assert_eq!(part(&[range, range], later), Part::Whole);
        let twice = ("If-Range", "\"a\"");
        assert_eq!(part(&[range, twice, twice], later), Part::Whole);
    }
}
