//! What a process arranges for its own part in a family: to adopt orphans.

use std::io;

use rustix::process::{getpid, set_child_subreaper};

/// Makes this process the parent of every descendant whose own parent has ended, so that it can
/// find, end and reap them: PR_SET_CHILD_SUBREAPER, prctl(2). The first process of a container is
/// that already.
///
/// # Errors
/// What prctl(2) reports.
pub fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}
