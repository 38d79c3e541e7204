//! What the gateway says of itself: `/system/info`, `/healthz`, `/metrics`.

use std::rc::Rc;

use hyper::{Response, StatusCode};
use serde::Serialize;

use super::{Api, ApiError, Call, reply, reply::ReplyBody};
use crate::{
    GIT_SHA, VERSION,
    metrics::families::{self, DriverLabels},
};

/// What does not change while it runs.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// `ring`, `monoio-uring` or `epoll`.
    driver: String,
    /// Why that one, in a sentence.
    driver_reason: String,
    /// What is refused, in a word, if anything is.
    driver_cause: Option<&'static str>,
}

impl About {
    pub(crate) fn new(driver: &net::Driver) -> Self {
        Self {
            driver: driver.kind.to_string(),
            driver_reason: driver.reason.clone(),
            driver_cause: driver.cause.map(net::Cause::word),
        }
    }
}

#[derive(Serialize)]
struct Info<'a> {
    provider: ProviderInfo<'a>,
    version: Version<'a>,
    arch: &'a str,
    driver: DriverInfo<'a>,
}

#[derive(Serialize)]
struct ProviderInfo<'a> {
    provider: &'a str,
    orchestration: &'a str,
    version: Version<'a>,
}

#[derive(Serialize)]
struct Version<'a> {
    release: &'a str,
    sha: &'a str,
}

#[derive(Serialize)]
struct DriverInfo<'a> {
    name: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
}

/// Versions, provider and driver.
pub(super) async fn info(api: Rc<Api>, _call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let version = || Version {
        release: VERSION,
        sha: GIT_SHA,
    };
    let info = Info {
        provider: ProviderInfo {
            provider: "ringway",
            orchestration: api.provider.orchestration(),
            version: version(),
        },
        version: version(),
        arch: std::env::consts::ARCH,
        driver: DriverInfo {
            name: &api.about.driver,
            reason: &api.about.driver_reason,
            refused: api.about.driver_cause,
        },
    };
    Ok(reply::json(StatusCode::OK, &info))
}

/// Whether new requests should come here.
pub(super) async fn health(api: Rc<Api>, _call: Call) -> Result<Response<ReplyBody>, ApiError> {
    if api.shared.is_draining() {
        let message = "the gateway is about to leave".to_owned();
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message));
    }
    Ok(reply::text(StatusCode::OK, "OK\n".to_owned()))
}

/// All numbers, for Prometheus.
pub(super) async fn metrics(api: Rc<Api>, _call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let mut replicas = api.provider.list(None).await?;
    replicas.extend(api.statics.list(None));
    let mut wanted = Vec::with_capacity(replicas.len());
    for status in replicas {
        let id = crate::provider::FunctionId::new(&status.name, &status.namespace)?;
        wanted.push((id.to_string(), status.replicas));
    }
    let driver = DriverLabels {
        driver: &api.about.driver,
        refused: api.about.driver_cause.unwrap_or("nothing"),
    };
    let text = families::render(&api.shared, &wanted, &driver)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let content_type = Some(families::CONTENT_TYPE);
    Ok(reply::whole(StatusCode::OK, content_type, text.into()))
}
