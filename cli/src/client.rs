//! The gateway's `/system` API as the verbs see it: one call, one answer, one kind of failure.
//!
//! It is built on `ureq`, which blocks: a command asks one thing at a time, so a runtime would only
//! cost start-up time. Invoking a function is not done here, since a request and a response that
//! stream at the same time need two directions at once (`duplex`). Credentials enter through
//! `Address` alone.

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, RequestBuilder};

use crate::address::{Address, VARIABLE, percent_encode};
use crate::exit::{Exit, Failure};

/// Longest answer of the API that is read, in bytes: 10,000 functions of 6 KiB.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How long a connection may take to come about, in seconds.
pub(crate) const CONNECT_SECONDS_MAX: u64 = 5;

/// How long the gateway may take to answer a `/system` call. A deploy waits for an fsync, not for a
/// replica.
const ANSWER_SECONDS_MAX: u64 = 60;

/// How a verb changes a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Create.
    Post,
    /// Replace.
    Put,
    /// Remove.
    Delete,
}

/// What the gateway said, whatever the status.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A connection to one gateway.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    address: Address,
}

impl Client {
    /// A client for the gateway at `address`. Nothing is sent yet.
    pub(crate) fn new(address: Address) -> Self {
        Self::with_limit(address, Duration::from_secs(ANSWER_SECONDS_MAX))
    }

    /// The same with another time limit for the head of an answer.
    pub(crate) fn with_limit(address: Address, answer_max: Duration) -> Self {
        // A proxy from the environment is for the world outside: plain `http` to a gateway goes
        // straight there, as `invoke` does, and so nothing on this machine is ever asked of a
        // proxy.
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(user_agent())
            .accept("application/json")
            .timeout_connect(Some(
                Duration::from_secs(CONNECT_SECONDS_MAX).min(answer_max),
            ))
            .timeout_recv_response(Some(answer_max));
        if !address.tls() {
            config = config.proxy(None);
        }
        Self {
            agent: config.build().new_agent(),
            address,
        }
    }

    /// The gateway that this client talks to.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a change with a JSON body and reads the whole answer.
    ///
    /// # Errors
    /// Unavailable, timeout or protocol; a status is never an error here.
    pub(crate) fn change(
        &self,
        change: Change,
        path: &str,
        query: &Query,
        body: &impl Serialize,
    ) -> Result<Answer, Failure> {
        let url = self.url(path, query);
        let request = match change {
            Change::Post => self.agent.post(url),
            Change::Put => self.agent.put(url),
            // The API names what to delete in the body, which DELETE may have (RFC 9110 §9.3.5).
            Change::Delete => self.agent.delete(url).force_send_body(),
        };
        let json = serde_json::to_vec(body)
            .map_err(|error| Failure::data(format!("cannot write the request as JSON: {error}")))?;
        self.finish(
            self.identified(request)
                .content_type("application/json")
                .send(&json),
        )
    }

    /// Reads a resource, whatever the status.
    ///
    /// # Errors
    /// As [`Client::change`].
    pub(crate) fn look(&self, path: &str, query: &Query) -> Result<Answer, Failure> {
        self.finish(
            self.identified(self.agent.get(self.url(path, query)))
                .call(),
        )
    }

    /// Reads the whole body of an answer.
    fn finish(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Answer, Failure> {
        let mut response = sent.map_err(|error| self.transport(&error))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| self.transport(&error))?;
        Ok(Answer {
            status: response.status(),
            body,
        })
    }

    /// The request with the gateway's credentials, if there are any.
    fn identified<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match self.address.authorization() {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }

