//! From a request to the one who answers it. Pure: a head in, a verdict out.
//!
//! Paths are bytes and stay so: nothing is decoded or normalised, so no spelling of one route can
//! turn into another. What stands behind the function's name is the function's business.

mod name;

use wire::RequestHead;

use crate::failure::Failure;

pub use name::{DEFAULT_NAMESPACE, is_function_name};

/// Who answers, and at which path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'b> {
    /// A function.
    Function {
        /// As it stands in the URL: `NAME` or `NAME.NAMESPACE`.
        name: &'b str,
        /// What the function sees as path and query; where it does not begin with `/`, one goes
        /// before it.
        path: &'b [u8],
    },
    /// The control plane, at the path that came.
    Control,
}

/// Routes a request.
///
/// # Errors
/// [`Failure::UnknownPath`] and its like: what the client is to be told.
pub fn route<'b>(head: &RequestHead<'b>) -> Result<Route<'b>, Failure> {
    let target = head.target;
    if let Some(rest) = target.strip_prefix(b"/function/") {
        return function(rest);
    }
    let path = head.path();
    if path == b"/" {
        return root(head);
    }
    if is_control(path) {
        return Ok(Route::Control);
    }
    if path.starts_with(b"/async-function/") {
        return Err(Failure::AsyncNotOffered);
    }
    Err(Failure::UnknownPath)
}

/// `/`: a call in the manner of 2017 where `X-Function` names a function, else the way to the UI.
fn root<'b>(head: &RequestHead<'b>) -> Result<Route<'b>, Failure> {
    match head.headers.get("x-function") {
        Some(_) if head.method.as_str() != "POST" => Err(Failure::MethodNotAllowed("POST")),
        Some(name) => match std::str::from_utf8(name) {
            Ok(name) if is_route_name(name) => Ok(Route::Function {
                name,
                path: head.target,
            }),
            _ => Err(Failure::UnknownFunction),
        },
        None if head.method.as_str() == "POST" => Err(Failure::NoFunctionNamed),
        None => Ok(Route::Control),
    }
}

/// `rest` is what follows `/function/`.
fn function(rest: &[u8]) -> Result<Route<'_>, Failure> {
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (name, path) = rest.split_at(end);
    match std::str::from_utf8(name) {
        Ok(name) if is_route_name(name) => Ok(Route::Function { name, path }),
        _ => Err(Failure::UnknownFunction),
    }
}

/// The characters of a function's name in a URL, where a dot divides name and namespace.
fn is_route_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(allowed)
}

fn is_control(path: &[u8]) -> bool {
    let below = |prefix: &[u8]| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    below(b"/system") || below(b"/ui") || path == b"/healthz" || path == b"/metrics"
}

#[cfg(test)]
mod tests;
