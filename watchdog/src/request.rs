//! What is kept of a request's head once its bytes are let go.

use std::cell::Cell;
use std::time::Duration;

use conduit::offered_protocol;
use wire::{Framing, RequestHead, Version};

use crate::config::parse_duration;
use crate::metrics::MethodLabel;

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/_/health`.
    Health,
    /// `/_/ready`.
    Ready,
    /// Anything else is the function's.
    Function,
}

/// A request without its body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) route: Route,
    pub(crate) framing: Framing,
    /// For the metrics.
    pub(crate) method: MethodLabel,
    /// Of the answer, once it has begun: whoever writes its head sets this. 0 before.
    pub(crate) status: Cell<u16>,
    /// GET or HEAD.
    pub(crate) is_read: bool,
    /// HEAD: the answer has no body.
    pub(crate) is_head: bool,
    /// Sent twice it does what it does once, RFC 9110 §9.2.2.
    pub(crate) is_idempotent: bool,
    /// The client offers to switch to WebSocket, the one offer that is passed on.
    pub(crate) offers_websocket: bool,
    pub(crate) version: Version,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    /// Whether errors should be JSON.
    pub(crate) accepts_json: bool,
    pub(crate) content_type: Option<Vec<u8>>,
    pub(crate) call_id: Option<Vec<u8>>,
    /// `X-Timeout`, or its text if it is not a duration.
    pub(crate) time_limit: Option<Result<Duration, String>>,
}

impl Request {
    pub(crate) fn from_head(head: &RequestHead<'_>) -> Self {
        let (mut content_type, mut call_id, mut time_limit) = (None, None, None);
        let mut accepts_json = false;
        // One walk for all of them; of several lines the first counts.
        for header in &head.headers {
            let place = match header.name.len() {
                6 if header.is("accept") => {
                    accepts_json |= wire::names_json(header.value);
                    continue;
                }
                9 if header.is("x-call-id") => &mut call_id,
                9 if header.is("x-timeout") => &mut time_limit,
                12 if header.is("content-type") => &mut content_type,
                _ => continue,
            };
            place.get_or_insert(header.value);
        }
        Self {
            route: match head.path() {
                b"/_/health" => Route::Health,
                b"/_/ready" => Route::Ready,
                _ => Route::Function,
            },
            framing: head.framing,
            method: MethodLabel::of(head.method),
            status: Cell::new(0),
            is_head: head.method.is_head(),
            is_read: head.method.is_head() || head.method.as_str() == "GET",
            is_idempotent: head.method.is_idempotent(),
            offers_websocket: offered_protocol(head).is_some(),
            version: head.version,
            keep_alive: head.keep_alive,
            expects_continue: head.expect_continue,
            accepts_json,
            content_type: content_type.map(<[u8]>::to_vec),
            call_id: call_id.map(<[u8]>::to_vec),
            time_limit: time_limit.map(read_limit),
        }
    }
}

fn read_limit(value: &[u8]) -> Result<Duration, String> {
    let text = String::from_utf8_lossy(value);
    parse_duration(&text)
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Limits, Parsed};

    fn request(text: &str) -> Request {
        match wire::parse_request(text.as_bytes(), &Limits::DEFAULT).unwrap() {
            Parsed::Complete { head, .. } => Request::from_head(&head),
            Parsed::Partial => panic!("the test's head is not complete"),
        }
    }

    #[test]
    fn routes_by_the_path_alone() {
        let route = |target| request(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).route;
        assert_eq!(route("/_/health"), Route::Health);
        assert_eq!(route("/_/ready?x=1"), Route::Ready);
        assert_eq!(route("/_/healthy"), Route::Function);
        assert_eq!(route("/"), Route::Function);
    }

    #[test]
    fn keeps_what_the_answer_needs() {
        let request = request(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nAccept: text/html, Application/JSON;q=0.5\r\n\
             Content-Type: text/csv\r\nX-Call-Id: 17\r\nX-Timeout: 1500ms\r\n\r\n",
        );
        assert_eq!(request.framing, Framing::Length(3));
        assert!(request.accepts_json && request.keep_alive && !request.is_head);
        assert_eq!(request.content_type.as_deref(), Some(&b"text/csv"[..]));
        assert_eq!(request.call_id.as_deref(), Some(&b"17"[..]));
        assert_eq!(request.time_limit, Some(Ok(Duration::from_millis(1500))));
    }

    #[test]
    fn a_time_limit_must_be_a_duration_above_zero() {
        for (text, want) in [("0", None), ("soon", None), ("2", Some(2))] {
            let request = request(&format!(
                "GET / HTTP/1.1\r\nHost: x\r\nX-Timeout: {text}\r\n\r\n"
            ));
            let want = want.map(Duration::from_secs).ok_or_else(|| text.to_owned());
            assert_eq!(request.time_limit, Some(want));
        }
    }
}
