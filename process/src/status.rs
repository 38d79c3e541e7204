//! How a process ended.

use std::fmt;

use rustix::process::WaitIdStatus;

use crate::Signal;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code; 0 means success.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
}

impl Exit {
    /// Whether it returned 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    pub(crate) fn from_wait(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(number)) => Self::Signal {
                number,
                core_dumped: status.dumped(),
            },
            // Only ended processes are waited for, and those are the only two ways to end.
            (None, None) => Self::Code(-1),
        }
    }
}

impl fmt::Display for Exit {
    /// `exit code 3`, or `ended by SIGKILL`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(out, "exit code {code}"),
            Self::Signal {
                number,
                core_dumped,
            } => {
                match Signal::name(*number) {
                    Some(name) => write!(out, "ended by {name}")?,
                    None => write!(out, "ended by signal {number}")?,
                }
                out.write_str(if *core_dumped { " (core dumped)" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_sentence() {
        assert_eq!(Exit::Code(3).to_string(), "exit code 3");
        let killed = Exit::Signal {
            number: 9,
            core_dumped: false,
        };
        assert_eq!(killed.to_string(), "ended by SIGKILL");
        let dumped = Exit::Signal {
            number: 11,
            core_dumped: true,
        };
        assert_eq!(dumped.to_string(), "ended by SIGSEGV (core dumped)");
        let real_time = Exit::Signal {
            number: 40,
            core_dumped: false,
        };
        assert_eq!(real_time.to_string(), "ended by signal 40");
        assert!(Exit::Code(0).success() && !killed.success());
    }
}
