//! Settings, from environment variables.
//!
//! [`RawConfig`] is what was written, [`Config`] what was proved to be valid, before anything
//! listens; after that no code checks a setting again. An empty value counts as not set. The first
//! bad one ends the start with one line that names the variable, its value and the accepted form.
//!
//! What each variable means, with unit and default: `docs/watchdog.md`.

mod fork;
mod http;
mod log;
mod metrics;
mod process;
mod static_files;
mod upstream_url;
mod worker;

pub(crate) use self::process::{NameOrId, ProcessSettings, UserSetting};
pub(crate) use fork::{Fork, Holding};
pub(crate) use http::Http;
pub(crate) use metrics::MetricsPort;
pub(crate) use static_files::StaticFiles;
pub(crate) use upstream_url::Place;
#[cfg(test)]
pub(crate) use upstream_url::UpstreamUrl;
pub(crate) use wire::duration::parse as parse_duration;
pub(crate) use worker::Worker;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conduit::{Pump, Reframe};
use net::DriverChoice;
use wire::{Framing, duration};

use crate::log::Style;

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub(crate) struct ConfigError {
    name: &'static str,
    problem: String,
}

/// Settings that are proved to be valid.
#[derive(Debug)]
pub(crate) struct Config {
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// The command line as it was written.
    pub(crate) command_line: String,
    pub(crate) mode: Mode,
    /// What the program's environment is made on top of.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) port: u16,
    /// Where the metrics are; none if they are off.
    pub(crate) metrics_port: Option<MetricsPort>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) exec_timeout: Option<Duration>,
    pub(crate) max_inflight: Option<usize>,
    pub(crate) content_type: Option<String>,
    /// The status when a time limit ends a call: 504, or 408 for `mode=classic`.
    pub(crate) timeout_status: u16,
    pub(crate) switches: Switches,
    pub(crate) log: Style,
    pub(crate) process: ProcessSettings,
    pub(crate) temp_dir: PathBuf,
    pub(crate) driver: DriverChoice,
    /// Whether descriptor 3 is a listening socket.
    pub(crate) is_handed_over: bool,
    pub(crate) lifeline_fd: Option<i32>,
}

/// How the function is run.
#[derive(Debug)]
pub(crate) enum Mode {
    /// A process for each request.
    Fork(Fork),
    /// One process with an HTTP server.
    Http(Box<Http>),
    /// Several processes that take one request after the other from a pipe.
    Worker(Box<Worker>),
    /// No process: files of a folder.
    Static(Box<StaticFiles>),
}

impl Mode {
    /// The body of a request, in the form in which the function gets it.
    pub(crate) fn body(&self, framing: Framing) -> Pump {
        match self {
            Self::Fork(fork) => Pump::new(framing, Reframe::Bare, fork.body_bytes_max),
            Self::Static(_) => Pump::new(framing, Reframe::Bare, None),
            Self::Http(http) => match http.buffer_bytes_max {
                None => Pump::new(framing, Reframe::Keep, None),
                most => Pump::new(framing, Reframe::Bare, most),
            },
            Self::Worker(worker) => Pump::new(framing, Reframe::Bare, Some(worker.body_bytes_max)),
        }
    }
}

/// Settings that are true or false.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub(crate) struct Switches {
    pub(crate) combine_output: bool,
    pub(crate) cgi_headers: bool,
    pub(crate) marshal_request: bool,
    pub(crate) suppress_lock: bool,
    pub(crate) write_debug: bool,
    pub(crate) debug_headers: bool,
}

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// [`ConfigError`] for the first one that cannot be used.
    pub(crate) fn from_environment(
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let raw = RawConfig {
            variables: variables.collect(),
        };
        let temp_dir = raw
            .get("TMPDIR")
            .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let (mode, timeout_status) = mode(&raw, &temp_dir)?;
        let (command_line, command) = match mode {
            Mode::Static(_) => (String::new(), Vec::new()),
            _ => command(&raw)?,
        };
        // As OpenFaaS's two watchdogs have it: the classic one sets no limit by itself.
        let exec_default = match mode {
            Mode::Fork(fork) if fork.holding == Holding::Beginning => Duration::ZERO,
            Mode::Static(_) => Duration::ZERO,
            _ => Duration::from_secs(30),
        };
        // Its value is not needed, but a wrong one is still a mistake to be told.
        raw.duration("healthcheck_interval", Duration::ZERO)?;
        let port = raw.parsed(
            "port",
            8080,
            |text| text.parse().ok().filter(|port| *port > 0),
            "a port from 1 to 65535",
        )?;
        let is_handed_over = raw.is_handed_over()?;
        Ok(Self {
            command,
            command_line,
            port,
            metrics_port: metrics::port(&raw, port, is_handed_over)?,
            read_timeout: raw.duration("read_timeout", Duration::from_secs(30))?,
            write_timeout: raw.duration("write_timeout", Duration::from_secs(30))?,
            exec_timeout: raw.duration("exec_timeout", exec_default)?,
            max_inflight: raw.parsed(
                "max_inflight",
                None,
                |text| {
                    text.parse()
                        .ok()
                        .map(|limit| Some(limit).filter(|limit| *limit > 0))
                },
                "a number of calls, or 0 for no limit",
            )?,
            content_type: raw.parsed(
                "content_type",
                None,
                |text| is_header_value(text).then(|| Some(text.to_owned())),
                "a content type such as text/plain",
            )?,
            mode,
            timeout_status,
            switches: Switches::from_raw(&raw)?,
            log: log::style(&raw)?,
            process: ProcessSettings::from_raw(&raw)?,
            temp_dir,
            driver: raw.parsed(
                "RINGWAY_DRIVER",
                DriverChoice::Epoll,
                |text| text.parse().ok(),
                "epoll, ring, monoio-uring or auto",
            )?,
            is_handed_over,
            lifeline_fd: raw.parsed(
                "RINGWAY_LIFELINE_FD",
                None,
                |text| text.parse().ok().filter(|fd| *fd > 2).map(Some),
                "the number of an open descriptor above 2",
            )?,
            environment: raw.for_functions(),
        })
    }
}

