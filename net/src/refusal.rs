//! Why the kernel gives no ring, and what to do about it, in words for the log and one for metrics.
//!
//! Why it exists: io_uring_setup(2) answers with an errno, and the same one has several causes.
//! Whoever runs a gateway needs the cause and its cure, so what /proc tells beside the errno is put
//! next to it.
//!
//! What it does not do: decide what runs instead; `driver` does.

use std::{fmt, fs, io};

use rustix::process::{Resource, getrlimit};

/// What keeps io_uring from being used, or from being used with rings of the usual size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A seccomp filter, nearly always that of a container engine.
    Seccomp,
    /// Another policy of the system, such as SELinux'.
    Policy,
    /// `kernel.io_uring_disabled`.
    Sysctl,
    /// The kernel was built without it, or a sandbox does not have it.
    Missing,
    /// The kernel has an io_uring that lacks something.
    OldKernel,
    /// RLIMIT_MEMLOCK.
    LockedMemory,
    /// RLIMIT_NOFILE, or the whole system's limit.
    Descriptors,
    /// Anything else.
    Other,
}

impl Cause {
    /// One word, for a label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Seccomp => "seccomp",
            Self::Policy => "policy",
            Self::Sysctl => "sysctl",
            Self::Missing => "missing",
            Self::OldKernel => "old_kernel",
            Self::LockedMemory => "locked_memory",
            Self::Descriptors => "descriptors",
            Self::Other => "other",
        }
    }
}

/// A cause, explained together with its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) cause: Cause,
    what: String,
    cure: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.cure)
    }
}

/// What /proc tells of the limits around this process.
#[derive(Debug, Clone, Default)]
struct Surroundings {
    /// `kernel.io_uring_disabled`, which Linux has from 6.6 on.
    sysctl: Option<String>,
    /// A seccomp filter is in force.
    has_filter: bool,
    /// RLIMIT_MEMLOCK in bytes, `None` for no limit.
    lockable_bytes: Option<u64>,
}

impl Surroundings {
    fn look() -> Self {
        let sysctl = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
        // proc(5): mode 2 is a filter.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mode = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        Self {
            sysctl: sysctl.map(|value| value.trim().to_owned()),
            has_filter: mode.is_some_and(|mode| mode.trim() == "2"),
            lockable_bytes: getrlimit(Resource::Memlock).current,
        }
    }
}

/// Explains what io_uring_setup(2) or io_uring_register(2) answered.
pub(crate) fn explain(error: &io::Error) -> Refused {
    explain_in(error, &Surroundings::look())
}

/// Explains the lack of an operation, by its name.
pub(crate) fn lacking(operation: &str) -> Refused {
    Refused {
        cause: Cause::OldKernel,
        what: format!("this kernel's io_uring lacks the operation {operation}"),
        cure: NEWER,
    }
}

const PROFILE: &str = "allow io_uring_setup, io_uring_enter and io_uring_register in the container's \
                       seccomp profile";
const NEWER: &str = "Linux 6.1 and later have all of it";

fn explain_in(error: &io::Error, around: &Surroundings) -> Refused {
    let (cause, what, cure) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => return forbidden(around),
        // From 6.6 on the sysctl shows that the kernel has it: then somebody else answered.
        Some(libc::ENOSYS) if around.has_filter && around.sysctl.is_some() => (
            Cause::Seccomp,
            "a seccomp filter answers as if the kernel did not have it".to_owned(),
            PROFILE,
        ),
        Some(libc::ENOSYS) => (
            Cause::Missing,
            "this kernel does not have it, or a sandbox hides it".to_owned(),
            NEWER,
        ),
        Some(libc::EINVAL) => (
            Cause::OldKernel,
            "this kernel lacks single issuer, deferred task run or buffer rings".to_owned(),
            NEWER,
        ),
        Some(libc::ENOMEM) => (
            Cause::LockedMemory,
            match around.lockable_bytes {
                Some(bytes) => format!(
                    "not enough memory may be locked (the limit is {} KiB for all of this user's processes)",
                    bytes / 1024
                ),
                None => "the kernel has no memory for it".to_owned(),
            },
            "raise ulimit -l (LimitMEMLOCK of a service, --ulimit memlock of a container)",
        ),
        Some(libc::EMFILE | libc::ENFILE) => (
            Cause::Descriptors,
            format!("no descriptor is left ({error})"),
            "raise ulimit -n",
        ),
        _ => (
            Cause::Other,
            error.to_string(),
            "see io_uring_setup(2) for what that means",
        ),
    };
    Refused { cause, what, cure }
}

