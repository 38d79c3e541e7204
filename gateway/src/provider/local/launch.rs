//! The narrow door between keeping replicas alive and what a replica is.
//!
//! Behind it stands a watchdog process on a Unix socket (`replica`), or in tests a fake that
//! becomes ready, falls ill and ends when the test says so.

use std::{future::Future, pin::Pin, rc::Rc};

use net::Endpoint;
use process::limits::Limits;

use super::{logs::Logs, spec::Spec};

/// A future of the control thread.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What is to be started.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) spec: Rc<Spec>,
    /// Unique for the life of the gateway.
    pub(crate) instance: u32,
    /// Where its output goes.
    pub(crate) logs: Rc<Logs>,
}

/// Starts replicas.
pub(crate) trait Launcher {
    /// Starts one; it need not be ready on return.
    ///
    /// # Errors
    /// A sentence that says why not. Nothing is left behind.
    fn launch(&self, order: &Order) -> Result<Box<dyn Running>, String>;

    /// What of `limits` cannot be enforced here, in sentences.
    fn warnings(&self, limits: Limits) -> Later<'_, Vec<String>>;
}

/// A replica that was started.
pub(crate) trait Running {
    /// Where it takes requests.
    fn endpoint(&self) -> Endpoint;

    /// Its process, above all others of the replica.
    fn pid(&self) -> i32;

    /// Returns once it has ended.
    fn ended(&self) -> Later<'_, ()>;

    /// Asks for its health, once.
    fn check(&self) -> Later<'_, Result<(), Unhealthy>>;

    /// Asks it to finish what it does and to end.
    fn ask_to_end(&self);

    /// Ends it by force if it still runs, with all that it started, and removes what it had.
    /// Says how it ended.
    fn clean_up(self: Box<Self>) -> Later<'static, String>;
}

/// Why a replica gets no requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unhealthy {
    /// It answers, and says that it cannot.
    #[error("its health check answers with status {0}")]
    SaysNo(u16),
    /// It does not answer.
    #[error("its health check gets no answer: {0}")]
    NoAnswer(String),
}
