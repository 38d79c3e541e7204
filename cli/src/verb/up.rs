//! `ringway up`: a gateway with the local provider, ready to be called.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::function::Deployment;
use crate::samples::samples;
use crate::serve::Serve;
use crate::{output, stack};

/// Start a gateway that runs functions as processes on this machine
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringway up --samples\n  ringway up -f stack.yml --listen 127.0.0.1:9000\n  ringway up --static web=http://127.0.0.1:3000"
)]
pub(crate) struct Up {
    /// Deploy five small functions: wc, cat, sort, env, sha256sum
    #[arg(long)]
    samples: bool,
    /// Deploy the functions of this stack file once the gateway listens (- for stdin)
    #[arg(short = 'f', long = "yaml", alias = "file", value_name = "FILE")]
    yaml: Option<PathBuf>,
    #[command(flatten)]
    serve: Serve,
}

impl Up {
    /// Runs until a signal ends it.
    ///
    /// # Errors
    /// Whatever keeps it from starting.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let _config = self.serve.config(variable)?;
        // Read before anything starts: a mistake in the file is then the only message.
        let _functions = self.functions(variable)?;
        self.serve.start_logging();
        Ok(())
    }

    fn functions(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<Deployment>, Failure> {
        let mut functions = if self.samples { samples() } else { Vec::new() };
        if let Some(path) = &self.yaml {
            let stack = stack::load(path, variable)?;
            for warning in &stack.warnings {
                output::warn(&format!("{}: {warning}", path.display()));
            }
            functions.extend(stack.functions);
        }
        Ok(functions)
    }
}
