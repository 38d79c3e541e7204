//! A function as the gateway's API writes it: what a deploy sends and what a status says.
//!
//! These are the client's own types. They name what the verbs need and ignore the rest, so that
//! this CLI can talk to any gateway of the same API, of another version or another make.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// Labels that a provider adds to what was deployed: no difference between a spec and its status.
const PROVIDER_LABELS: [&str; 3] = ["faas_function", "com.openfaas.function", "com.openfaas.uid"];

/// Body of `POST` and `PUT /system/functions`. What is empty is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deployment {
    /// Name of the function.
    pub service: String,
    /// Image, or empty, or `file:DIR` for the local provider.
    pub image: String,
    /// Namespace; none is the gateway's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Command line of the process.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub env_process: String,
    /// Environment of the process.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Where it may be placed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// Names of secrets it may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Labels; those of `com.openfaas.scale.*` steer the autoscaler.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What one replica may take at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resources>,
    /// What one replica is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Resources>,
    /// Whether the file system is read-only but for the temporary directory.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_root_filesystem: bool,
}

/// Memory and CPU in the words of the deployer: `128Mi` or `128m`, `500m` or `0.5`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    /// Memory with its unit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub memory: String,
    /// CPU share with its unit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cpu: String,
}

impl Resources {
    /// `None` when neither is set.
    pub(crate) fn some(memory: Option<String>, cpu: Option<String>) -> Option<Self> {
        (memory.is_some() || cpu.is_some()).then(|| Self {
            memory: memory.unwrap_or_default(),
            cpu: cpu.unwrap_or_default(),
        })
    }
}

/// What `GET /system/function/NAME` says. A gateway writes what is empty as `null`, `[]`, `{}` or
/// not at all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    /// Name of the function.
    pub name: String,
    /// Image.
    #[serde(deserialize_with = "or_default")]
    pub image: String,
    /// Namespace.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Command line of the process.
    #[serde(deserialize_with = "or_default")]
    pub env_process: String,
    /// Environment of the process.
    #[serde(deserialize_with = "or_default")]
    pub env_vars: BTreeMap<String, String>,
    /// Where it may be placed.
    #[serde(deserialize_with = "or_default")]
    pub constraints: Vec<String>,
    /// Names of secrets it may read.
    #[serde(deserialize_with = "or_default")]
    pub secrets: Vec<String>,
    /// Labels, with those that the provider adds.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// What one replica may take at most.
    pub limits: Option<Resources>,
    /// What one replica is promised.
    pub requests: Option<Resources>,
    /// Whether the file system is read-only.
    #[serde(deserialize_with = "or_default")]
    pub read_only_root_filesystem: bool,
    /// Calls so far. The reference gateway writes a floating-point number.
    #[serde(deserialize_with = "or_default")]
    pub invocation_count: f64,
    /// Replicas that are wanted.
    #[serde(deserialize_with = "or_default")]
    pub replicas: u64,
    /// Replicas that answer.
    #[serde(deserialize_with = "or_default")]
    pub available_replicas: u64,
    /// When it was deployed, RFC 3339.
    #[serde(deserialize_with = "or_default")]
    pub created_at: String,
    /// What all replicas take together.
    pub usage: Option<Usage>,
}

/// What the replicas of a function take.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Usage {
    /// CPU in thousandths of a core.
    pub cpu: f64,
    /// Resident memory in bytes.
    pub total_memory_bytes: f64,
}

fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Status {
    /// Whether deploying `wanted` would change nothing.
    pub(crate) fn equals(&self, wanted: &Deployment) -> bool {
        let labels = self.labels.iter().filter(|(key, _)| {
            wanted.labels.contains_key(*key) || !PROVIDER_LABELS.contains(&key.as_str())
        });
        self.image == wanted.image
            && self.env_process == wanted.env_process
            && self.env_vars == wanted.env_vars
            && self.constraints == wanted.constraints
            && self.secrets == wanted.secrets
            && labels.eq(wanted.labels.iter())
            && self.annotations == wanted.annotations
            && self
                .limits
                .as_ref()
                .filter(|set| **set != Resources::default())
                == wanted.limits.as_ref()
            && self
                .requests
                .as_ref()
                .filter(|set| **set != Resources::default())
                == wanted.requests.as_ref()
            && self.read_only_root_filesystem == wanted.read_only_root_filesystem
    }

    /// Calls so far, as the whole number that it is.
    pub(crate) fn invocations(&self) -> String {
        format!("{:.0}", self.invocation_count)
    }
}

/// Checks a function's or a namespace's name before it becomes part of a path: `[-a-zA-Z_0-9.]+`.
///
/// # Errors
/// Usage, with the characters that a name may have.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    if is_name(name) {
        Ok(())
    } else {
        Err(Failure::usage(format!(
            "`{}` is not a name: names are made of letters, digits, `-`, `_` and `.`",
            name.escape_default()
        )))
    }
}

/// Whether `name` may name a function. A name of dots alone would be a step in a path.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.bytes().all(|byte| byte == b'.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_leaves_out_what_is_empty() {
        let wanted = Deployment {
            service: "wc".into(),
            env_process: "wc".into(),
            ..Deployment::default()
        };
        assert_eq!(
            serde_json::to_string(&wanted).unwrap(),
            r#"{"service":"wc","image":"","envProcess":"wc"}"#
        );
    }

    #[test]
    fn nulls_and_absent_fields_are_the_same() {
        let status: Status = serde_json::from_str(
            r#"{"name":"wc","envVars":null,"secrets":null,"invocationCount":3,"unknown":1}"#,
        )
        .unwrap();
        assert_eq!((status.invocations(), status.replicas), ("3".to_owned(), 0));
    }

    #[test]
    fn labels_of_the_provider_make_no_difference() {
        let wanted = Deployment {
            service: "wc".into(),
            env_process: "wc".into(),
            labels: BTreeMap::from([("a".into(), "1".into())]),
            ..Deployment::default()
        };
        let mut status = Status {
            env_process: "wc".into(),
            labels: BTreeMap::from([
                ("a".into(), "1".into()),
                ("com.openfaas.function".into(), "wc".into()),
            ]),
            limits: Some(Resources::default()),
            ..Status::default()
        };
        assert!(status.equals(&wanted));
        status.labels.insert("b".into(), "2".into());
        assert!(!status.equals(&wanted));
    }

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        for good in ["wc", "a-b_c.D9", "fn.namespace", "..x"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "a/b", "..", ".", "a b", "é", "a?b", "a%2f"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
