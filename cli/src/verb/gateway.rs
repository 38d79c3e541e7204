//! `ringway gateway`: the gateway alone, for stacks and service managers.
//!
//! It is `up` without what a person at a terminal wants: no samples, no stack file, no hints.

use clap::Args;

use crate::exit::Failure;
use crate::serve::Serve;

/// Run the gateway for a stack or a service manager
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    #[command(flatten)]
    serve: Serve,
}

impl Gateway {
    /// Runs until a signal ends it.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let config = self.serve.config(|name| std::env::var(name).ok())?;
        self.serve.run(&config, |_ready| {})
    }
}
