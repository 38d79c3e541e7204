//! The door to whatever runs functions: processes on this machine today, Swarm tasks later.
//!
//! A provider keeps what was deployed, keeps as many replicas running as are wanted, and tells
//! `control::Routes` which of them are ready. Nobody outside `provider/local` knows what a
//! replica is.
//!
//! What it does not do: decide how many replicas there should be (people and the autoscaler do),
//! speak HTTP (`api` does), or touch a request.

pub(crate) mod call_limits;
mod error;
mod id;
pub(crate) mod local;
mod types;

use std::{pin::Pin, time::Duration};

use time::OffsetDateTime;
use tokio::sync::mpsc;

pub use error::ProviderError;
pub use id::FunctionId;
pub(crate) use id::or_default;
pub use types::{
    FunctionDeployment, FunctionRemoval, FunctionStatus, LogLine, Namespace, Resources,
    ScaleRequest, Usage,
};

/// A future of the control thread. Boxed, so that the API holds one `dyn Provider` and is
/// compiled once; the cost of a box is nothing beside an fsync.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + 'a>>;

/// What became of a deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployed {
    /// Whether anything changed: an equal update does nothing.
    pub changed: bool,
    /// What was taken but cannot be enforced here, for the person who deployed.
    pub warnings: Vec<String>,
}

/// Which log lines are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only of this replica.
    pub instance: Option<String>,
    /// Only the last so many of those that there are.
    pub tail: Option<usize>,
    /// Only those that are not older.
    pub since: Option<OffsetDateTime>,
    /// Go on with those that come.
    pub follow: bool,
}

/// Runs functions.
///
/// A method that changes something returns when the change is durable: a function that was
/// acknowledged is there after a crash. A call that has begun is carried out even if nobody
/// waits for it any more (`api` sees to that), so implementations need not be cancel-safe.
pub trait Provider {
    /// What runs the replicas, for `/system/info`: `local`, `swarm`.
    fn orchestration(&self) -> &'static str;

    /// Deploys a function that is not there yet. An equal one that is there is left alone.
    fn deploy(&self, deployment: FunctionDeployment) -> Answer<'_, Deployed>;

    /// Replaces a function that is there: new replicas first, then the old ones are drained.
    fn update(&self, deployment: FunctionDeployment) -> Answer<'_, Deployed>;

    /// Removes a function: its replicas are drained, then ended, after this has returned.
    fn remove<'a>(&'a self, id: &'a FunctionId) -> Answer<'a, ()>;

    /// Says how many replicas there are to be.
    fn scale<'a>(&'a self, id: &'a FunctionId, replicas: u32) -> Answer<'a, ()>;

    /// All functions, or those of one namespace, by name. The count of invocations is the
    /// gateway's business and stays 0.
    fn list<'a>(&'a self, namespace: Option<&'a str>) -> Answer<'a, Vec<FunctionStatus>>;

    /// One function.
    fn status<'a>(&'a self, id: &'a FunctionId) -> Answer<'a, FunctionStatus>;

    /// What the replicas of a function take now.
    fn usage<'a>(&'a self, id: &'a FunctionId) -> Answer<'a, Usage>;

    /// Log lines, oldest first; the stream ends when there are no more, or with the function.
    fn logs<'a>(
        &'a self,
        id: &'a FunctionId,
        query: LogQuery,
    ) -> Answer<'a, mpsc::Receiver<LogLine>>;

    /// All namespaces, by name.
    fn namespaces(&self) -> Answer<'_, Vec<Namespace>>;

    /// Creates a namespace, or with `replace` changes one that is there.
    fn put_namespace(&self, namespace: Namespace, replace: bool) -> Answer<'_, ()>;

    /// Removes a namespace that has no functions.
    fn remove_namespace<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;

    /// The gateway is about to leave, and waits for requests in flight: from now on nobody follows
    /// a log. Who does gets the lines that there are, then the end.
    fn end_followers(&self);

    /// Ends what must not outlive the gateway: drains within `limit`, then by force.
    fn shutdown(&self, limit: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}
