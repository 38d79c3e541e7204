//! The `/system` API: hyper on a private Unix socket, reached by clients through the data plane
//! like any function.
//!
//! `table` is the one list of routes; a handler gets a `Call` (name from the path, query, whole
//! body) and gives a `Reply` or an `ApiError`, which `error` alone turns into a status.
//!
//! A call that changes something is carried out even if its client leaves: handlers run as
//! tasks of their own, so a deploy is never cut off between the disk and the processes.
//!
//! What it does not do: decide; the provider does. Authentication comes with its own issue and
//! has its column in the table already.

mod call;
mod error;
mod functions;
mod info;
mod logs;
mod namespaces;
mod reply;
mod table;

use std::{io, rc::Rc, sync::Arc, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{UnixListener, UnixStream},
    task::spawn_local,
};

use crate::{
    control::{Routes, Statics},
    provider::Provider,
    shared::Shared,
};

use call::Call;
use error::ApiError;
pub(crate) use info::About;
use reply::{Form, ReplyBody};
use table::Lookup;

/// After an accept that failed for want of descriptors or memory, which others will give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What handlers work with. One per gateway, on the control thread.
pub(crate) struct Api {
    pub(crate) provider: Rc<dyn Provider>,
    pub(crate) routes: Rc<Routes>,
    pub(crate) statics: Statics,
    pub(crate) shared: Arc<Shared>,
    pub(crate) about: About,
}

impl Api {
    /// Serves connections of the data plane, for ever.
    pub(crate) async fn serve(self: Rc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _unnamed)) => {
                    spawn_local(Rc::clone(&self).connection(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "the control plane cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Rc<Self>, stream: UnixStream) {
        let service = service_fn(|request: Request<Incoming>| {
            let task = spawn_local(Rc::clone(&self).answer(request));
            async move {
                // No answer only where the runtime is being ended. A panic ends the whole gateway
                // in a release build, and in others breaks off this connection.
                task.await.map_err(io::Error::other)
            }
        });
        let served = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection to the control plane broke");
        }
    }

    /// Answers one request; whatever is wrong with it becomes an answer too.
    pub(crate) async fn answer<B>(self: Rc<Self>, request: Request<B>) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let form = Form::wanted_by(request.headers());
        match self.dispatch(request).await {
            Ok(reply) => reply,
            Err(error) => error.into_response(form),
        }
    }

    async fn dispatch<B>(
        self: Rc<Self>,
        request: Request<B>,
    ) -> Result<Response<ReplyBody>, ApiError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let (route, name) = match table::find(&head.method, head.uri.path()) {
            Lookup::Found(route, name) => (route, name),
            Lookup::OtherMethods(allow) => return Err(ApiError::method(head.uri.path(), allow)),
            Lookup::Nothing => return Err(ApiError::no_route(head.uri.path())),
        };
        let call = Call::read(name, head.uri.query().unwrap_or_default(), body).await?;
        (route.handler)(self, call).await
    }
}

#[cfg(test)]
mod tests;
