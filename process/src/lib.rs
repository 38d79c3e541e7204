//! Starting, watching and ending processes: the only room of the workspace that may do so.
//!
//! The watchdog (one thread, no async library of its own) and the gateway's local provider (tokio)
//! both use it, so nothing here waits by itself: a [`Child`] hands out its pidfd, pipes are plain
//! [`std::os::fd::OwnedFd`]s, and the caller waits on them with whatever event loop it has.
//!
//! Processes are started by `posix_spawn(3)`, never by `fork`: with 200 MB resident in the parent,
//! fork and exec took 3.9 ms and posix_spawn 1.0 ms on the build machine. A child gets exactly what
//! it was given: the environment starts empty, every descriptor but those named is closed, signal
//! mask and dispositions are the defaults.
//!
//! Reading order: [`Command`] describes a process, [`Template`] is a command made ready to be
//! started many times, [`Child`] is a running one; `group`, `family` and `limits` end and confine
//! whatever it starts in turn. Linux only.
//!
//! What it does not do: no runtime, no time limits, no retries, no users or sandboxes.

#![deny(unsafe_code)]

mod command;
mod environment;
mod error;
mod program;
mod stdio;
mod template;
#[expect(unsafe_code, reason = "posix_spawn(3) has no safe binding")]
mod unix;

mod child;
mod descriptors;
mod signal;
mod status;

mod family;
mod group;
mod parent;
mod pipe;
mod procfs;
mod tree;

pub mod command_line;
pub mod limits;

pub use child::Child;
pub use command::Command;
pub use descriptors::raise_descriptor_limit;
pub use environment::{BadVariable, Environment};
pub use error::SpawnError;
pub use family::{children, kill_orphan, reap_orphans};
pub use group::{kill_descendants, kill_family, kill_group, kill_matching, kill_session};
pub use parent::become_subreaper;
pub use pipe::{pipe, set_nonblocking, set_pipe_size};
pub use procfs::{children_of, has_ended, session, start_time};
pub use program::Program;
pub use signal::Signal;
pub use status::Exit;
pub use stdio::{Group, Io, Stdio};
pub use template::Template;
