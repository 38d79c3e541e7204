//! Answers that the gateway gives by itself: errors, in the form that the client asked for.

use serde::Serialize;
use wire::{Headers, encode};

use crate::failure::Failure;

/// The JSON form of every error, of the data plane and of the API.
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    /// A sentence, which alone is the text form.
    pub(crate) error: &'a str,
    /// The function that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<&'a str>,
    /// The status of the answer once more, for who has only the body.
    pub(crate) status: u16,
}

/// Whether a request asks for JSON, by the rule of [`wire::names_json`].
pub(crate) fn wants_json(headers: &Headers<'_>) -> bool {
    headers.get_all("accept").any(wire::names_json)
}

/// Appends a whole response to `out`.
pub(crate) fn encode_failure(
    out: &mut Vec<u8>,
    failure: &Failure,
    function: Option<&str>,
    form: Form<'_>,
) {
    let message = failure.to_string();
    let status = failure.status();
    let json = form.json.then(|| {
        let body = ErrorBody {
            error: &message,
            function,
            status,
        };
        serde_json::to_string(&body)
    });
    let (content_type, body) = match json {
        Some(Ok(json)) => ("application/json", json + "\n"),
        _ => {
            let whom = function.map(|name| format!("{name}: ")).unwrap_or_default();
            ("text/plain; charset=utf-8", format!("{whom}{message}\n"))
        }
    };
    encode::status_line(out, status);
    encode::header(out, "Date", form.date);
    encode::header(out, "Content-Type", content_type);
    encode::header_u64(out, "Content-Length", body.len() as u64);
    if let Some((name, value)) = failure.header() {
        encode::header(out, name, value);
    }
    if let Some(call_id) = form.call_id {
        encode::header(out, "X-Call-Id", call_id);
    }
    if form.close {
        encode::header(out, "Connection", "close");
    }
    encode::end_of_headers(out);
    if !form.head_only {
        out.extend_from_slice(body.as_bytes());
    }
}

/// Appends the answer to a connection of which no request is known; it ends with this.
pub(crate) fn encode_parting(out: &mut Vec<u8>, failure: &Failure, date: &[u8]) {
    let form = Form {
        json: false,
        head_only: false,
        close: true,
        date,
        call_id: None,
    };
    encode_failure(out, failure, None, form);
}

/// How the answer is to be dressed.
pub(crate) struct Form<'a> {
    /// JSON or text.
    pub(crate) json: bool,
    /// The request was HEAD.
    pub(crate) head_only: bool,
    /// The connection ends after this.
    pub(crate) close: bool,
    /// The value of `Date`.
    pub(crate) date: &'a [u8],
    /// The id of the call, where it had one.
    pub(crate) call_id: Option<&'a [u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(failure: &Failure, json: bool) -> String {
        let mut out = Vec::new();
        let form = Form {
            json,
            head_only: false,
            close: true,
            date: b"Sun, 06 Nov 1994 08:49:37 GMT",
            call_id: None,
        };
        encode_failure(&mut out, failure, Some("wc"), form);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_one_line_that_names_the_function() {
        let text = encoded(&Failure::NoReplica, false);
        assert!(
            text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\nRetry-After: 1\r\n"), "{text}");
        assert!(
            text.contains("\r\n\r\nwc: the function has no replica"),
            "{text}"
        );
        assert_eq!(text.matches("\r\n\r\n").count(), 1);
    }

    #[test]
    fn json_names_function_and_status() {
        let text = encoded(&Failure::UnknownFunction, true);
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["function"], "wc");
        assert_eq!(body["status"], 404);
    }
}
