//! The words of the API: what a deploy sends and what a status says.
//!
//! Names and shapes are those of OpenFaaS, so that its clients work. `null` stands for "not
//! given" everywhere, since clients written in Go send it, and fields that we do not know are
//! ignored, since other clients send them.
//!
//! What it does not do: judge. Whether a deployment makes sense is for the provider to say.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Body of `POST` and `PUT /system/functions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionDeployment {
    /// Name of the function.
    #[serde(deserialize_with = "null_is_default")]
    pub service: String,
    /// Image; for the local provider empty, or `file:DIR` for a working directory.
    #[serde(deserialize_with = "null_is_default")]
    pub image: String,
    /// Namespace; empty means the default one.
    #[serde(deserialize_with = "null_is_default")]
    pub namespace: String,
    /// Command line of the process.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub env_process: String,
    /// Environment of the process.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub env_vars: BTreeMap<String, String>,
    /// Where it may be placed.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub constraints: Vec<String>,
    /// Names of secrets it may read.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub secrets: Vec<String>,
    /// Labels; those of `com.openfaas.scale.*` steer the number of replicas.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What one replica may take at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resources>,
    /// What one replica is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Resources>,
    /// Whether the file system is read-only but for the temporary directory.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub read_only_root_filesystem: bool,
    /// Network to join; of the 2017 API.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub network: String,
    /// Credentials for the image's registry. Never stored nor echoed.
    #[serde(deserialize_with = "null_is_default", skip_serializing)]
    pub registry_auth: String,
}

/// Memory and CPU in the words of the deployer: `128Mi`, `500m`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory with its unit.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub memory: String,
    /// CPU with its unit.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub cpu: String,
}

/// Body of `DELETE /system/functions`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionRemoval {
    /// Name of the function.
    #[serde(deserialize_with = "null_is_default")]
    pub function_name: String,
    /// Its namespace; empty means the default one.
    #[serde(deserialize_with = "null_is_default")]
    pub namespace: String,
}

/// Body of `POST /system/scale-function/NAME`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScaleRequest {
    /// Name of the function; when given it must be the one in the path.
    #[serde(deserialize_with = "null_is_default")]
    pub service_name: String,
    /// Its namespace; empty means the one in the query, or the default one.
    #[serde(deserialize_with = "null_is_default")]
    pub namespace: String,
    /// How many replicas there are to be.
    pub replicas: Option<u32>,
}

/// What `GET /system/function/NAME` answers, and `GET /system/functions` for each.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionStatus {
    /// Name of the function.
    pub name: String,
    /// Image, as deployed.
    pub image: String,
    /// Namespace.
    pub namespace: String,
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
    /// Labels; those of `com.openfaas.scale.*` steer the number of replicas.
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
    /// Network to join; of the 2017 API.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// Requests answered since the gateway started.
    pub invocation_count: u64,
    /// Replicas that are wanted.
    pub replicas: u32,
    /// Replicas that answer their health check now.
    pub available_replicas: u32,
    /// When it was first deployed, RFC 3339.
    pub created_at: String,
    /// What all replicas take together, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What the replicas of a function take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// CPU in thousandths of a core.
    pub cpu: f64,
    /// Resident memory in bytes.
    pub total_memory_bytes: u64,
}

impl FunctionStatus {
    /// The status of `deployment`, word for word; what is counted stays 0.
    #[must_use]
    pub fn of(deployment: &FunctionDeployment, namespace: &str, created_at: &str) -> Self {
        let deployment = deployment.clone();
        Self {
            name: deployment.service,
            image: deployment.image,
            namespace: namespace.to_owned(),
            env_process: deployment.env_process,
            env_vars: deployment.env_vars,
            constraints: deployment.constraints,
            secrets: deployment.secrets,
            labels: deployment.labels,
            annotations: deployment.annotations,
            limits: deployment.limits,
            requests: deployment.requests,
            read_only_root_filesystem: deployment.read_only_root_filesystem,
            network: deployment.network,
            created_at: created_at.to_owned(),
            ..Self::default()
        }
    }
}

