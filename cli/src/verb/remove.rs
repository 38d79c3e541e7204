//! `ringway remove NAME…`: functions go away, after their requests in flight have ended.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::args::Target;
use crate::client::{Change, Client, Query, refusal};
use crate::exit::Failure;
use crate::function::check_name;
use crate::{output, stack};

/// Remove functions
#[derive(Debug, Args)]
#[command(
    visible_alias = "rm",
    alias = "delete",
    group(ArgGroup::new("what").required(true)),
    after_help = "Examples:\n  ringway remove wc cat\n  ringway remove -f stack.yml"
)]
pub(crate) struct Remove {
    /// Names of the functions
    #[arg(group = "what", value_name = "NAME")]
    names: Vec<String>,
    /// Remove every function that this stack file names (- for stdin)
    #[arg(
        short = 'f',
        long = "yaml",
        alias = "file",
        group = "what",
        value_name = "FILE"
    )]
    yaml: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    function_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

impl Remove {
    /// Removes one after the other; a function that cannot be removed does not keep the others.
    ///
    /// # Errors
    /// The first failure, after all were tried.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut names: Vec<(String, Option<String>)> = self
            .names
            .iter()
            .map(|name| (name.clone(), self.target.namespace.clone()))
            .collect();
        let mut gateway = None;
        if let Some(path) = &self.yaml {
            let stack = stack::load(path, |name| std::env::var(name).ok())?;
            stack
                .warnings
                .iter()
                .for_each(|warning| output::warn(warning));
            let namespaced = |function: crate::function::Deployment| {
                (
                    function.service,
                    self.target.namespace.clone().or(function.namespace),
                )
            };
            names.extend(stack.functions.into_iter().map(namespaced));
            gateway = stack.gateway;
        }
        for (name, _) in &names {
            check_name(name)?;
        }
        let client = Client::new(self.target.address(gateway.as_deref())?);
        let mut failed: Vec<Failure> = Vec::new();
        for (name, namespace) in &names {
            match remove(&client, name, namespace.as_deref()) {
                Ok(()) => output::print(&format!("{name}: removed\n"))?,
                Err(failure) => failed.push(failure.about(name)),
            }
        }
        Failure::several(failed)
    }
}

fn remove(client: &Client, name: &str, namespace: Option<&str>) -> Result<(), Failure> {
    let query = Query::default().with_some("namespace", namespace);
    let request = Request {
        function_name: name,
        namespace,
    };
    let answer = client.change(Change::Delete, "/system/functions", &query, &request)?;
    if answer.status.is_success() {
        Ok(())
    } else {
        Err(refusal(answer.status, &answer.body))
    }
}
