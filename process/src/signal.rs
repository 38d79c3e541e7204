//! Signals by name.

use std::fmt;

/// A signal, signal(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(rustix::process::Signal);

impl Signal {
    /// Ends a process at once; it cannot be caught.
    pub const KILL: Self = Self(rustix::process::Signal::KILL);
    /// Makes a process stand still; it cannot be caught.
    pub const STOP: Self = Self(rustix::process::Signal::STOP);
    /// Asks a process to end.
    pub const TERM: Self = Self(rustix::process::Signal::TERM);
    /// Ctrl-C.
    pub const INT: Self = Self(rustix::process::Signal::INT);
    /// The terminal is gone; servers often reload on it.
    pub const HUP: Self = Self(rustix::process::Signal::HUP);
    /// Quit with a core dump.
    pub const QUIT: Self = Self(rustix::process::Signal::QUIT);
    /// First signal for a program's own use.
    pub const USR1: Self = Self(rustix::process::Signal::USR1);
    /// Second signal for a program's own use.
    pub const USR2: Self = Self(rustix::process::Signal::USR2);

    pub(crate) fn raw(self) -> rustix::process::Signal {
        self.0
    }

    /// The usual name of a signal number, or none for real-time and unknown ones.
    pub(crate) fn name(number: i32) -> Option<&'static str> {
        // The numbers of x86 and ARM; signal(7), "Signal numbering for standard signals".
        const NAMES: [&str; 31] = [
            "SIGHUP",
            "SIGINT",
            "SIGQUIT",
            "SIGILL",
            "SIGTRAP",
            "SIGABRT",
            "SIGBUS",
            "SIGFPE",
            "SIGKILL",
            "SIGUSR1",
            "SIGSEGV",
            "SIGUSR2",
            "SIGPIPE",
            "SIGALRM",
            "SIGTERM",
            "SIGSTKFLT",
            "SIGCHLD",
            "SIGCONT",
            "SIGSTOP",
            "SIGTSTP",
            "SIGTTIN",
            "SIGTTOU",
            "SIGURG",
            "SIGXCPU",
            "SIGXFSZ",
            "SIGVTALRM",
            "SIGPROF",
            "SIGWINCH",
            "SIGIO",
            "SIGPWR",
            "SIGSYS",
        ];
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        NAMES.get(index).copied()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.as_raw();
        match Self::name(number) {
            Some(name) => out.write_str(name),
            None => write!(out, "signal {number}"),
        }
    }
}
