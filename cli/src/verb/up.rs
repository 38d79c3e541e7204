//! `ringway up`: a gateway with the local provider, ready to be called.
//!
//! Functions are deployed through the gateway's own API by a thread of their own, while this one
//! waits for the gateway to end: there is no second way in for samples.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use gateway::Ready;

use crate::client::{Client, Query};
use crate::deploy::{Existing, deploy};
use crate::exit::Failure;
use crate::function::{Deployment, Status};
use crate::samples::samples;
use crate::serve::{Serve, client_address};
use crate::table::Sheet;
use crate::verb::describe::invocation_name;
use crate::{output, stack};

/// How long the first function may take to be ready before the line to try is printed anyway.
const READY_SECONDS_MAX: u64 = 10;

/// Time between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Start a gateway that runs functions as processes on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringway up --samples
  ringway up -f stack.yml --listen 127.0.0.1:9000
  ringway up --static web=http://127.0.0.1:3000")]
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
    /// Whatever keeps it from starting. A function that cannot be deployed does not: it is said,
    /// and the gateway serves the others.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let config = self.serve.config(variable)?;
        // Read before anything starts: a mistake in the file is then the only message.
        let functions = self.functions(variable)?;
        let server = config.statics.first().map(|server| server.name.clone());
        self.serve.run(&config, |ready| {
            // Whoever reads stdout may leave (`| head`); the gateway goes on.
            output::print(&announcement(ready)).ok();
            let address = ready.addresses.first().copied().map(client_address);
            if let Some(Ok(address)) = address {
                let client = Client::new(address);
                let (functions, server) = (functions.clone(), server.clone());
                thread::spawn(move || introduce(&client, &functions, server.as_deref()));
            }
        })
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

fn announcement(ready: &Ready<'_>) -> String {
    let mut sheet = Sheet::default();
    let urls = ready
        .addresses
        .iter()
        .map(|address| format!("http://{address}"));
    sheet.lines("Listening", urls);
    sheet.line(
        "Driver",
        format!("{}, {}", ready.driver.kind, ready.driver.reason),
    );
    sheet.line("State", ready.state_dir.display().to_string());
    sheet.render()
}

/// Deploys what was asked for, and shows one line that works.
fn introduce(client: &Client, functions: &[Deployment], server: Option<&str>) {
    for function in functions {
        let name = &function.service;
        match deploy(client, function, Existing::UpdateIfDifferent) {
            Ok(outcome) => {
                for warning in &outcome.warnings {
                    output::warn(&format!("{name}: {warning}"));
                }
                output::print(&format!("{name}: {}\n", outcome.action.word())).ok();
            }
            Err(failure) => output::note(&format!("ringway: {name}: {failure}")),
        }
    }
    let first = functions
        .first()
        .map(|function| (function.service.clone(), function.namespace.clone()));
    if let Some((name, namespace)) = &first {
        wait_until_ready(client, name, namespace.as_deref());
    }
    // Functions of an earlier run come back by themselves.
    let first = first
        .or_else(|| Some((server?.to_owned(), None)))
        .or_else(|| {
            let known = client
                .get::<Vec<Status>>("/system/functions", &Query::default())
                .ok()?;
            known.into_iter().next().map(|status| (status.name, None))
        });
    let name = first.map(|(name, namespace)| invocation_name(&name, namespace.as_deref()));
    output::print(&format!(
        "Try: {}\n",
        hint(&client.address().to_string(), name.as_deref())
    ))
    .ok();
}

/// Waits until a request would not be refused, so that nobody who copies the line sees a 503.
fn wait_until_ready(client: &Client, name: &str, namespace: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
    let path = format!("/system/function/{name}");
    let query = Query::default().with_some("namespace", namespace);
    while Instant::now() < deadline {
        match client.get::<Status>(&path, &query) {
            Ok(status) if status.available_replicas == 0 => thread::park_timeout(LOOK_EVERY),
            _ => return,
        }
    }
}

/// The line to copy: a call of a function, or how to have one.
fn hint(gateway: &str, function: Option<&str>) -> String {
    match function {
        Some(name) => format!("curl -d 'hello wide world' {gateway}/function/{name}"),
        None => format!(
            "ringway deploy wc --fprocess wc -g {gateway} && \
             curl -d 'hello wide world' {gateway}/function/wc"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_try_names_this_gateway() {
        assert_eq!(
            hint("http://h:1", Some("wc")),
            "curl -d 'hello wide world' http://h:1/function/wc"
        );
        assert!(
            hint("http://h:1", None)
                .starts_with("ringway deploy wc --fprocess wc -g http://h:1 && curl ")
        );
    }
}
