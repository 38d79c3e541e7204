//! `ringway version`: what this binary is, and what the gateway is.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::args::Target;
use crate::client::{Client, Query};
use crate::exit::Failure;
use crate::output;
use crate::table::Sheet;

/// A gateway that does not answer at once must not keep the client's own version.
const ANSWER_SECONDS_MAX: u64 = 2;

/// Show the version of this program and of the gateway
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Write JSON: {client: {release, sha}, gateway: what /system/info says, or null}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Version {
    /// Writes both versions. A gateway that is not there is said, and is no failure.
    ///
    /// # Errors
    /// A wrong URL, and I/O on stdout.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let address = self.target.address(None)?;
        let client = Client::with_limit(address, Duration::from_secs(ANSWER_SECONDS_MAX));
        let info = client.get::<Value>("/system/info", &Query::default());
        if self.json {
            let gateway = info.unwrap_or(Value::Null);
            return output::print_json(&json!({
                "client": {"release": gateway::VERSION, "sha": gateway::GIT_SHA},
                "gateway": gateway,
            }));
        }
        let mut sheet = Sheet::default();
        sheet.line(
            "Client",
            format!("ringway {} ({})", gateway::VERSION, gateway::GIT_SHA),
        );
        match &info {
            Ok(info) => {
                sheet.line(
                    "Gateway",
                    format!(
                        "{} ({}) at {}",
                        text(info, "/version/release"),
                        text(info, "/version/sha"),
                        client.address()
                    ),
                );
                sheet.line(
                    "Provider",
                    format!(
                        "{}, {}",
                        text(info, "/provider/provider"),
                        text(info, "/provider/orchestration")
                    ),
                );
                sheet.line("Architecture", text(info, "/arch"));
            }
            Err(failure) => {
                let reason = failure.to_string();
                sheet.line("Gateway", reason.lines().next().unwrap_or_default());
            }
        }
        output::print(&sheet.render())
    }
}

fn text<'a>(info: &'a Value, pointer: &str) -> &'a str {
    info.pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("unknown")
}
