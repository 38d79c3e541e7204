//! What a child's descriptors are, and which process group it joins.

use std::os::fd::{OwnedFd, RawFd};

/// One of the child's standard streams.
#[derive(Debug, Default)]
pub enum Stdio {
    /// `/dev/null`.
    #[default]
    Null,
    /// The caller's own stream of the same number.
    Inherit,
    /// This descriptor, which is closed in the caller once the process has started.
    Fd(OwnedFd),
    /// The same as standard output. Only for standard error; for the others it means [`Stdio::Null`].
    StdoutCopy,
}

/// The process group and session of a child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Group {
    /// The caller's.
    #[default]
    Inherit,
    /// A new group, so that a signal can reach the child and what it started.
    NewGroup,
    /// A new session (which is a new group too) without a terminal: also groups that the child
    /// makes, as a shell with job control does, can still be found by their session.
    NewSession,
}

/// All descriptors of a child.
#[derive(Debug, Default)]
pub struct Io {
    /// Standard input, descriptor 0.
    pub stdin: Stdio,
    /// Standard output, descriptor 1.
    pub stdout: Stdio,
    /// Standard error, descriptor 2.
    pub stderr: Stdio,
    pub(crate) extra: Vec<(OwnedFd, RawFd)>,
}

impl Io {
    /// The highest number that [`Io::pass`] can give a descriptor: unused numbers below are closed
    /// one by one at each start, so there must be few.
    pub const TARGET_MAX: RawFd = 31;

    /// The three standard streams, and nothing else.
    pub fn new(stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Self {
        Self {
            stdin,
            stdout,
            stderr,
            extra: Vec::new(),
        }
    }

    /// Gives the child `fd` under the number `target`.
    ///
    /// # Panics
    /// If `target` is not in 3..=[`Io::TARGET_MAX`] or was given before.
    pub fn pass(&mut self, fd: OwnedFd, target: RawFd) {
        assert!(
            (3..=Self::TARGET_MAX).contains(&target),
            "no descriptor can be passed as {target}"
        );
        assert!(
            self.extra.iter().all(|(_, taken)| *taken != target),
            "{target} is passed twice"
        );
        self.extra.push((fd, target));
    }
}
