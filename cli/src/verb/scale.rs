//! `ringway scale NAME REPLICAS`: sets the number of replicas by hand.

use clap::Args;
use serde::Serialize;

use crate::args::Target;
use crate::client::{Change, Query, refusal};
use crate::exit::Failure;
use crate::function::check_name;
use crate::output;

/// Set how many replicas a function has
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ringway scale wc 3")]
pub(crate) struct Scale {
    /// Name of the function
    name: String,
    /// Number of replicas, from 0 to the function's own maximum (label com.openfaas.scale.max)
    #[arg(
        value_name = "REPLICAS",
        required_unless_present = "replicas",
        conflicts_with = "replicas"
    )]
    count: Option<u32>,
    /// The same as a flag
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    service_name: &'a str,
    replicas: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

impl Scale {
    /// Asks for the new number; the gateway starts or drains replicas after it has answered.
    ///
    /// # Errors
    /// Those of a client call, and `Refused` when the gateway does not accept the number.
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_name(&self.name)?;
        let Some(replicas) = self.count.or(self.replicas) else {
            return Err(Failure::usage("say how many replicas"));
        };
        let client = self.target.client()?;
        let namespace = self.target.namespace.as_deref();
        let request = Request {
            service_name: &self.name,
            replicas,
            namespace,
        };
        let path = format!("/system/scale-function/{}", self.name);
        let query = Query::default().with_some("namespace", namespace);
        let answer = client.change(Change::Post, &path, &query, &request)?;
        if !answer.status.is_success() {
            return Err(refusal(answer.status, &answer.body));
        }
        output::print(&format!("{}: {replicas} replicas asked for\n", self.name))
    }
}
