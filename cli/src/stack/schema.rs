//! The shape of a stack file as it is written, key by key.
//!
//! Types here are what YAML may hold; `super` makes deployments of them. Reading is strict about
//! types and duplicate keys, and reports keys that nobody knows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Segment, Track};
use serde_saphyr::UserMessageFormatter;

use crate::function::{Deployment, Resources};

/// Keys of the schema that say nothing about a deployment.
const UNUSED: [&str; 4] = [
    "version",
    "configuration",
    "provider.name",
    "provider.network",
];

/// The same within a function: they matter to builds.
const UNUSED_IN_FUNCTION: [&str; 9] = [
    "lang",
    "handler",
    "skip_build",
    "build_args",
    "build_options",
    "build_secrets",
    "platforms",
    "publish",
    "extra_paths",
];

/// A whole stack file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct File {
    /// The gateway that it is meant for.
    pub provider: Provider,
    /// The functions by name.
    #[serde(deserialize_with = "or_default")]
    pub functions: BTreeMap<String, Function>,
}

/// Section `provider`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Provider {
    /// URL of the gateway.
    pub gateway: Option<String>,
}

/// One function.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Function {
    image: Option<String>,
    fprocess: Option<String>,
    namespace: Option<String>,
    /// Environment, over which `environment_file` is laid.
    #[serde(deserialize_with = "or_default")]
    pub environment: BTreeMap<String, Option<String>>,
    /// Files with an `environment` section, relative to the stack file.
    #[serde(deserialize_with = "or_default")]
    pub environment_file: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    secrets: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    constraints: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, Option<String>>,
    #[serde(deserialize_with = "or_default")]
    annotations: BTreeMap<String, Option<String>>,
    limits: Option<RawResources>,
    requests: Option<RawResources>,
    #[serde(deserialize_with = "or_default")]
    readonly_root_filesystem: bool,
}

/// Sections `limits` and `requests`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawResources {
    memory: Option<String>,
    cpu: Option<String>,
}

/// A file named by `environment_file`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EnvironmentFile {
    /// What it adds.
    #[serde(deserialize_with = "or_default")]
    pub environment: BTreeMap<String, Option<String>>,
}

impl Function {
    /// The deployment that this section asks for, with its environment already merged.
    pub(crate) fn deployment(
        self,
        name: String,
        environment: BTreeMap<String, String>,
    ) -> Deployment {
        let resources =
            |raw: Option<RawResources>| raw.and_then(|raw| Resources::some(raw.memory, raw.cpu));
        Deployment {
            service: name,
            image: self.image.unwrap_or_default(),
            namespace: self.namespace.filter(|name| !name.is_empty()),
            env_process: self.fprocess.unwrap_or_default(),
            env_vars: environment,
            constraints: self.constraints,
            secrets: self.secrets,
            labels: super::text_values(self.labels),
            annotations: super::text_values(self.annotations),
            limits: resources(self.limits),
            requests: resources(self.requests),
            read_only_root_filesystem: self.readonly_root_filesystem,
        }
    }
}

/// Reads YAML and says which keys nobody asked for.
///
/// # Errors
/// A sentence that names the key, line and column.
pub(crate) fn read<T: DeserializeOwned + Default>(text: &str) -> Result<(T, Vec<String>), String> {
    let mut warnings = Vec::new();
    let mut track = Track::new();
    let value: Result<Option<T>, _> = serde_saphyr::with_deserializer_from_str(text, |yaml| {
        let yaml = serde_path_to_error::Deserializer::new(yaml, &mut track);
        serde_ignored::deserialize(yaml, |path| {
            // `?` stands for the step into an `Option`.
            let path = path.to_string().replace(".?", "").replace("?.", "");
            if !is_known(&path) {
                warnings.push(format!("key `{path}` is not known and is ignored"));
            }
        })
    });
    match value {
        Ok(value) => Ok((value.unwrap_or_default(), warnings)),
        Err(error) => {
            let path = track.path();
            // Without a key on the way it is the root: the error is then not about one key.
            if path.iter().any(|step| matches!(step, Segment::Map { .. })) {
                // `?` is a step whose name was not read yet.
                let path = path.to_string();
                Err(format!(
                    "{}: {}",
                    path.trim_end_matches(".?"),
                    sentence(&error)
                ))
            } else {
                Err(sentence(&error))
            }
        }
    }
}

/// The parser's message for whoever wrote the file; its other formatters speak to whoever calls it.
fn sentence(error: &serde_saphyr::Error) -> String {
    error
        .without_snippet()
        .render_with_formatter(&UserMessageFormatter)
        .replace(
            "expected sequence start",
            "expected a list (lines with `- `)",
        )
        .replace(
            "expected mapping start",
            "expected keys with values (`KEY: VALUE`)",
        )
}

/// Whether the key belongs to the schema, although nothing is done with it.
fn is_known(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    UNUSED.contains(&path) || (path.starts_with("functions.") && UNUSED_IN_FUNCTION.contains(&last))
}

fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
