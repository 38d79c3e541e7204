//! Which kernel interface this machine offers, chosen once at start, with the reason in words.
//!
//! Docker's default seccomp profile (from Docker 25 on), a sysctl or an old kernel may refuse
//! io_uring, so epoll is a main path and not an afterthought.
//!
//! What it does not do: run anything; [`crate::Runtime`] does.

use std::{fmt, io, str::FromStr};

use crate::ring::{Refusal, Size, probe};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriverChoice {
    /// io_uring under our own executor where it works, else epoll.
    #[default]
    Auto,
    /// io_uring under our own executor, or an error.
    Ring,
    /// io_uring under monoio, or an error: for comparisons.
    MonoioUring,
    /// epoll.
    Epoll,
}

impl FromStr for DriverChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            // The second is the word of those who do not care whose executor it is.
            "ring" | "io_uring" => Ok(Self::Ring),
            "monoio-uring" => Ok(Self::MonoioUring),
            "epoll" => Ok(Self::Epoll),
            other => Err(format!(
                "unknown driver '{other}': use auto, ring, monoio-uring or epoll"
            )),
        }
    }
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverKind {
    /// One ring per core, made with SINGLE_ISSUER and DEFER_TASKRUN, under our own executor, the room
    /// `ring`.
    Ring,
    /// The same under monoio.
    MonoioUring,
    /// One epoll instance per core, edge-triggered.
    Epoll,
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ring => "ring",
            Self::MonoioUring => "monoio-uring",
            Self::Epoll => "epoll",
        })
    }
}

/// The driver that won and why the other did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// What runs.
    pub kind: DriverKind,
    /// One sentence for the log.
    pub reason: String,
}

/// `--driver ring` or `monoio-uring` was asked for and the kernel refuses it.
#[derive(Debug, thiserror::Error)]
#[error("io_uring was asked for but cannot be used: {0}; use --driver auto or epoll")]
pub struct SelectError(String);

impl Driver {
    /// Chooses the driver by trying to set up a ring like those that the workers will use.
    ///
    /// # Errors
    /// Only where io_uring was asked for and the kernel refuses it.
    pub fn select(choice: DriverChoice) -> Result<Self, SelectError> {
        if choice == DriverChoice::Epoll {
            return Ok(Self {
                kind: DriverKind::Epoll,
                reason: "epoll was asked for".to_owned(),
            });
        }
        let kind = match choice {
            DriverChoice::MonoioUring => DriverKind::MonoioUring,
            _ => DriverKind::Ring,
        };
        match (probe_uring(), choice) {
            (Ok(()), _) => Ok(Self {
                kind,
                reason: "the kernel allows io_uring with single issuer and deferred task run"
                    .to_owned(),
            }),
            (Err(why), DriverChoice::Ring | DriverChoice::MonoioUring) => Err(SelectError(why)),
            (Err(why), _) => Ok(Self {
                kind: DriverKind::Epoll,
                reason: format!("io_uring cannot be used: {why}"),
            }),
        }
    }
}

/// The ring flags for monoio, those of our own back end as far as that version knows them.
pub(crate) fn ring_builder() -> monoio_io_uring::Builder {
    let mut builder = monoio_io_uring::IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(RING_ENTRIES * 4)
        .dontfork();
    builder
}

/// Submission queue length of monoio's ring, in entries.
pub(crate) const RING_ENTRIES: u32 = Size::FULL.entries;

fn probe_uring() -> Result<(), String> {
    match probe(Size::FULL) {
        // A smaller one will do.
        Err(Refusal::Kernel(error)) if error.raw_os_error() == Some(libc::ENOMEM) => {
            probe(Size::SMALL)
        }
        other => other,
    }
    .map_err(|refusal| match refusal {
        Refusal::Kernel(error) => explain(&error),
        Refusal::Lacks(name) => format!("this kernel lacks its {name} operation"),
    })
}

/// Turns the errno of io_uring_setup(2) into its likely cause and cure.
fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => match std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled") {
            Ok(value) if value.trim() != "0" => format!(
                "sysctl kernel.io_uring_disabled is {}; set it to 0 to allow io_uring",
                value.trim()
            ),
            _ => "permission denied, most likely by a container's seccomp profile \
                  (Docker 25 and later block it by default)"
                .to_owned(),
        },
        Some(libc::ENOSYS) => "this kernel has no io_uring".to_owned(),
        Some(libc::EINVAL) => {
            "this kernel lacks single issuer or deferred task run (Linux 6.1 has both)".to_owned()
        }
        Some(libc::ENOMEM) => {
            "not enough lockable memory; raise ulimit -l or the service's LimitMEMLOCK".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoll_is_always_there() {
        let driver = Driver::select(DriverChoice::Epoll).unwrap();
        assert_eq!(driver.kind, DriverKind::Epoll);
    }

    #[test]
    fn auto_always_finds_one_and_says_why() {
        let driver = Driver::select(DriverChoice::Auto).unwrap();
        assert!(!driver.reason.is_empty());
    }

    #[test]
    fn a_refusal_is_explained_with_its_cure() {
        let text = explain(&io::Error::from_raw_os_error(libc::ENOSYS));
        assert_eq!(text, "this kernel has no io_uring");
        let text = explain(&io::Error::from_raw_os_error(libc::ENOMEM));
        assert!(text.contains("ulimit -l"), "{text}");
    }

    #[test]
    fn an_unknown_driver_is_refused_with_the_known_ones() {
        let error = DriverChoice::from_str("kqueue").unwrap_err();
        assert!(
            error.contains("auto, ring, monoio-uring or epoll"),
            "{error}"
        );
    }
}
