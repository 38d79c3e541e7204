//! `/system/namespaces` and `/system/namespace/NAME`.

use std::rc::Rc;

use hyper::{Response, StatusCode};

use super::{Api, ApiError, Call, reply, reply::ReplyBody};
use crate::provider::{Namespace, ProviderError};

/// The names of all.
pub(super) async fn list(api: Rc<Api>, _call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let all = api.provider.namespaces().await?;
    let names: Vec<_> = all.into_iter().map(|namespace| namespace.name).collect();
    Ok(reply::json(StatusCode::OK, &names))
}

/// One of them.
pub(super) async fn describe(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let all = api.provider.namespaces().await?;
    match all.iter().find(|namespace| namespace.name == call.name) {
        Some(namespace) => Ok(reply::json(StatusCode::OK, namespace)),
        None => Err(ProviderError::NoNamespace(call.name).into()),
    }
}

/// Creates one.
pub(super) async fn create(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    api.provider.put_namespace(namespace(&call)?, false).await?;
    Ok(reply::empty(StatusCode::CREATED))
}

/// Replaces the labels and annotations of one.
pub(super) async fn update(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    api.provider.put_namespace(namespace(&call)?, true).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

/// Removes one that has no functions.
pub(super) async fn remove(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    api.provider.remove_namespace(&call.name).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

/// The body, which may be left out when the path has the name.
fn namespace(call: &Call) -> Result<Namespace, ApiError> {
    let mut namespace = if call.has_body() {
        call.json()?
    } else {
        Namespace::default()
    };
    if namespace.name.is_empty() {
        namespace.name.clone_from(&call.name);
    } else if !call.name.is_empty() && namespace.name != call.name {
        let why = format!(
            "the path names '{}' and the body '{}'",
            call.name.escape_default(),
            namespace.name.escape_default()
        );
        return Err(ProviderError::invalid("name", why).into());
    }
    Ok(namespace)
}
