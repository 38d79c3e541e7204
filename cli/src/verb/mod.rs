//! One file a verb: its flags, and what it does with them.

pub(crate) mod completion;
pub(crate) mod deploy;
pub(crate) mod describe;
pub(crate) mod gateway;
pub(crate) mod invoke;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod remove;
pub(crate) mod scale;
pub(crate) mod up;
pub(crate) mod version;
pub(crate) mod watchdog;
