//! How many descriptors this process may have open, and how many its children.
//!
//! A server needs more than the customary 1024, and the hard limit is there to be used. A child
//! gets the soft limit that this process was started with: programs that use select(2) break with
//! descriptors above 1023, and some close all up to the limit, one by one, when they start.
//!
//! What it does not do: raise the hard limit, which needs privileges.

use std::{io, sync::OnceLock};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// The limits before they were raised. Of the process, like the limits themselves.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit of this process to its hard limit and returns the new one, `None` being
/// no limit. Processes that are started from now on get the earlier soft limit.
///
/// # Errors
/// What setrlimit(2) answered.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    setrlimit(Resource::Nofile, raised)?;
    // An earlier call has the limits that children are to get.
    BEFORE.get_or_init(|| before);
    Ok(raised.current)
}

/// Gives a child the limits that this process was started with.
///
/// posix_spawn(3) cannot, so the child's program runs already; it has had the higher limit for some
/// microseconds. What it starts later never has it.
pub(crate) fn lower_for(child: Pid) {
    if let Some(before) = BEFORE.get() {
        // The error says that the child has ended. A kernel that does not allow it is not worse
        // than one process with a limit that is too high.
        prlimit(Some(child), Resource::Nofile, *before).ok();
    }
}
