//! Numbers: counted by one writer per core, summed when somebody asks.
//!
//! `cells` is the data plane's side (plain stores, no sharing), `families` the control plane's
//! (sums them into Prometheus families at scrape).

mod cells;
pub(crate) mod families;
mod own;

pub use cells::{
    CoreCells, Counter, FunctionCounters, Gauge, LATENCY_BUCKETS, StatusCells, WorkerCells,
};
pub use families::{DriverLabels, render};
pub(crate) use own::{Held, OwnCells};
