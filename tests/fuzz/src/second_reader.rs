//! hyper as a judge: one connection with the bytes of an input, and what its service is given.
//!
//! hyper splits heads with httparse, as `wire` does, so agreement about a single line proves
//! little; what it proves is that both find the same message in the same bytes: the same fields,
//! the same body, and the next request at the same place.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};

/// A request as hyper read it.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query, or `*`.
    pub target: String,
    /// Names in lower case with their values, sorted.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body out of its framing; `None` if it broke off or was malformed.
    pub body: Option<Vec<u8>>,
}

/// All requests that hyper finds in `input`, after which the connection ends.
#[must_use]
pub fn read(input: &[u8]) -> Vec<Seen> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request| {
        let seen = Rc::clone(&seen);
        async move {
            let request = note(request).await;
            seen.borrow_mut().push(request);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = http1::Builder::new()
        .half_close(true)
        .serve_connection(Feed(input.to_vec(), 0), service);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    // What hyper refuses is an error here, and simply not among what it has seen.
    runtime
        .expect("a runtime without a driver")
        .block_on(connection)
        .ok();
    seen.take()
}

async fn note(request: Request<Incoming>) -> Seen {
    let (parts, body) = request.into_parts();
    let mut headers: Vec<_> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    headers.sort();
    let mut target = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    // `http://host?query` has a path, although hyper keeps the query alone.
    if target.starts_with('?') {
        target.insert(0, '/');
    }
    Seen {
        method: parts.method.as_str().to_owned(),
        target,
        headers,
        body: body.collect().await.ok().map(|body| body.to_bytes().into()),
    }
}

/// A connection that brings these bytes and then ends, and takes whatever is written.
struct Feed(Vec<u8>, usize);

impl Read for Feed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let from = self.1;
        let count = buffer.remaining().min(self.0.len() - from);
        buffer.put_slice(&self.0[from..from + count]);
        self.1 += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Feed {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
