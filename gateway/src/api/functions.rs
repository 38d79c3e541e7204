//! `/system/functions`, `/system/function/NAME`, `/system/scale-function/NAME`.

use std::rc::Rc;

use hyper::{Response, StatusCode};
use serde::Serialize;

use super::{Api, ApiError, Call, reply, reply::ReplyBody};
use crate::provider::{
    Deployed, FunctionDeployment, FunctionId, FunctionRemoval, FunctionStatus, ProviderError,
    ScaleRequest, or_default,
};

/// What a deploy is answered with. The original sends nothing that its clients read.
#[derive(Serialize)]
struct DeployedBody {
    function: String,
    changed: bool,
    warnings: Vec<String>,
}

/// All functions, by name; `?namespace=` chooses.
pub(super) async fn list(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let namespace = call.param("namespace");
    let mut all = api.provider.list(namespace).await?;
    all.extend(api.statics.list(namespace));
    all.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    for status in &mut all {
        count(&api, status)?;
    }
    Ok(reply::json(StatusCode::OK, &all))
}

/// One function; `?usage=1` adds what it takes.
pub(super) async fn describe(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let id = call.function(&call.name, "")?;
    let usage = call.flag("usage")?;
    let mut status = match api.statics.status(&id) {
        Some(status) => status,
        None => {
            let mut status = api.provider.status(&id).await?;
            if usage {
                status.usage = Some(api.provider.usage(&id).await?);
            }
            status
        }
    };
    count(&api, &mut status)?;
    Ok(reply::json(StatusCode::OK, &status))
}

/// Adds what the data plane counts.
fn count(api: &Api, status: &mut FunctionStatus) -> Result<(), ProviderError> {
    let id = FunctionId::new(&status.name, &status.namespace)?;
    status.invocation_count = api.routes.invocations(&id);
    Ok(())
}

/// Deploys a function that is not there yet.
pub(super) async fn deploy(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let (id, deployment) = deployment(&api, &call)?;
    let deployed = api.provider.deploy(deployment).await;
    accepted(&id, deployed)
}

/// Replaces a function that is there.
pub(super) async fn update(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let (id, deployment) = deployment(&api, &call)?;
    let deployed = api.provider.update(deployment).await;
    accepted(&id, deployed)
}

fn deployment(api: &Api, call: &Call) -> Result<(FunctionId, FunctionDeployment), ApiError> {
    let deployment: FunctionDeployment = call.json()?;
    let id = FunctionId::of(&deployment)?;
    api.statics
        .refuse(&id)
        .map_err(|error| ApiError::from(error).about(&id))?;
    Ok((id, deployment))
}

fn accepted(
    id: &FunctionId,
    deployed: Result<Deployed, ProviderError>,
) -> Result<Response<ReplyBody>, ApiError> {
    let deployed = deployed.map_err(|error| ApiError::from(error).about(id))?;
    tracing::info!(function = %id, changed = deployed.changed, "a function was deployed");
    for warning in &deployed.warnings {
        tracing::warn!(function = %id, warning, "a deploy is not taken in full");
    }
    let body = DeployedBody {
        function: id.to_string(),
        changed: deployed.changed,
        warnings: deployed.warnings,
    };
    Ok(reply::json(StatusCode::ACCEPTED, &body))
}

/// Removes a function.
pub(super) async fn remove(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let removal: FunctionRemoval = call.json()?;
    let id = call
        .function(&removal.function_name, &removal.namespace)
        .map_err(|error| error.with_field("name", "functionName"))?;
    let about = |error: ProviderError| ApiError::from(error).about(&id);
    api.statics.refuse(&id).map_err(about)?;
    api.provider.remove(&id).await.map_err(about)?;
    tracing::info!(function = %id, "a function was removed");
    Ok(reply::empty(StatusCode::ACCEPTED))
}

/// Says how many replicas a function is to have.
pub(super) async fn scale(api: Rc<Api>, call: Call) -> Result<Response<ReplyBody>, ApiError> {
    let request: ScaleRequest = call.json()?;
    let id = call.function(&call.name, &request.namespace)?;
    let about = |error: ProviderError| ApiError::from(error).about(&id);
    if !request.service_name.is_empty() {
        // The original reads the name in the body; a client that sends two names means neither.
        let named = call.function(&request.service_name, or_default(id.namespace()))?;
        if named != id {
            let why = format!("the path names '{id}' and the body '{named}'");
            return Err(about(ProviderError::invalid("serviceName", why)));
        }
    }
    let Some(replicas) = request.replicas else {
        let why = "say how many there are to be, 0 or more";
        return Err(about(ProviderError::invalid("replicas", why)));
    };
    api.statics.refuse(&id).map_err(about)?;
    api.provider.scale(&id, replicas).await.map_err(about)?;
    tracing::info!(function = %id, replicas, "a function was scaled");
    Ok(reply::empty(StatusCode::ACCEPTED))
}
