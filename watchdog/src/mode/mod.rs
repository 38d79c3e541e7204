//! The ways to run a function. Each has a room of its own; beside them is what several share.

pub(crate) mod fork;
pub(crate) mod http;
pub(crate) mod static_files;
pub(crate) mod worker;

mod collect;
mod first;
mod head;
mod log_pipe;
mod start;
