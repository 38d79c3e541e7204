//! SIGTERM and SIGINT: the first asks the gateway to finish what it does, the second to leave at
//! once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// Finish requests in flight, within the drain limit.
    Graceful,
    /// Do not wait for anything.
    AtOnce,
}

/// Both signals, taken from their defaults.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// From now on neither ends the process by itself.
    ///
    /// # Errors
    /// What sigaction(2) answered.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    /// Calls `on_terminate` for each signal. Never returns.
    pub(super) async fn watch(&mut self, mut on_terminate: impl FnMut(Termination)) {
        let mut what = Termination::Graceful;
        loop {
            let name = tokio::select! {
                _ = self.term.recv() => "SIGTERM",
                _ = self.int.recv() => "SIGINT",
            };
            tracing::info!(signal = name, ?what, "the gateway was asked to end");
            on_terminate(what);
            what = Termination::AtOnce;
        }
    }
}
