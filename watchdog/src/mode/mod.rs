//! The ways to run a function. Each has a room of its own.

pub(crate) mod fork;
pub(crate) mod http;
pub(crate) mod static_files;
