//! Every route of the control plane, in one table: method, path, who may call it, who answers.
//!
//! Routes of the original that are missing here (secrets, alert, asynchronous calls, the web
//! page) come with their own issues and answer 404 until then.

use std::{future::Future, pin::Pin, rc::Rc};

use hyper::{Method, Response};

use super::{Api, ApiError, Call, functions, info, logs, namespaces, reply::ReplyBody};

/// The future of an answer.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, ApiError>>>>;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Open,
    /// Who may administer the gateway; read by the issue that brings authentication.
    Admin,
}

/// One row.
pub(super) struct Route {
    pub(super) method: Method,
    /// Segments; `{}` stands for a name.
    pub(super) path: &'static str,
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "authentication reads it; declared here from the start so that no route is forgotten"
        )
    )]
    pub(super) access: Access,
    pub(super) handler: fn(Rc<Api>, Call) -> Answering,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:ident $handler:path;)*) => {
        [$(Route {
            method: Method::$method,
            path: $path,
            access: Access::$access,
            handler: |api, call| Box::pin($handler(api, call)),
        },)*]
    };
}

pub(super) static ROUTES: [Route; 17] = routes! {
    GET    "/healthz"                   Open  info::health;
    GET    "/metrics"                   Open  info::metrics;
    GET    "/system/info"               Admin info::info;
    GET    "/system/functions"          Admin functions::list;
    POST   "/system/functions"          Admin functions::deploy;
    PUT    "/system/functions"          Admin functions::update;
    DELETE "/system/functions"          Admin functions::remove;
    GET    "/system/function/{}"        Admin functions::describe;
    POST   "/system/scale-function/{}"  Admin functions::scale;
    GET    "/system/logs"               Admin logs::logs;
    GET    "/system/namespaces"         Admin namespaces::list;
    GET    "/system/namespace/{}"       Admin namespaces::describe;
    POST   "/system/namespace/{}"       Admin namespaces::create;
    PUT    "/system/namespace/{}"       Admin namespaces::update;
    DELETE "/system/namespace/{}"       Admin namespaces::remove;
    // The spelling without a name, which some clients use to create one.
    POST   "/system/namespace/"         Admin namespaces::create;
    PUT    "/system/namespace/"         Admin namespaces::update;
};

/// What the table says of a request.
pub(super) enum Lookup {
    /// A row, and the name in the path.
    Found(&'static Route, String),
    /// The path is there for these methods only, as in `Allow`.
    OtherMethods(String),
    /// No such path.
    Nothing,
}

/// Looks a request up. A route for GET answers HEAD too (RFC 9110, section 9.3.2); the server
/// leaves the body out.
pub(super) fn find(method: &Method, path: &str) -> Lookup {
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut allow = Vec::new();
    for route in &ROUTES {
        let Some(name) = matches(route.path, path) else {
            continue;
        };
        if route.method == *method {
            return Lookup::Found(route, name.to_owned());
        }
        allow.push(route.method.as_str());
        if route.method == Method::GET {
            allow.push("HEAD");
        }
    }
    if allow.is_empty() {
        Lookup::Nothing
    } else {
        Lookup::OtherMethods(allow.join(", "))
    }
}

/// The name in the path if it fits the pattern; no name is the empty one.
fn matches<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.strip_suffix("{}") {
        Some(prefix) => path
            .strip_prefix(prefix)
            .filter(|name| !name.is_empty() && !name.contains('/')),
        None => (pattern == path).then_some(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_system_is_for_administrators_and_nothing_else_is() {
        for route in &ROUTES {
            let system = route.path.starts_with("/system/");
            assert_eq!(route.access == Access::Admin, system, "{}", route.path);
        }
    }

    #[test]
    fn each_row_is_found_by_its_own_path() {
        for route in &ROUTES {
            let path = route.path.replace("{}", "wc");
            let Lookup::Found(found, name) = find(&route.method, &path) else {
                panic!("{path} is not found");
            };
            assert_eq!((found.path, &found.method), (route.path, &route.method));
            assert_eq!(name == "wc", route.path.ends_with("{}"));
        }
    }

    #[test]
    fn other_methods_are_told_which_are_allowed() {
        let Lookup::OtherMethods(allow) = find(&Method::PATCH, "/system/functions") else {
            panic!("PATCH is not known");
        };
        assert_eq!(allow, "GET, HEAD, POST, PUT, DELETE");
        assert!(matches!(
            find(&Method::HEAD, "/system/info"),
            Lookup::Found(..)
        ));
    }

    #[test]
    fn what_is_not_in_the_table_is_nowhere() {
        for path in [
            "/",
            "/system",
            "/system/functions/",
            "/system/function/",
            "/system/function/a/b",
            "/system/secrets",
            "/system/infos",
        ] {
            assert!(
                matches!(find(&Method::GET, path), Lookup::Nothing),
                "{path}"
            );
        }
    }
}
