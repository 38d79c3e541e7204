//! The settings of the log.

use super::{ConfigError, RawConfig};
use crate::limits::{LOG_LINE_BYTES_MAX, LOG_LINE_BYTES_MIN};
use crate::log::{Format, Style};

/// How lines are to be written.
pub(super) fn style(raw: &RawConfig) -> Result<Style, ConfigError> {
    let default = Style::DEFAULT;
    Ok(Style {
        format: raw.parsed("log_format", default.format, format, "text or json")?,
        prefixed: raw.switch("prefix_logs", default.prefixed)?,
        line_bytes_max: raw.parsed(
            "log_buffer_size",
            default.line_bytes_max,
            bytes,
            "a number of bytes from 256 to 16777216, such as 65536 or 64Ki",
        )?,
    })
}

fn format(text: &str) -> Option<Format> {
    match text {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// Bytes as of-watchdog wants them, or as amounts of memory are written elsewhere.
fn bytes(text: &str) -> Option<usize> {
    let bytes = ::process::limits::parse_memory(text).ok()?;
    let bytes = usize::try_from(bytes).ok()?;
    (LOG_LINE_BYTES_MIN..=LOG_LINE_BYTES_MAX)
        .contains(&bytes)
        .then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn the_log_is_text_and_lines_are_kept_together_up_to_64_kib() {
        assert_eq!(read(&[("fprocess", "cat")]).unwrap().log, Style::DEFAULT);
        let config = read(&[
            ("fprocess", "cat"),
            ("log_format", "json"),
            ("prefix_logs", "false"),
            ("log_buffer_size", "1Mi"),
        ]);
        let want = Style {
            format: Format::Json,
            prefixed: false,
            line_bytes_max: 1 << 20,
        };
        assert_eq!(config.unwrap().log, want);
        assert_eq!(bytes("65536"), Some(65536));
        assert_eq!(bytes("255"), None);
        assert_eq!(bytes("17Mi"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value, want) in [
            (
                "log_format",
                "JSON",
                "log_format: `JSON` cannot be used; give text or json",
            ),
            (
                "log_buffer_size",
                "-1",
                "log_buffer_size: `-1` cannot be used; give a number of bytes from 256 to 16777216, such as 65536 or 64Ki",
            ),
        ] {
            let error = read(&[("fprocess", "cat"), (name, value)]).unwrap_err();
            assert_eq!(error, want);
        }
    }
}