impl Switches {
    fn from_raw(raw: &RawConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            combine_output: raw.switch("combine_output", true)?,
            cgi_headers: raw.switch("cgi_headers", true)?,
            marshal_request: raw.switch("marshal_request", false)?,
            suppress_lock: raw.switch("suppress_lock", false)?,
            write_debug: raw.switch("write_debug", false)?,
            debug_headers: raw.switch("debug_headers", false)?,
        })
    }
}

/// The command line as it was written, and its words.
fn command(raw: &RawConfig) -> Result<(String, Vec<String>), ConfigError> {
    let command_line = match raw.text("fprocess")? {
        Some(text) => text,
        None => raw.text("function_process")?.ok_or_else(|| ConfigError {
            name: "fprocess",
            problem:
                "it is not set; give the command line of the function, such as fprocess='wc -l'"
                    .to_owned(),
        })?,
    };
    let command = ::process::command_line::split(command_line).map_err(|error| ConfigError {
        name: "fprocess",
        problem: error.to_string(),
    })?;
    Ok((command_line.to_owned(), command))
}

/// The mode, and the status when a time limit ends a call.
fn mode(raw: &RawConfig, temp_dir: &Path) -> Result<(Mode, u16), ConfigError> {
    Ok(match raw.text("mode")?.unwrap_or("fork") {
        "fork" => (Mode::Fork(Fork::holding_the_beginning(raw)?), 504),
        "classic" => (Mode::Fork(Fork::classic(raw)?), 408),
        "serializing" => (Mode::Fork(Fork::whole(raw)?), 504),
        "streaming" => (Mode::Fork(Fork::streaming(raw)?), 504),
        "http" => (Mode::Http(Box::new(Http::from_raw(raw, temp_dir)?)), 504),
        "worker" => (Mode::Worker(Box::new(Worker::from_raw(raw)?)), 504),
        "static" => (Mode::Static(Box::new(StaticFiles::from_raw(raw))), 504),
        other => {
            return Err(ConfigError {
                name: "mode",
                problem: format!(
                    "`{other}` cannot be used; give fork, classic, serializing, streaming, http, static or worker"
                ),
            });
        }
    })
}

/// RFC 9110 §5.5, without obs-text.
fn is_header_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && text.trim() == text
}

/// What was written.
struct RawConfig {
    variables: Vec<(OsString, OsString)>,
}

impl RawConfig {
    fn get(&self, name: &str) -> Option<&OsString> {
        let found = self.variables.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    }

    fn text(&self, name: &'static str) -> Result<Option<&str>, ConfigError> {
        let not_text = |value: &OsString| ConfigError {
            name,
            problem: format!("`{}` is not UTF-8 text", value.display()),
        };
        self.get(name)
            .map(|value| value.to_str().ok_or_else(|| not_text(value)))
            .transpose()
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
        form: &str,
    ) -> Result<T, ConfigError> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        parse(text).ok_or_else(|| ConfigError {
            name,
            problem: format!("`{text}` cannot be used; give {form}"),
        })
    }

    /// A duration of 0 switches the limit off.
    fn duration(
        &self,
        name: &'static str,
        default: Duration,
    ) -> Result<Option<Duration>, ConfigError> {
        let duration = self.parsed(name, default, duration::parse, duration::FORMS)?;
        Ok(Some(duration).filter(|duration| !duration.is_zero()))
    }

    fn switch(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        let parse = |text: &str| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        self.parsed(name, default, parse, "true or false")
    }

    /// The largest body that is collected, in bytes.
    fn body_bytes_max(&self) -> Result<u64, ConfigError> {
        self.parsed(
            "http_buffer_bytes_max",
            16 * 1024 * 1024,
            |text| text.parse().ok().filter(|bytes| *bytes > 0),
            "a number of bytes above 0",
        )
    }

    /// sd_listen_fds(3): sockets are there if `LISTEN_FDS` says so and `LISTEN_PID` does not name
    /// another process (some starters cannot know the process id in advance and leave it out).
    fn is_handed_over(&self) -> Result<bool, ConfigError> {
        let own = std::process::id();
        let pid = self.parsed("LISTEN_PID", own, |text| text.parse().ok(), "a process id")?;
        let count = self.parsed(
            "LISTEN_FDS",
            0,
            |text| text.parse().ok().filter(|count: &u8| *count <= 1),
            "1 for one listening socket, which is descriptor 3",
        )?;
        Ok(pid == own && count == 1)
    }

    /// The environment that functions see: everything but what concerns the watchdog's own start,
    /// and names that could be taken for headers of a request.
    fn for_functions(self) -> Vec<(OsString, OsString)> {
        let is_own = |name: &OsString| {
            let name = name.to_string_lossy();
            name.starts_with("LISTEN_") || name.starts_with("RINGWAY_") || name.starts_with("Http_")
        };
        self.variables
            .into_iter()
            .filter(|(name, _)| !is_own(name))
            .collect()
    }
}

#[cfg(test)]
mod tests;
