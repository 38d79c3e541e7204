//! Lengths of time as people write them (`90s`, `10m`, `1h30m`, `2d`), and points in time as RFC
//! 3339.
//!
//! `logs --since` needs both: the gateway takes only a point in time. The clock is the caller's.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads a length of time: one or more numbers, each with a unit (`ms`, `s`, `m`, `h`, `d`),
/// largest first or not; a number alone counts as seconds.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a length of time: write it as 90s, 10m, 1h30m or 2d");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_not_a_number| wrong())?;
        let letters = tail.len()
            - tail
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, tail) = tail.split_at(letters);
        let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "" if tail.is_empty() && digits == text.trim().len() => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3_600),
            "d" => seconds(86_400),
            _ => None,
        };
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// Checks that `text` is a point in time by RFC 3339, and gives it back.
///
/// # Errors
/// A sentence with an example.
pub(crate) fn parse_time(text: &str) -> Result<String, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|_valid| text.to_owned())
        .map_err(|error| format!("`{text}` is not a time such as 2026-11-25T08:30:00Z: {error}"))
}

/// The point in time that lies `ago` before `now`, in RFC 3339 and UTC.
///
/// # Errors
/// A sentence, when that point lies before the years that the format can write.
pub(crate) fn time_before(now: SystemTime, ago: Duration) -> Result<String, String> {
    let too_far = || format!("{} s ago is too long ago", ago.as_secs());
    let then = OffsetDateTime::from(now)
        .checked_sub(ago.try_into().map_err(|_out_of_range| too_far())?)
        .ok_or_else(too_far)?;
    then.format(&Rfc3339)
        .map_err(|_year_out_of_range| too_far())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5_400),
            ("2d", 172_800),
            ("45", 45),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("1s500ms"), Ok(Duration::from_millis(1_500)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            " ",
            "m",
            "10x",
            "-5m",
            "1.5h",
            "10m5",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_before_now_is_rfc_3339() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(3_600);
        assert_eq!(
            time_before(now, Duration::from_secs(60)),
            Ok("1970-01-01T00:59:00Z".to_owned())
        );
        time_before(now, Duration::from_secs(u64::MAX)).unwrap_err();
    }

    #[test]
    fn a_time_is_checked_before_it_is_sent() {
        assert_eq!(
            parse_time("2026-11-25T08:30:00+01:00"),
            Ok("2026-11-25T08:30:00+01:00".to_owned())
        );
        parse_time("yesterday").unwrap_err();
    }
}
