//! The exchange over TLS, by `ureq`: the body first, then the answer.

use std::io::Read;
use std::time::Duration;

use ureq::http::{self, HeaderName, HeaderValue};
use ureq::{Agent, SendBody};

use super::{Body, Request, Response};
use crate::address::Address;
use crate::client::{CONNECT_SECONDS_MAX, unreachable, user_agent};
use crate::exit::Failure;

pub(super) fn exchange(address: &Address, request: Request) -> Result<Response, Failure> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .user_agent(user_agent())
        .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS_MAX)))
        .build()
        .new_agent();
    let mut built = http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("{address}{}", request.target));
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|error| Failure::usage(error.to_string()))?;
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|error| Failure::usage(error.to_string()))?;
        built = built.header(name, value);
    }
    let body = match request.body {
        Body::None => SendBody::none(),
        Body::Sized(length, body) => {
            built = built.header("Content-Length", length);
            SendBody::from_owned_reader(body.take(length))
        }
        Body::Chunked(body) => SendBody::from_owned_reader(body),
    };
    let built = built
        .body(body)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let response = agent
        .run(built)
        .map_err(|error| unreachable(address, &error.to_string()))?;
    let (head, body) = response.into_parts();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Ok(Response {
        status: head.status.as_u16(),
        headers,
        body: Box::new(body.into_with_config().limit(u64::MAX).reader()),
    })
}
