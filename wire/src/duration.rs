//! Durations as OpenFaaS writes them: whole seconds (`30`), or Go's form (`1m30s`, `500ms`).
//!
//! They stand in the header `X-Timeout` and in a function's variables such as `exec_timeout`,
//! which the watchdog obeys and the gateway must not cut short: both have to read the same.
//!
//! What it does not do: give zero a meaning, which is its reader's.

use std::time::Duration;

/// What may be written, for error messages.
pub const FORMS: &str = "whole seconds such as 30, or a duration such as 1m30s or 500ms";

/// Ten years: above this it is a slip, and far below what clock arithmetic can hold.
const NANOSECONDS_MAX: u128 = 10 * 365 * 86_400 * 1_000_000_000;

/// Reads a duration; `None` if it has neither form, is negative, or is longer than ten years.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let nanoseconds = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse::<u64>()
            .ok()
            .map(|seconds| u128::from(seconds) * 1_000_000_000)?
    } else {
        parse_go(text)?
    };
    if nanoseconds > NANOSECONDS_MAX {
        return None;
    }
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// One or more numbers with a unit each, as Go's `time.ParseDuration` reads them.
fn parse_go(text: &str) -> Option<u128> {
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        total = total.checked_add(nanoseconds(number, unit)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

fn nanoseconds(number: &str, unit: &str) -> Option<u128> {
    let unit: u128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Longer ones than this are not durations; it also bounds the arithmetic.
    if whole.len() + fraction.len() == 0 || whole.len() > 18 || fraction.len() > 18 {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let (mut part, mut scale) = (0, 1);
    for byte in fraction.bytes() {
        // A second point is not a digit.
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        (part, scale) = (part * 10 + u128::from(digit), scale * 10);
    }
    Some(whole * unit + part * unit / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_go_durations() {
        let cases = [
            ("0", 0),
            ("30", 30_000),
            ("007", 7_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("2h45m0.5s", 9_900_500),
            ("1000us", 1),
            ("1000µs", 1),
            ("1000000ns", 1),
            ("0s", 0),
            ("87600h", 315_360_000_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(
                parse(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_everything_else() {
        let texts = [
            "",
            " ",
            "-1",
            "+1",
            "-1s",
            "1 s",
            " 1s",
            "1s ",
            "s",
            "ms",
            ".s",
            "1.5",
            "1..5s",
            "1.2.3s",
            "1d",
            "1S",
            "1sec",
            "1e3s",
            "0x10",
            "1s1",
            "99999999999",
            "87601h",
            "9999999999999999999999s",
            "٣s",
        ];
        for text in texts {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