/// A namespace, as created and as shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Its name.
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    /// Labels.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(
        deserialize_with = "null_is_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// One line that a replica wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Name of the function.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Which replica.
    pub instance: String,
    /// When it arrived, RFC 3339.
    pub timestamp: String,
    /// The line without its end.
    pub text: String,
}

fn null_is_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection, option, prelude::*};

    fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
        collection::btree_map("[a-zA-Z_./]{1,12}", ".{0,12}", 0..4)
    }

    fn resources() -> impl Strategy<Value = Option<Resources>> {
        option::of(
            ("[0-9]{0,3}(Mi)?", "[0-9]{0,3}m?").prop_map(|(memory, cpu)| Resources { memory, cpu }),
        )
    }

    prop_compose! {
        fn deployments()(
            service in "[a-z]{1,8}",
            image in ".{0,12}",
            env_process in ".{0,12}",
            (env_vars, labels, annotations) in (texts(), texts(), texts()),
            constraints in collection::vec(".{0,8}", 0..3),
            secrets in collection::vec(".{0,8}", 0..3),
            (limits, requests) in (resources(), resources()),
            read_only_root_filesystem in any::<bool>(),
        ) -> FunctionDeployment {
            FunctionDeployment {
                service, image, env_process, env_vars, labels, annotations, constraints, secrets,
                limits, requests, read_only_root_filesystem,
                ..FunctionDeployment::default()
            }
        }
    }

    proptest! {
        /// What was deployed is echoed back equal, and what was stored is read back equal.
        #[test]
        fn a_deployment_survives_the_disk_and_the_status(deployment in deployments()) {
            let stored = serde_json::to_string(&deployment).unwrap();
            let read: FunctionDeployment = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(&read, &deployment);
            let status = FunctionStatus::of(&read, "openfaas-fn", "2026-01-01T00:00:00Z");
            let mut status = serde_json::to_value(status).unwrap();
            let fields = status.as_object_mut().unwrap();
            let name = fields.remove("name").unwrap();
            fields.insert("service".to_owned(), name);
            let mut echoed: FunctionDeployment = serde_json::from_value(status).unwrap();
            prop_assert_eq!(echoed.namespace.as_str(), "openfaas-fn");
            echoed.namespace.clear();
            prop_assert_eq!(echoed, deployment);
        }
    }

    #[test]
    fn null_and_unknown_fields_are_taken_as_not_given() {
        let text = r#"{"service":"wc","image":null,"labels":null,"limits":null,"envVars":null,
            "secrets":null,"readOnlyRootFilesystem":null,"somethingNew":{"a":1}}"#;
        let read: FunctionDeployment = serde_json::from_str(text).unwrap();
        let wanted = FunctionDeployment {
            service: "wc".to_owned(),
            ..Default::default()
        };
        assert_eq!(read, wanted);
    }

    #[test]
    fn credentials_of_a_registry_are_never_written() {
        let text = r#"{"service":"wc","registryAuth":"c2VjcmV0"}"#;
        let read: FunctionDeployment = serde_json::from_str(text).unwrap();
        assert_eq!(read.registry_auth, "c2VjcmV0");
        assert!(!serde_json::to_string(&read).unwrap().contains("c2VjcmV0"));
    }

    #[test]
    fn the_names_of_a_status_are_those_of_the_api() {
        let status = FunctionStatus {
            env_process: "wc".to_owned(),
            usage: Some(Usage::default()),
            ..FunctionStatus::default()
        };
        let json = serde_json::to_value(status).unwrap();
        for name in [
            "name",
            "image",
            "namespace",
            "envProcess",
            "invocationCount",
            "replicas",
            "availableReplicas",
            "createdAt",
        ] {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert!(json["usage"].get("totalMemoryBytes").is_some());
    }
}
