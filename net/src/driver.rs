//! Which kernel interface this machine offers, chosen once at start, with the reason in words.
//!
//! Docker's default seccomp profile (from Docker 25 on), a sysctl or an old kernel may refuse
//! io_uring, so epoll is a main path and not an afterthought. And rings take memory that the kernel
//! counts as locked, and gives back late: that a ring could be made a moment ago does not mean that
//! another can. So who makes runtimes asks [`Driver::after`] when one cannot be made.
//!
//! What it does not do: run anything; [`crate::Runtime`] does. Words for refusals are in `refusal`.

use std::{fmt, io, str::FromStr};

use crate::{
    refusal::{self, Cause, Refused},
    ring::{Refusal, Size, probe},
    runtime::patiently,
};

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
    /// One sentence for the log: where something is refused, with its cause and its cure.
    pub reason: String,
    /// What is refused, if anything is: io_uring, or rings of the usual size.
    pub cause: Option<Cause>,
    choice: DriverChoice,
    /// What each ring is to have.
    size: Size,
}

/// No driver can be had, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// io_uring was asked for and is refused.
    #[error("io_uring was asked for but cannot be used: {0}; or choose auto or epoll")]
    Refused(String),
    /// Not even an epoll instance could be made.
    #[error("no event loop can be made: {0}")]
    NoEventLoop(#[from] io::Error),
}

impl Driver {
    /// Chooses the driver by trying to set up a ring, a small one.
    ///
    /// # Errors
    /// Only where io_uring was asked for and the kernel refuses it.
    pub fn select(choice: DriverChoice) -> Result<Self, SelectError> {
        let kind = match choice {
            DriverChoice::Epoll => DriverKind::Epoll,
            DriverChoice::MonoioUring => DriverKind::MonoioUring,
            DriverChoice::Auto | DriverChoice::Ring => DriverKind::Ring,
        };
        let driver = Self {
            kind,
            reason: match kind {
                DriverKind::Epoll => "epoll was asked for".to_owned(),
                _ => {
                    "the kernel allows io_uring with single issuer and deferred task run".to_owned()
                }
            },
            cause: None,
            choice,
            size: Size::FULL,
        };
        if kind == DriverKind::Epoll {
            return Ok(driver);
        }
        let is_short = |refusal: &Refusal| matches!(refusal, Refusal::Kernel(error) if error.raw_os_error() == Some(libc::ENOMEM));
        match patiently(|| probe(Size::SMALL), is_short) {
            Ok(()) => Ok(driver),
            Err(Refusal::Kernel(error)) => driver.without_ring(&refusal::explain(&error)),
            Err(Refusal::Lacks(name)) => driver.without_ring(&refusal::lacking(name)),
        }
    }

    /// What is left when a runtime cannot be made on this one: smaller rings where memory is the
    /// cause, then epoll, then nothing. With more than one thread, all of them are to change.
    ///
    /// # Errors
    /// When nothing is left, or only what was not asked for.
    pub fn after(self, error: io::Error) -> Result<Self, SelectError> {
        if self.kind == DriverKind::Epoll {
            return Err(error.into());
        }
        let refused = refusal::explain(&error);
        if refused.cause == Cause::LockedMemory && self.size == Size::FULL {
            return Ok(Self {
                reason: format!("io_uring with small rings: {refused}"),
                cause: Some(refused.cause),
                size: Size::SMALL,
                ..self
            });
        }
        self.without_ring(&refused)
    }

    /// Epoll, unless something else was asked for.
    fn without_ring(self, refused: &Refused) -> Result<Self, SelectError> {
        if self.choice != DriverChoice::Auto {
            return Err(SelectError::Refused(refused.to_string()));
        }
        Ok(Self {
            kind: DriverKind::Epoll,
            reason: format!("io_uring cannot be used: {refused}"),
            cause: Some(refused.cause),
            ..self
        })
    }

    /// How much of everything each ring is to have.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The ring flags for monoio, those of our own back end as far as that version knows them.
    pub(crate) fn monoio_ring(&self) -> monoio_io_uring::Builder {
        let mut builder = monoio_io_uring::IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(self.size.entries * 4)
            .dontfork();
        builder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno(number: i32) -> io::Error {
        io::Error::from_raw_os_error(number)
    }

    /// As if the kernel had allowed it.
    fn allowed(choice: DriverChoice) -> Driver {
        let driver = Driver::select(DriverChoice::Epoll).unwrap();
        Driver {
            kind: DriverKind::Ring,
            choice,
            ..driver
        }
    }

    #[test]
    fn epoll_is_always_there() {
        let driver = Driver::select(DriverChoice::Epoll).unwrap();
        assert_eq!((driver.kind, driver.cause), (DriverKind::Epoll, None));
    }

    #[test]
    fn auto_always_finds_one_and_says_why() {
        let driver = Driver::select(DriverChoice::Auto).unwrap();
        assert!(!driver.reason.is_empty());
    }

    #[test]
    fn without_memory_rings_become_small_and_then_epoll() {
        let driver = allowed(DriverChoice::Auto)
            .after(errno(libc::ENOMEM))
            .unwrap();
        assert_eq!((driver.kind, driver.size), (DriverKind::Ring, Size::SMALL));
        assert_eq!(driver.cause, Some(Cause::LockedMemory));
        assert!(driver.reason.contains("small rings"), "{}", driver.reason);
        let driver = driver.after(errno(libc::ENOMEM)).unwrap();
        assert_eq!(driver.kind, DriverKind::Epoll);
        assert!(driver.reason.contains("ulimit -l"), "{}", driver.reason);
        let error = driver.after(errno(libc::EMFILE)).unwrap_err();
        assert!(matches!(error, SelectError::NoEventLoop(_)), "{error}");
    }

    #[test]
    fn another_refusal_goes_straight_to_epoll() {
        let driver = allowed(DriverChoice::Auto)
            .after(errno(libc::EPERM))
            .unwrap();
        assert_eq!(driver.kind, DriverKind::Epoll);
    }

    #[test]
    fn what_was_asked_for_is_not_replaced() {
        let driver = allowed(DriverChoice::Ring)
            .after(errno(libc::ENOMEM))
            .unwrap();
        let error = driver.after(errno(libc::ENOMEM)).unwrap_err().to_string();
        assert!(
            error.contains("asked for") && error.contains("ulimit -l") && error.contains("epoll"),
            "{error}"
        );
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
