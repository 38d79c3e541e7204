//! Answers: a whole body, or log lines as they come.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header::{self, HeaderValue},
};
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use crate::provider::LogLine;

/// Between two empty lines of a log that has no news: less than the data plane's limit for a
/// body that stands still, and than that of proxies before it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Lines that go out as one piece.
const LINES_PER_FRAME: usize = 64;

/// Which form of an error a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object.
    Json,
    /// A line.
    Text,
}

impl Form {
    /// JSON where `Accept` names it, else a line for people; the data plane has the same rule.
    pub(super) fn wanted_by(headers: &HeaderMap) -> Self {
        let mut accepted = headers.get_all(header::ACCEPT).iter();
        let named = accepted.any(|value| wire::names_json(value.as_bytes()));
        if named { Self::Json } else { Self::Text }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// All of it; taken when it is sent.
    Whole(Option<Bytes>),
    /// Lines of JSON.
    Lines(Lines),
}

/// Log lines on their way.
#[derive(Debug)]
pub(crate) struct Lines {
    lines: mpsc::Receiver<LogLine>,
    keep_alive: Interval,
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<ReplyBody> {
    whole(status, None, Bytes::new())
}

/// An answer for people.
pub(super) fn text(status: StatusCode, text: String) -> Response<ReplyBody> {
    whole(status, Some("text/plain; charset=utf-8"), text.into())
}

/// An answer for programs.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<ReplyBody> {
    match serde_json::to_vec(value) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            whole(status, Some("application/json"), bytes.into())
        }
        // Our own types have text keys and finite numbers; this is for whoever changes them.
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// An answer of any type.
pub(super) fn whole(
    status: StatusCode,
    content_type: Option<&'static str>,
    body: Bytes,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::Whole(Some(body)));
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// Log lines as they come, with an empty line now and then while there are none, so that nobody
/// on the way takes the connection for dead.
pub(super) fn lines(lines: mpsc::Receiver<LogLine>) -> Response<ReplyBody> {
    let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut response = Response::new(ReplyBody::Lines(Lines { lines, keep_alive }));
    let value = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

impl Lines {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut lines = Vec::new();
        match self
            .lines
            .poll_recv_many(context, &mut lines, LINES_PER_FRAME)
        {
            Poll::Ready(0) => Poll::Ready(None),
            Poll::Ready(_) => {
                self.keep_alive.reset();
                let mut bytes = Vec::new();
                for line in &lines {
                    // A line is four texts; it cannot fail.
                    serde_json::to_writer(&mut bytes, line).ok();
                    bytes.push(b'\n');
                }
                Poll::Ready(Some(bytes.into()))
            }
            Poll::Pending => {
                std::task::ready!(self.keep_alive.poll_tick(context));
                Poll::Ready(Some(Bytes::from_static(b"\n")))
            }
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match self.get_mut() {
            Self::Whole(body) => body.take(),
            Self::Lines(lines) => std::task::ready!(lines.poll_next(context)),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Self::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Lines(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn json_is_for_those_who_name_it() {
        let form = |accept: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            Form::wanted_by(&headers)
        };
        assert_eq!(form(Some("application/json")), Form::Json);
        assert_eq!(
            form(Some("text/html, application/problem+JSON;q=0.5")),
            Form::Json
        );
        assert_eq!(form(Some("*/*")), Form::Text);
        assert_eq!(form(None), Form::Text);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_log_is_kept_alive_by_empty_lines() {
        let (sender, receiver) = mpsc::channel(4);
        let mut body = lines(receiver).into_body();
        let line = LogLine {
            name: "wc".to_owned(),
            namespace: "openfaas-fn".to_owned(),
            instance: "wc-1".to_owned(),
            timestamp: "2026-01-01T00:00:00Z".to_owned(),
            text: "a \"quoted\" line".to_owned(),
        };
        sender.send(line.clone()).await.unwrap();
        sender.send(line).await.unwrap();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let values: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(values.len(), 2);
        assert_eq!(values[1]["text"], "a \"quoted\" line");
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&frame[..], b"\n");
        drop(sender);
        assert!(body.frame().await.is_none());
    }
}
