//! The ways to run a function. Each has a room of its own; there is one today.

pub(crate) mod fork;
