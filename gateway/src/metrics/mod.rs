//! Numbers: counted by one writer per core, summed when somebody asks.
//!
//! `cells` is the data plane's side (plain stores, no sharing), `families` the control plane's
//! (sums them into Prometheus families at scrape).

mod cells;
<<<<<<< HEAD
mod own;
=======
pub(crate) mod families;
>>>>>>> 6182564 (Add the control plane, the API and the local provider)

pub use cells::{
    CoreCells, Counter, FunctionCounters, Gauge, LATENCY_BUCKETS, StatusCells, WorkerCells,
};
pub(crate) use own::{Held, OwnCells};
