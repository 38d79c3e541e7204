//! The settings of the modes that start a process for each request.

use super::{ConfigError, RawConfig, Switches};
use crate::limits::{HELD_BYTES_MAX, PREFORK_MAX};

/// How processes are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fork {
    pub(crate) holding: Holding,
    /// The answer of a program that failed says in its first line how that ended, as OpenFaaS's
    /// classic watchdog has it.
    pub(crate) tells_exit: bool,
    /// The request's body is collected whole, up to this many bytes, before the program starts.
    pub(crate) body_bytes_max: Option<u64>,
    /// How many processes wait for their requests.
    pub(crate) prefork: usize,
}

/// How much of the output is held back, so that the status can still say how the program fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holding {
    /// The beginning, up to a fixed size.
    Beginning,
    /// All of it, which may not be larger than this, in bytes.
    Whole(usize),
    /// Nothing: it goes out as it comes.
    Nothing,
}

impl Holding {
    /// How much is held back at most, in bytes.
    pub(crate) fn bytes_max(self) -> usize {
        match self {
            Self::Beginning => HELD_BYTES_MAX,
            Self::Whole(bytes_max) => bytes_max,
            Self::Nothing => 0,
        }
    }
}

impl Fork {
    /// `fork`.
    pub(super) fn holding_the_beginning(raw: &RawConfig) -> Result<Self, ConfigError> {
        Self::new(raw, Holding::Beginning, None)
    }

    /// `classic`.
    pub(super) fn classic(raw: &RawConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            tells_exit: true,
            ..Self::holding_the_beginning(raw)?
        })
    }

    /// `serializing`.
    pub(super) fn whole(raw: &RawConfig) -> Result<Self, ConfigError> {
        let output = raw.parsed(
            "output_bytes_max",
            64 * 1024 * 1024,
            |text| text.parse().ok().filter(|bytes| *bytes > 0),
            "a number of bytes above 0",
        )?;
        let body = raw.body_bytes_max()?;
        Self::new(raw, Holding::Whole(output), Some(body))
    }

    /// `streaming`.
    pub(super) fn streaming(raw: &RawConfig) -> Result<Self, ConfigError> {
        Self::new(raw, Holding::Nothing, None)
    }

    fn new(
        raw: &RawConfig,
        holding: Holding,
        body_bytes_max: Option<u64>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            holding,
            tells_exit: false,
            body_bytes_max,
            prefork: prefork(raw)?,
        })
    }
}

fn prefork(raw: &RawConfig) -> Result<usize, ConfigError> {
    let count = raw.parsed(
        "prefork",
        0,
        |text| text.parse().ok().filter(|count| *count <= PREFORK_MAX),
        &format!("a number of processes from 0 to {PREFORK_MAX}"),
    )?;
    if count > 0 && Switches::from_raw(raw)?.cgi_headers {
        return Err(ConfigError {
            name: "prefork",
            problem: format!(
                "`{count}` cannot be used with cgi_headers=true: headers are given as environment variables, which cannot be set once a process has started; set cgi_headers=false, or prefork=0"
            ),
        });
    }
    Ok(count)
}
