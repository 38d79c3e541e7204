//! From what went wrong to a status and a body: the one place for it.

use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use super::reply::{self, Form, ReplyBody};
use crate::{
    provider::{FunctionId, ProviderError},
    reply::ErrorBody,
};

/// An answer that is an error.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    function: Option<String>,
    /// The methods that the path has.
    allow: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: String) -> Self {
        Self {
            status,
            message,
            function: None,
            allow: None,
        }
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// No such path.
    pub(super) fn no_route(path: &str) -> Self {
        let message = format!("there is nothing at '{}'", path.escape_default());
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The path has other methods.
    pub(super) fn method(path: &str, allow: String) -> Self {
        let message = format!("'{}' takes {allow}", path.escape_default());
        Self {
            allow: Some(allow),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
        }
    }

    /// Says which function it was about.
    pub(super) fn about(self, id: &FunctionId) -> Self {
        Self {
            function: Some(id.to_string()),
            ..self
        }
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer, in the form that the client asked for.
    pub(super) fn into_response(self, form: Form) -> Response<ReplyBody> {
        let mut response = match form {
            Form::Json => reply::json(
                self.status,
                &ErrorBody {
                    error: &self.message,
                    function: self.function.as_deref(),
                    status: self.status.as_u16(),
                },
            ),
            Form::Text => reply::text(self.status, format!("{}\n", self.message)),
        };
        let headers = response.headers_mut();
        // Made of method names, so it is a header's value.
        if let Some(allow) = self
            .allow
            .and_then(|allow| HeaderValue::try_from(allow).ok())
        {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<ProviderError> for ApiError {
    fn from(error: ProviderError) -> Self {
        let status = match &error {
            ProviderError::Invalid { .. } => StatusCode::BAD_REQUEST,
            ProviderError::NoFunction(_) | ProviderError::NoNamespace(_) => StatusCode::NOT_FOUND,
            ProviderError::Conflict(_) => StatusCode::CONFLICT,
            ProviderError::Leaving => StatusCode::SERVICE_UNAVAILABLE,
            ProviderError::Storage { .. } | ProviderError::Internal(_) => {
                tracing::error!(%error, "a change could not be made");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let answer = Self::new(status, error.to_string());
        match &error {
            ProviderError::NoFunction(id) => answer.about(id),
            _ => answer,
        }
    }
}