/// Who forbids it.
fn forbidden(around: &Surroundings) -> Refused {
    let (cause, what, cure) = match around.sysctl.as_deref() {
        Some("1") => (
            Cause::Sysctl,
            "the sysctl kernel.io_uring_disabled is 1".to_owned(),
            "set it to 0, or kernel.io_uring_group to a group of this user",
        ),
        Some(value) if value != "0" => (
            Cause::Sysctl,
            format!("the sysctl kernel.io_uring_disabled is {value}"),
            "set it to 0 (sysctl -w kernel.io_uring_disabled=0)",
        ),
        _ if around.has_filter => (
            Cause::Seccomp,
            "a seccomp filter forbids it, as container engines do (Docker from version 25 on)"
                .to_owned(),
            PROFILE,
        ),
        _ => (
            Cause::Policy,
            "a security policy of this system forbids it".to_owned(),
            "allow it there (SELinux: the class io_uring)",
        ),
    };
    Refused { cause, what, cure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(errno: i32, around: &Surroundings) -> (&'static str, String) {
        let refused = explain_in(&io::Error::from_raw_os_error(errno), around);
        (refused.cause.word(), refused.to_string())
    }

    fn around(sysctl: Option<&str>, has_filter: bool) -> Surroundings {
        Surroundings {
            sysctl: sysctl.map(str::to_owned),
            has_filter,
            lockable_bytes: Some(65536),
        }
    }

    #[test]
    fn each_refusal_names_its_cause_and_its_cure() {
        let (yes, no) = (true, false);
        for (errno, sysctl, filter, word, says) in [
            (libc::EPERM, Some("2"), no, "sysctl", "sysctl -w kernel"),
            (libc::EPERM, Some("2"), yes, "sysctl", "io_uring_disabled"),
            (libc::EPERM, Some("1"), no, "sysctl", "io_uring_group"),
            (libc::EPERM, Some("0"), yes, "seccomp", "seccomp profile"),
            (libc::EPERM, None, yes, "seccomp", "Docker"),
            (libc::EPERM, Some("0"), no, "policy", "SELinux"),
            (libc::EACCES, None, no, "policy", "SELinux"),
            (libc::ENOSYS, Some("0"), yes, "seccomp", "seccomp profile"),
            (libc::ENOSYS, None, yes, "missing", "Linux 6.1"),
            (libc::ENOSYS, None, no, "missing", "Linux 6.1"),
            (libc::EINVAL, None, no, "old_kernel", "Linux 6.1"),
            (libc::ENOMEM, Some("0"), no, "locked_memory", "64 KiB"),
            (libc::ENOMEM, Some("0"), no, "locked_memory", "ulimit -l"),
            (libc::EMFILE, Some("0"), no, "descriptors", "ulimit -n"),
            (libc::EIO, Some("0"), no, "other", "io_uring_setup(2)"),
        ] {
            let (cause, text) = explained(errno, &around(sysctl, filter));
            assert_eq!(cause, word, "{errno} {sysctl:?} {filter}: {text}");
            assert!(text.contains(says), "{errno} {sysctl:?} {filter}: {text}");
        }
    }

    #[test]
    fn a_missing_operation_is_named() {
        let text = lacking("receive").to_string();
        assert!(text.contains("receive") && text.contains("6.1"), "{text}");
    }

    #[test]
    fn what_is_around_can_be_looked_at() {
        // Whatever it is, it is no fault to look.
        assert_ne!(Surroundings::look().sysctl.as_deref(), Some(""));
    }
}
