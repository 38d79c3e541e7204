//! `ringway list`: which functions there are and how they do.

use clap::Args;

use crate::args::Target;
use crate::client::Query;
use crate::exit::{Exit, Failure};
use crate::function::Status;
use crate::output;
use crate::table::Table;

/// List the functions
#[derive(Debug, Args)]
#[command(visible_alias = "ls")]
pub(crate) struct List {
    /// Show image or command, ready replicas and time of deployment too
    #[arg(short, long)]
    verbose: bool,
    /// Show names only, one a line
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Write the gateway's own JSON: an array of function statuses
    #[arg(long, conflicts_with_all = ["verbose", "quiet"])]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl List {
    /// Writes the list, by name.
    ///
    /// # Errors
    /// Those of a client call, and I/O on stdout.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let client = self.target.client()?;
        let query = Query::default().with_some("namespace", self.target.namespace.as_deref());
        let body = client.get_raw("/system/functions", &query)?;
        if self.json {
            return output::print_raw_json(&body);
        }
        let mut functions = read(&body).map_err(|error| {
            Failure::new(
                Exit::Protocol,
                format!(
                    "{} does not list functions as a gateway does: {error}",
                    client.address()
                ),
            )
        })?;
        functions.sort_by(|a, b| a.name.cmp(&b.name));
        output::print(&self.render(&functions))
    }

    fn render(&self, functions: &[Status]) -> String {
        if self.quiet {
            return functions
                .iter()
                .map(|function| format!("{}\n", function.name))
                .collect();
        }
        if !self.verbose {
            let mut table = Table::new(&["Function", "Invocations", "Replicas"]);
            for function in functions {
                table.row(vec![
                    function.name.clone(),
                    function.invocations(),
                    function.replicas.to_string(),
                ]);
            }
            return table.render();
        }
        let mut table = Table::new(&[
            "Function",
            "Image or command",
            "Invocations",
            "Replicas",
            "Ready",
            "Created",
        ]);
        for function in functions {
            let what = if function.image.is_empty() {
                &function.env_process
            } else {
                &function.image
            };
            table.row(vec![
                function.name.clone(),
                what.clone(),
                function.invocations(),
                function.replicas.to_string(),
                function.available_replicas.to_string(),
                function.created_at.clone(),
            ]);
        }
        table.render()
    }
}

/// An empty list may be written as `null`.
fn read(body: &[u8]) -> Result<Vec<Status>, serde_json::Error> {
    Ok(serde_json::from_slice::<Option<Vec<Status>>>(body)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(verbose: bool, quiet: bool) -> List {
        let target = Target {
            gateway: None,
            namespace: None,
        };
        List {
            verbose,
            quiet,
            json: false,
            target,
        }
    }

    fn functions() -> Vec<Status> {
        read(
            br#"[{"name":"wc","envProcess":"wc","invocationCount":12,"replicas":1,"availableReplicas":1,"createdAt":"2026-11-25T08:00:00Z"},
                 {"name":"resize","image":"x/resize:1","replicas":2}]"#,
        )
        .unwrap()
    }

    #[test]
    fn three_columns_by_default() {
        assert_eq!(
            list(false, false).render(&functions()),
            "Function  Invocations  Replicas\nwc        12           1\nresize    0            2\n"
        );
    }

    #[test]
    fn verbose_shows_what_runs() {
        let text = list(true, false).render(&functions());
        assert_eq!(
            text.lines().nth(1),
            Some("wc        wc                12           1         1      2026-11-25T08:00:00Z")
        );
        assert_eq!(
            text.lines().nth(2),
            Some("resize    x/resize:1        0            2         0")
        );
    }

    #[test]
    fn quiet_shows_names() {
        assert_eq!(list(false, true).render(&functions()), "wc\nresize\n");
        assert_eq!(list(false, true).render(&read(b"null").unwrap()), "");
    }
}
