//! What a provider answers when it cannot do what it was asked.
//!
//! Each variant says whose fault it is; `api` maps them to statuses in one place.

use std::io;

use super::FunctionId;

/// Why a provider did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The request makes no sense; the caller's fault.
    #[error("{field}: {why}")]
    Invalid {
        /// The field of the request, in the words of the API.
        field: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// No such function.
    #[error("no function '{0}' is deployed; see GET /system/functions")]
    NoFunction(FunctionId),
    /// No such namespace.
    #[error("there is no namespace '{0}'; create it with POST /system/namespace/{0}")]
    NoNamespace(String),
    /// It is there already, or in the way of something else.
    #[error("{0}")]
    Conflict(String),
    /// The gateway is about to leave.
    #[error("the gateway is shutting down; ask again when it has been started again")]
    Leaving,
    /// The disk did not take it, and what runs was not changed. Whether a restart finds the change
    /// on the disk, the source says.
    #[error("{what} could not be stored: {source}")]
    Storage {
        /// What was to be stored.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something that should not happen.
    #[error("{0}")]
    Internal(String),
}

impl ProviderError {
    /// Calls a wrong field what the request calls it.
    pub(crate) fn with_field(self, field: &str, in_request: &str) -> Self {
        match self {
            Self::Invalid { field: own, why } if own == field => Self::invalid(in_request, why),
            other => other,
        }
    }

    /// A field of the request is wrong.
    pub(crate) fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            why: why.into(),
        }
    }
}
