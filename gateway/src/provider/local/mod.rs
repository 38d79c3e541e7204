//! Functions as processes of this machine, each replica a watchdog on a Unix socket.
//!
//! Reading order: `spec` says what can be deployed, `spec_store` (on `durable`) keeps it,
//! `function` and `slot` keep replicas running by way of `launch`, behind which `replica` is a
//! real process; `logs` and `usage` show what they do; `leftovers` ends what a killed gateway
//! left.
//!
//! Order of a change: check, store (fsync), then act, then answer. A crash after the fsync finds
//! the new state on the disk, one before it the old.

mod backoff;
mod chores;
mod disk;
mod durable;
mod environment;
mod fence;
mod function;
mod health;
mod keyed_lock;
mod launch;
pub(crate) mod leftovers;
mod log_ring;
mod logs;
mod namespaces;
mod places;
mod program;
mod provider;
mod replica;
mod scale_labels;
mod slot;
mod spec;
mod spec_store;
mod stragglers;
mod usage;

pub(crate) use chores::BLOCKING_THREADS_MAX;
pub(crate) use durable::make_dirs;
pub(crate) use function::Context;
pub(crate) use logs::rfc3339;
pub(crate) use places::{Places, SOCKET_NAME_BYTES_MAX};
pub(crate) use program::WatchdogProgram;
pub(crate) use provider::LocalProvider;
pub(crate) use replica::WatchdogLauncher;
pub(crate) use spec_store::SpecStore;

#[cfg(test)]
pub(crate) mod tests;