    /// Reads a resource as JSON.
    ///
    /// # Errors
    /// What [`Client::change`] gives; a status that is not 2xx; JSON of another shape.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, query: &Query) -> Result<T, Failure> {
        let answer = self.get_raw(path, query)?;
        serde_json::from_slice(&answer).map_err(|error| {
            Failure::new(
                Exit::Protocol,
                format!(
                    "{} does not answer {path} as a gateway does: {error}",
                    self.address
                ),
            )
        })
    }

    /// Reads a resource as the bytes that the gateway sent, for `--json`.
    ///
    /// # Errors
    /// What [`Client::change`] gives; a status that is not 2xx.
    pub(crate) fn get_raw(&self, path: &str, query: &Query) -> Result<Vec<u8>, Failure> {
        let answer = self.look(path, query)?;
        if answer.status.is_success() {
            Ok(answer.body)
        } else {
            Err(refusal(answer.status, &answer.body))
        }
    }

    /// Opens a resource that does not end by itself; bytes are there as soon as the gateway sends
    /// them.
    ///
    /// # Errors
    /// What [`Client::change`] gives; a status that is not 2xx.
    pub(crate) fn open(&self, path: &str, query: &Query) -> Result<impl Read + use<>, Failure> {
        let request = self
            .identified(self.agent.get(self.url(path, query)))
            .header("Accept", "application/x-ndjson, application/json");
        let response = request.call().map_err(|error| self.transport(&error))?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(body.into_with_config().limit(u64::MAX).reader());
        }
        let reason = body
            .into_with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .unwrap_or_default();
        Err(refusal(head.status, &reason))
    }

    fn url(&self, path: &str, query: &Query) -> String {
        format!("{}{path}{}", self.address, query.text())
    }

    /// Words for a request that got no answer.
    fn transport(&self, error: &ureq::Error) -> Failure {
        let gateway = &self.address;
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => Failure::new(
                Exit::Unavailable,
                format!("no connection to the gateway at {gateway} in time"),
            ),
            ureq::Error::Timeout(_) => Failure::new(
                Exit::Timeout,
                format!("the gateway at {gateway} gave no answer in time ({error})"),
            ),
            ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::BodyExceedsLimit(_) => {
                Failure::new(
                    Exit::Protocol,
                    format!("what answers at {gateway} is not a gateway: {error}"),
                )
            }
            ureq::Error::Io(cause) => unreachable(gateway, &cause.to_string()),
            _ => unreachable(gateway, &error.to_string()),
        }
    }
}

/// The failure of a gateway that is not there, with what to do about it.
pub(crate) fn unreachable(gateway: &Address, reason: &str) -> Failure {
    Failure::new(
        Exit::Unavailable,
        format!(
            "cannot reach the gateway at {gateway}: {reason}\n\
             Start one with `ringway up`, or say where it is with --gateway or {VARIABLE}."
        ),
    )
}

/// The failure of a request that was answered with a status that is not 2xx.
pub(crate) fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let exit = if matches!(status.as_u16(), 401 | 403) {
        Exit::Denied
    } else {
        Exit::Refused
    };
    let reason = explanation(body);
    let status = status_words(status);
    if reason.is_empty() {
        Failure::new(exit, format!("the gateway answered {status}"))
    } else {
        Failure::new(exit, format!("the gateway answered {status}: {reason}"))
    }
}

/// A status as people say it: `404 Not Found`.
pub(crate) fn status_words(status: StatusCode) -> String {
    format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or("")
    )
    .trim_end()
    .to_owned()
}

/// What an error body says, in one line: the sentences of a JSON object, or the text itself.
pub(crate) fn explanation(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let fields = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(serde_json::Value::Object(object)) => ["error", "message", "reason", "hint"]
            .iter()
            .filter_map(|key| object.get(*key).and_then(serde_json::Value::as_str))
            .collect::<Vec<_>>()
            .join(" — "),
        Ok(serde_json::Value::String(sentence)) => sentence,
        _ => String::new(),
    };
    if fields.is_empty() {
        text.trim().to_owned()
    } else {
        fields
    }
}

/// `User-Agent` of every request.
pub(crate) fn user_agent() -> String {
    format!("ringway/{}", env!("CARGO_PKG_VERSION"))
}

/// A query string in the making; pairs without a value are left out by the caller.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Adds `key=value`.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.push((key.to_owned(), value.into()));
        self
    }

    /// Adds `key=value` if there is a value.
    #[must_use]
    pub(crate) fn with_some(self, key: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Empty, or `?` and the encoded pairs.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (index, (key, value)) in self.0.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(&percent_encode(key));
            text.push('=');
            text.push_str(&percent_encode(value));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_body_becomes_one_sentence() {
        assert_eq!(explanation(b"no such function\n"), "no such function");
        assert_eq!(
            explanation(br#"{"function":"x","error":"unknown","hint":"deploy it"}"#),
            "unknown — deploy it"
        );
        assert_eq!(explanation(br#""quoted""#), "quoted");
        assert_eq!(explanation(br#"{"code":1}"#), r#"{"code":1}"#);
        assert_eq!(explanation(b""), "");
    }

    #[test]
    fn credentials_that_are_refused_have_a_code_of_their_own() {
        assert_eq!(refusal(StatusCode::UNAUTHORIZED, b"").exit(), Exit::Denied);
        let missing = refusal(StatusCode::NOT_FOUND, b"gone");
        assert_eq!(
            (missing.exit(), missing.to_string()),
            (
                Exit::Refused,
                "the gateway answered 404 Not Found: gone".to_owned()
            )
        );
    }

    #[test]
    fn a_query_is_encoded() {
        let query = Query::default()
            .with("since", "2026-11-25T08:00:00+01:00")
            .with_some("name", None::<String>)
            .with("tail", "5");
        assert_eq!(
            query.text(),
            "?since=2026-11-25T08%3A00%3A00%2B01%3A00&tail=5"
        );
        assert_eq!(Query::default().text(), "");
    }
}
