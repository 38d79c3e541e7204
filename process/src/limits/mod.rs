//! Limits on what a process and everything it starts may take, and a fence around them.
//!
//! A control group (cgroup) is the only thing that counts a whole family of processes together and
//! that no member can leave; [`Enforcer`] finds out at start what this machine allows (version 2,
//! version 1, or neither) and says of each limit whether and how it is enforced. Without permission
//! for cgroups, memory is limited per process by an rlimit, and CPU not at all; [`Confined`]
//! carries that as a warning in words, for the person who asked for the limit.
//!
//! What it does not do: choose limits, or watch how much is used.

mod confined;
mod enforcer;
mod folder;
mod hierarchy;
mod quantity;

pub use confined::Confined;
pub use enforcer::Enforcer;
pub use quantity::{QuantityError, parse_cpu, parse_memory};

/// What a group of processes may take together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, page cache included; none: no limit.
    pub memory_bytes: Option<u64>,
    /// Thousandths of one CPU's time; none: no limit.
    pub cpu_millicores: Option<u64>,
}
