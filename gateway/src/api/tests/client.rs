//! A client of the API without a connection, and what it gets.

use std::{rc::Rc, sync::Arc};

use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes, header};
use serde_json::Value;
use tokio::task::LocalSet;

use crate::{
    api::{About, Api},
    control::{Routes, Statics, tests_routes as routes},
    limits::Limits,
    provider::local::{Context, LocalProvider, SpecStore, tests::fake::Fakes},
    shared::Shared,
};

/// An API on an empty directory, with one static server.
pub(super) struct Client {
    api: Rc<Api>,
    pub(super) shared: Arc<Shared>,
    pub(super) routes: Rc<Routes>,
    _dir: tempfile::TempDir,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: hyper::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Client {
    pub(super) async fn run(test: impl AsyncFnOnce(&Self)) {
        LocalSet::new()
            .run_until(async { test(&Self::new()).await })
            .await;
    }

    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shared = routes::shared();
        let routes = Rc::new(Routes::new(Arc::clone(&shared)));
        tokio::task::spawn_local(Rc::clone(&routes).publish_changes());
        let upstream = "static=unix:/nowhere".parse().unwrap();
        let statics = Statics::new(&[upstream], String::new()).unwrap();
        statics.route(&routes);
        let launcher = Box::new(Fakes::new());
        let context = Context::new(launcher, Rc::clone(&routes), Limits::default());
        let store = SpecStore::open(dir.path()).unwrap();
        let provider = LocalProvider::restore(store, Rc::new(context), &statics.ids()).unwrap();
        let driver = net::Driver::select(net::DriverChoice::Epoll).unwrap();
        let api = Rc::new(Api {
            provider: Rc::new(provider),
            routes: Rc::clone(&routes),
            statics,
            shared: Arc::clone(&shared),
            about: About::new(&driver),
        });
        Self {
            api,
            shared,
            routes,
            _dir: dir,
        }
    }

    pub(super) async fn send(&self, method: &str, path: &str, accept: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, accept)
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let (head, body) = Rc::clone(&self.api).answer(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(method, path, "application/json", &body).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Value::Null).await
    }

    /// Sends it and compares the status; gives the body of an error as text.
    pub(super) async fn expect(
        &self,
        status: u16,
        method: &str,
        path: &str,
        body: Value,
    ) -> String {
        let answer = self.call(method, path, body).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path}: {}",
            answer.text
        );
        answer.text
    }
}
