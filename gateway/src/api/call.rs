//! One request as a handler sees it: the name in its path, its query, its whole body.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    StatusCode,
    body::{Body, Bytes},
};
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::provider::{FunctionId, ProviderError};

/// The largest body: a deployment of any sensible size is a hundredth of it.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request that has a route.
#[derive(Debug)]
pub(super) struct Call {
    /// The name in the path, empty where the route has none.
    pub(super) name: String,
    query: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    /// Reads the rest of a request.
    ///
    /// # Errors
    /// 413 for a body that is too large, 400 for one that breaks off.
    pub(super) async fn read<B>(name: String, query: &str, body: B) -> Result<Self, ApiError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let body = Limited::new(body, BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    let message = format!("the body is larger than {BODY_BYTES_MAX} bytes");
                    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
                } else {
                    ApiError::bad_request(format!("the body broke off: {error}"))
                }
            })?
            .to_bytes();
        Ok(Self {
            name,
            query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            body,
        })
    }

    /// A parameter of the query; one without a value is not there.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// A parameter that says yes or no; not there means no.
    ///
    /// # Errors
    /// 400 for anything else.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.param(name) {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(other) => Err(ApiError::bad_request(format!(
                "{name}: '{}' is neither true (1) nor false (0)",
                other.escape_default()
            ))),
        }
    }

    /// The function that `name` means, `NAME` or `NAME.NAMESPACE`, with the namespace of the
    /// body or of the query.
    ///
    /// # Errors
    /// 400 for what is no name.
    pub(super) fn function(&self, name: &str, in_body: &str) -> Result<FunctionId, ProviderError> {
        let namespace = if in_body.is_empty() {
            self.param("namespace").unwrap_or_default()
        } else {
            in_body
        };
        FunctionId::parse(name, namespace)
    }

    /// Whether there is a body at all.
    pub(super) fn has_body(&self) -> bool {
        !self.body.trim_ascii().is_empty()
    }

    /// The body as JSON; fields that are not known are ignored.
    ///
    /// # Errors
    /// 400 with the field, line and column.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if !self.has_body() {
            return Err(ApiError::bad_request(
                "the request needs a JSON object as its body, and has none".to_owned(),
            ));
        }
        // A list would do for a struct, by the order of its fields; nobody means that.
        if self.body.trim_ascii_start().starts_with(b"[") {
            let message = "the body is a list where an object belongs, at line 1 column 1";
            return Err(ApiError::bad_request(message.to_owned()));
        }
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            let what = error.into_inner();
            // The root itself is written as a dot.
            let field = if field == "." {
                String::new()
            } else {
                format!("{field}: ")
            };
            ApiError::bad_request(format!("the body is not what it should be: {field}{what}"))
        })?;
        json.end().map_err(|error| {
            ApiError::bad_request(format!("the body has more than one value: {error}"))
        })?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::FunctionDeployment;
    use http_body_util::Full;

    async fn call(query: &str, body: &str) -> Result<Call, ApiError> {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        Call::read(String::new(), query, body).await
    }

    #[tokio::test]
    async fn a_query_is_decoded() {
        let call = call(
            "name=wc&since=2026-01-01T00%3A00%3A00%2B02%3A00&tail=&follow=1",
            "",
        )
        .await
        .unwrap();
        assert_eq!(call.param("since"), Some("2026-01-01T00:00:00+02:00"));
        assert_eq!(call.param("tail"), None);
        assert!(call.flag("follow").unwrap());
        assert!(!call.flag("usage").unwrap());
        call.flag("name").unwrap_err();
    }

    #[tokio::test]
    async fn wrong_json_is_told_with_line_column_and_field() {
        let cases = [
            (
                "{\n  \"service\": \"wc\",\n  \"limits\": {\"memory\": 5}\n}",
                &["limits.memory", "line 3 column"][..],
            ),
            (
                "{\"service\": \"wc\", \"envVars\": {\"A\": 1}}",
                &["envVars.A", "line 1 column"],
            ),
            ("{\"service\": \"wc\"", &["line 1 column"]),
            ("[]", &["line 1 column", "object"]),
            ("{} {}", &["more than one value", "line 1 column"]),
            ("", &["needs a JSON object"]),
        ];
        for (body, wanted) in cases {
            let error = call("", body)
                .await
                .unwrap()
                .json::<FunctionDeployment>()
                .unwrap_err();
            let text = error.to_string();
            for part in wanted {
                assert!(text.contains(part), "{body}: {text}");
            }
        }
    }

    #[tokio::test]
    async fn a_body_has_its_bound() {
        call("", &" ".repeat(BODY_BYTES_MAX)).await.unwrap();
        let error = call("", &" ".repeat(BODY_BYTES_MAX + 1)).await.unwrap_err();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
