//! Deploying one function through the gateway's API, as `ringway deploy` and `ringway up` do it.
//!
//! The order is that of OpenFaaS's CLI: `PUT` first, since an update is the common case, then
//! `POST` when the gateway does not know the function. Nothing is printed here.

use serde_json::Value;

use crate::client::{Change, Client, Query, explanation, refusal};
use crate::exit::Failure;
use crate::function::{Deployment, Status};

/// What a deploy may do to a function that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Bring it up to date.
    Update,
    /// Bring it up to date, but not if that would change nothing.
    UpdateIfDifferent,
    /// Leave the decision to the gateway, which refuses to create it twice.
    Create,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What was done.
    pub action: Action,
    /// What the gateway wants the deployer to know.
    pub warnings: Vec<String>,
}

/// What a deploy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The function is new.
    Created,
    /// The function was there and is replaced.
    Updated,
    /// The function was there and equal.
    Unchanged,
}

impl Action {
    /// As a word in a sentence and in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Deploys `wanted`.
///
/// # Errors
/// Those of a client call, and `Refused` when the gateway does not accept the function.
pub(crate) fn deploy(
    client: &Client,
    wanted: &Deployment,
    existing: Existing,
) -> Result<Outcome, Failure> {
    let query = Query::default().with_some("namespace", wanted.namespace.as_deref());
    if existing == Existing::UpdateIfDifferent {
        let path = format!("/system/function/{}", wanted.service);
        let answer = client.look(&path, &query)?;
        let same = answer.status.is_success()
            && serde_json::from_slice::<Status>(&answer.body)
                .is_ok_and(|status| status.equals(wanted));
        if same {
            return Ok(Outcome {
                action: Action::Unchanged,
                warnings: Vec::new(),
            });
        }
    }
    if existing != Existing::Create {
        let answer = client.change(Change::Put, "/system/functions", &Query::default(), wanted)?;
        if answer.status.is_success() {
            return Ok(Outcome {
                action: Action::Updated,
                warnings: warnings(&answer.body),
            });
        }
        if answer.status.as_u16() != 404 {
            return Err(refusal(answer.status, &answer.body));
        }
    }
    let answer = client.change(Change::Post, "/system/functions", &Query::default(), wanted)?;
    if answer.status.is_success() {
        Ok(Outcome {
            action: Action::Created,
            warnings: warnings(&answer.body),
        })
    } else {
        Err(refusal(answer.status, &answer.body))
    }
}

/// The warnings in a gateway's answer: `{"warnings": […]}` or `{"warning": "…"}`, or text.
fn warnings(body: &[u8]) -> Vec<String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => {
            let list = object
                .get("warnings")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            list.into_iter()
                .chain(object.get("warning").cloned())
                .filter_map(|warning| warning.as_str().map(str::to_owned))
                .collect()
        }
        Ok(Value::Null) => Vec::new(),
        _ => Some(explanation(body))
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_found_in_every_form() {
        assert_eq!(warnings(br#"{"warnings":["a","b"],"x":1}"#), ["a", "b"]);
        assert_eq!(warnings(br#"{"warning":"a"}"#), ["a"]);
        assert_eq!(
            warnings(b"memory limit is not enforced\n"),
            ["memory limit is not enforced"]
        );
        for quiet in [&b""[..], b"{}", b"null", b"  \n"] {
            assert_eq!(warnings(quiet), Vec::<String>::new());
        }
    }
}
