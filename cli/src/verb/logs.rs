//! `ringway logs NAME`: what a function's processes wrote to stderr, as lines.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::args::Target;
use crate::client::Query;
use crate::exit::{Exit, Failure};
use crate::function::check_name;
use crate::span::{parse_duration, parse_time, time_before};

/// Longest log line in bytes that is taken from the gateway; a gateway that sends more is broken.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Show the logs of a function
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringway logs wc --tail 20\n  ringway logs -f wc --since 10m --instance"
)]
pub(crate) struct Logs {
    /// Name of the function
    function: String,
    /// Keep running and show new lines as they come
    #[arg(short, long)]
    follow: bool,
    /// Show only the last N lines [default: all that are kept]
    #[arg(long, value_name = "N", visible_alias = "lines")]
    tail: Option<u32>,
    /// Show only lines younger than this: 90s, 10m, 1h30m, 2d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Show only lines since this time, such as 2026-11-25T08:30:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "since")]
    since_time: Option<String>,
    /// Show only lines of this replica
    #[arg(long, value_name = "INSTANCE")]
    replica: Option<String>,
    /// Form of the output: plain text, key="value" pairs, or the gateway's JSON, one object a line
    #[arg(short, long, value_enum, default_value_t = Form::Plain, value_name = "FORM")]
    output: Form,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Write the function's name before each line of plain output
    #[arg(long)]
    name: bool,
    /// Write the replica's name before each line of plain output
    #[arg(long)]
    instance: bool,
    #[command(flatten)]
    target: Target,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Time, then text.
    Plain,
    /// Pairs, each value quoted.
    Keyvalue,
    /// As it came.
    Json,
}

/// One line as the gateway sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    name: String,
    namespace: String,
    instance: String,
    timestamp: String,
    text: String,
}

impl Logs {
    /// Copies lines from the gateway to stdout until it has no more, or for ever with `--follow`.
    ///
    /// # Errors
    /// Those of a client call; `Unavailable` when the stream breaks off.
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_name(&self.function)?;
        let since = match (&self.since_time, self.since) {
            (Some(time), _) => Some(time.clone()),
            (None, Some(ago)) => Some(time_before(now(), ago).map_err(Failure::usage)?),
            (None, None) => None,
        };
        let query = Query::default()
            .with("name", &self.function)
            .with_some("namespace", self.target.namespace.as_deref())
            .with_some("instance", self.replica.as_deref())
            .with_some("tail", self.tail.map(|lines| lines.to_string()))
            .with_some("since", since)
            .with_some("follow", self.follow.then_some("true"));
        let stream = self.target.client()?.open("/system/logs", &query)?;
        self.copy(stream, io::stdout().lock())
    }

    fn copy(&self, stream: impl Read, mut out: impl Write) -> Result<(), Failure> {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = stream
                .by_ref()
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
                .map_err(|error| {
                    Failure::new(
                        Exit::Unavailable,
                        format!("the gateway broke off the log: {error}"),
                    )
                })?;
            if read == 0 {
                return Ok(());
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue; // A gateway may send empty lines to keep the connection alive.
            }
            let rendered = self.render(text)?;
            // Flushed with every line, since the next one may be hours away.
            out.write_all(rendered.as_bytes())
                .and_then(|()| out.flush())
                .map_err(|error| Failure::output(&error))?;
        }
    }

    fn render(&self, line: &[u8]) -> Result<String, Failure> {
        let form = if self.json { Form::Json } else { self.output };
        if form == Form::Json {
            return Ok(format!("{}\n", String::from_utf8_lossy(line)));
        }
        let message: Message = serde_json::from_slice(line).map_err(|error| {
            let start: String = String::from_utf8_lossy(line).chars().take(80).collect();
            Failure::new(
                Exit::Protocol,
                format!("this is not a log line: {error}: {start}"),
            )
        })?;
        let text = message.text.trim_end_matches(['\r', '\n']);
        if form == Form::Keyvalue {
            let pairs = [
                ("timestamp", &message.timestamp),
                ("name", &message.name),
                ("namespace", &message.namespace),
                ("instance", &message.instance),
            ];
            let mut rendered = String::new();
            for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
                rendered.push_str(&format!("{key}={value:?} "));
            }
            return Ok(format!("{rendered}text={text:?}\n"));
        }
        let mut rendered = message.timestamp;
        if self.name {
            rendered.push_str(&format!(" {}", message.name));
        }
        if self.instance {
            rendered.push_str(&format!(" ({})", message.instance));
        }
        Ok(format!("{rendered} {text}\n"))
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        logs: Logs,
    }

    const STREAM: &[u8] = b"{\"name\":\"wc\",\"namespace\":\"\",\"instance\":\"wc-1\",\"timestamp\":\"2026-11-25T08:00:00Z\",\"text\":\"a \\\"b\\\"\\n\"}\n\n{\"text\":\"last\"}";

    fn shown(flags: &str, stream: &[u8]) -> Result<String, Failure> {
        let arguments = ["logs", "wc"].into_iter().chain(flags.split_whitespace());
        let mut out = Vec::new();
        Line::try_parse_from(arguments)
            .unwrap()
            .logs
            .copy(stream, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_form_of_a_line() {
        assert_eq!(
            shown("", STREAM).unwrap(),
            "2026-11-25T08:00:00Z a \"b\"\n last\n"
        );
        assert_eq!(
            shown("--name --instance", STREAM).unwrap().lines().next(),
            Some("2026-11-25T08:00:00Z wc (wc-1) a \"b\"")
        );
        assert_eq!(
            shown("-o keyvalue", STREAM).unwrap(),
            "timestamp=\"2026-11-25T08:00:00Z\" name=\"wc\" instance=\"wc-1\" text=\"a \\\"b\\\"\"\ntext=\"last\"\n"
        );
        assert_eq!(
            shown("--json", STREAM).unwrap().lines().nth(1),
            Some("{\"text\":\"last\"}")
        );
    }

    #[test]
    fn what_is_no_log_is_said() {
        assert_eq!(shown("", b"<html>").unwrap_err().exit(), Exit::Protocol);
        assert_eq!(shown("", b"").unwrap(), "");
    }
}
