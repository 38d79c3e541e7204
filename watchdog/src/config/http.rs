//! The settings of http mode.

use std::path::Path;
use std::time::Duration;

use super::upstream_url::UpstreamUrl;
use super::{ConfigError, RawConfig};

/// of-watchdog's own examples listen there.
const UPSTREAM_DEFAULT: &str = "http://127.0.0.1:5000";

/// How http mode works.
#[derive(Debug)]
pub(crate) struct Http {
    /// Where the function's own server listens.
    pub(crate) upstream: UpstreamUrl,
    /// From the start of the process until it listens, and how long a request waits for that.
    pub(crate) start_timeout: Duration,
    /// In both directions of a connection that has switched protocols; none = no limit.
    pub(crate) tunnel_idle_timeout: Option<Duration>,
    /// What `/_/ready` asks the function for.
    pub(crate) ready_path: Option<String>,
    /// Bodies of requests are collected whole, up to this many bytes, before they go on.
    pub(crate) buffer_bytes_max: Option<u64>,
}

impl Http {
    pub(super) fn from_raw(raw: &RawConfig, temp_dir: &Path) -> Result<Self, ConfigError> {
        let is_buffered = raw.switch("http_buffer_req_body", false)?;
        let bytes_max = raw.body_bytes_max()?;
        Ok(Self {
            upstream: upstream(raw, temp_dir)?,
            start_timeout: raw
                .duration("start_timeout", Duration::from_secs(30))?
                .ok_or_else(|| ConfigError {
                    name: "start_timeout",
                    problem:
                        "`0` cannot be used; give the time that the function may take to listen"
                            .to_owned(),
                })?,
            tunnel_idle_timeout: raw.duration("tunnel_idle_timeout", Duration::from_secs(600))?,
            ready_path: raw.parsed(
                "ready_path",
                None,
                |text| is_path(text).then(|| Some(text.to_owned())),
                "a path of the function's own server, such as /ready",
            )?,
            buffer_bytes_max: is_buffered.then_some(bytes_max),
        })
    }
}

/// A target in origin-form, RFC 9112 §3.2.1.
fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn upstream(raw: &RawConfig, temp_dir: &Path) -> Result<UpstreamUrl, ConfigError> {
    let (name, text) = match raw.text("http_upstream_url")? {
        Some(text) => ("http_upstream_url", text),
        None => {
            let text = raw.text("upstream_url")?;
            ("upstream_url", text.unwrap_or(UPSTREAM_DEFAULT))
        }
    };
    UpstreamUrl::parse(text, temp_dir).map_err(|why| ConfigError {
        name,
        problem: format!("`{text}` {why}"),
    })
}
