//! `ringway describe NAME`: everything that is known about one function.

use std::collections::BTreeMap;

use clap::Args;

use crate::address::Address;
use crate::args::Target;
use crate::client::Query;
use crate::exit::{Exit, Failure};
use crate::function::{Resources, Status, check_name};
use crate::output;
use crate::table::Sheet;

/// Show one function with its settings and its state
#[derive(Debug, Args)]
pub(crate) struct Describe {
    /// Name of the function
    name: String,
    /// Write the gateway's own JSON: a function status
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Describe {
    /// Writes the description.
    ///
    /// # Errors
    /// Those of a client call, and I/O on stdout.
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_name(&self.name)?;
        let client = self.target.client()?;
        let query = Query::default()
            .with_some("namespace", self.target.namespace.as_deref())
            .with("usage", "1");
        let body = client.get_raw(&format!("/system/function/{}", self.name), &query)?;
        if self.json {
            return output::print_raw_json(&body);
        }
        let status: Status = serde_json::from_slice(&body).map_err(|error| {
            Failure::new(
                Exit::Protocol,
                format!(
                    "{} does not describe a function as a gateway does: {error}",
                    client.address()
                ),
            )
        })?;
        output::print(&render(
            &status,
            client.address(),
            self.target.namespace.as_deref(),
        ))
    }
}

fn render(status: &Status, gateway: &Address, namespace: Option<&str>) -> String {
    let path = invocation_name(&status.name, namespace);
    let mut sheet = Sheet::default();
    sheet.line("Name", &status.name);
    sheet.line("Namespace", &status.namespace);
    sheet.line("State", state(status));
    sheet.line(
        "Replicas",
        format!(
            "{} wanted, {} ready",
            status.replicas, status.available_replicas
        ),
    );
    sheet.line("Invocations", status.invocations());
    sheet.line("Image", &status.image);
    sheet.line("Command", &status.env_process);
    sheet.line("URL", format!("{gateway}/function/{path}"));
    sheet.line("Async URL", format!("{gateway}/async-function/{path}"));
    sheet.lines("Environment", pairs(&status.env_vars));
    sheet.lines("Labels", pairs(&status.labels));
    sheet.lines("Annotations", pairs(&status.annotations));
    sheet.lines("Constraints", status.constraints.iter().cloned());
    sheet.lines("Secrets", status.secrets.iter().cloned());
    sheet.line("Limits", resources(status.limits.as_ref()));
    sheet.line("Requests", resources(status.requests.as_ref()));
    sheet.line(
        "File system",
        if status.read_only_root_filesystem {
            "read-only"
        } else {
            ""
        },
    );
    sheet.line("Created", &status.created_at);
    if let Some(usage) = &status.usage {
        let mebibytes = usage.total_memory_bytes / 1_048_576.0;
        sheet.line(
            "Usage",
            format!("{:.0} m CPU, {mebibytes:.1} MiB memory", usage.cpu),
        );
    }
    sheet.render()
}

/// The last part of a function's URL: `name`, or `name.namespace`.
pub(crate) fn invocation_name(name: &str, namespace: Option<&str>) -> String {
    namespace.map_or_else(
        || name.to_owned(),
        |namespace| format!("{name}.{namespace}"),
    )
}

fn state(status: &Status) -> &'static str {
    match (status.replicas, status.available_replicas) {
        (0, _) => "scaled to zero",
        (_, 0) => "not ready",
        (wanted, ready) if ready < wanted => "partly ready",
        _ => "ready",
    }
}

fn pairs(map: &BTreeMap<String, String>) -> impl Iterator<Item = String> {
    map.iter().map(|(key, value)| format!("{key}={value}"))
}

fn resources(set: Option<&Resources>) -> String {
    let named = |name: &str, value: &str| (!value.is_empty()).then(|| format!("{name} {value}"));
    set.map(|set| {
        [named("memory", &set.memory), named("CPU", &set.cpu)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    })
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_is_set_and_nothing_else() {
        let status: Status = serde_json::from_str(
            r#"{"name":"wc","envProcess":"wc -l","envVars":{"B":"2","A":"1"},"limits":{"memory":"64Mi"},"replicas":2,
                "availableReplicas":1,"usage":{"cpu":12.4,"totalMemoryBytes":1572864}}"#,
        )
        .unwrap();
        let gateway = Address::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(
            render(&status, &gateway, Some("staging")),
            "\
Name:         wc
State:        partly ready
Replicas:     2 wanted, 1 ready
Invocations:  0
Command:      wc -l
URL:          http://127.0.0.1:8080/function/wc.staging
Async URL:    http://127.0.0.1:8080/async-function/wc.staging
Environment:  A=1
              B=2
Limits:       memory 64Mi
Usage:        12 m CPU, 1.5 MiB memory
"
        );
    }
}
