//! The time of day as text, for log lines and the `Date` header.
//!
//! All of them change once a second at most, but for the milliseconds of one, so they are written
//! once a second at most. Times are UTC: a
//! static binary in a container knows no other zone.

use std::cell::RefCell;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

#[derive(Default)]
struct Texts {
    second: u64,
    log: String,
    date: String,
    /// Of the length of a whole time: the digits of the milliseconds are put in when it is used.
    rfc3339: String,
}

thread_local! {
    static TEXTS: RefCell<Texts> = RefCell::default();
}

/// Calls `with` with the time as `2006/01/02 15:04:05 `.
pub(crate) fn log_time<R>(with: impl FnOnce(&str) -> R) -> R {
    now(|texts, _| with(&texts.log))
}

/// Calls `with` with the time as `Mon, 02 Jan 2006 15:04:05 GMT`, RFC 9110 §5.6.7.
pub(crate) fn http_date<R>(with: impl FnOnce(&str) -> R) -> R {
    now(|texts, _| with(&texts.date))
}

/// Calls `with` with the time as `2006-01-02T15:04:05.123Z`, RFC 3339.
pub(crate) fn rfc3339<R>(with: impl FnOnce(&str) -> R) -> R {
    now(|texts, millisecond| {
        texts.rfc3339.truncate("2006-01-02T15:04:05.".len());
        // Writing to a string cannot fail.
        write!(texts.rfc3339, "{millisecond:03}Z").unwrap_or(());
        with(&texts.rfc3339)
    })
}

fn now<R>(with: impl FnOnce(&mut Texts, u32) -> R) -> R {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TEXTS.with_borrow_mut(|texts| {
        if texts.second != since.as_secs() {
            *texts = write_texts(since.as_secs());
        }
        with(texts, since.subsec_millis())
    })
}

fn write_texts(second: u64) -> Texts {
    let time = i64::try_from(second)
        .ok()
        .and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (time.year(), time.month(), time.day());
    let (hour, minute, sec) = time.to_hms();
    let mut texts = Texts {
        second,
        ..Texts::default()
    };
    let short = |name: &dyn std::fmt::Display| name.to_string().chars().take(3).collect::<String>();
    // Writing to a string cannot fail.
    write!(
        texts.log,
        "{year:04}/{:02}/{day:02} {hour:02}:{minute:02}:{sec:02} ",
        u8::from(month)
    )
    .unwrap_or(());
    let (weekday, month) = (short(&time.weekday()), short(&month));
    write!(
        texts.date,
        "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{sec:02} GMT"
    )
    .unwrap_or(());
    write!(
        texts.rfc3339,
        "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{sec:02}.",
        u8::from(time.month())
    )
    .unwrap_or(());
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_of_now() {
        for _ in 0..2 {
            rfc3339(|time| {
                assert_eq!(time.len(), "2006-01-02T15:04:05.123Z".len(), "{time}");
                assert!(time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
            });
        }
    }

    #[test]
    fn writes_all_forms() {
        let texts = write_texts(1_136_214_245);
        assert_eq!(texts.log, "2006/01/02 15:04:05 ");
        assert_eq!(texts.date, "Mon, 02 Jan 2006 15:04:05 GMT");
        assert_eq!(texts.rfc3339, "2006-01-02T15:04:05.");
        assert_eq!(
            write_texts(951_782_400).date,
            "Tue, 29 Feb 2000 00:00:00 GMT"
        );
        assert_eq!(write_texts(u64::MAX).log, "1970/01/01 00:00:00 ");
    }
}
