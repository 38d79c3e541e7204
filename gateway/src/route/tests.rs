//! Routes by example.

use wire::{Limits, Parsed, parse_request};

use super::*;

fn with_head<T>(request: &str, then: impl FnOnce(Result<Route<'_>, Failure>) -> T) -> T {
    let bytes = format!("{request}\r\nHost: x\r\n\r\n");
    match parse_request(bytes.as_bytes(), &Limits::DEFAULT) {
        Ok(Parsed::Complete { head, .. }) => then(route(&head)),
        other => panic!("{request}: {other:?}"),
    }
}

fn status(request: &str) -> u16 {
    with_head(request, |verdict| {
        verdict.map_or_else(|f| f.status(), |_| 200)
    })
}

#[test]
fn a_function_gets_the_path_and_query_behind_its_name() {
    for (target, name, path) in [
        ("/function/wc", "wc", ""),
        ("/function/wc/", "wc", "/"),
        ("/function/wc?a=b", "wc", "?a=b"),
        ("/function/wc/a/b?c=/d", "wc", "/a/b?c=/d"),
        ("/function/wc.staging/x", "wc.staging", "/x"),
        ("/function/wc/../other", "wc", "/../other"),
        ("/function/wc/..%2f..%2fsystem", "wc", "/..%2f..%2fsystem"),
        ("/function/wc//system/functions", "wc", "//system/functions"),
    ] {
        with_head(&format!("GET {target} HTTP/1.1"), |verdict| {
            let path = path.as_bytes();
            assert_eq!(verdict.unwrap(), Route::Function { name, path }, "{target}");
        });
    }
}

#[test]
fn the_control_plane_gets_its_own_paths_and_nothing_that_only_looks_alike() {
    for target in [
        "/system/functions",
        "/system",
        "/ui/",
        "/healthz",
        "/metrics?x",
        "/",
        "http://x",
        "http://x?/function/wc",
    ] {
        with_head(&format!("GET {target} HTTP/1.1"), |verdict| {
            assert_eq!(verdict.unwrap(), Route::Control, "{target}");
        });
    }
    for target in [
        "/systems",
        "/healthzz",
        "/x/../system/functions",
        "//system/info",
        "/%73ystem",
    ] {
        assert_eq!(status(&format!("GET {target} HTTP/1.1")), 404, "{target}");
    }
}

#[test]
fn a_name_with_other_characters_is_no_function() {
    for target in [
        "/function/",
        "/function/a%20b",
        "/function/a:b",
        "/function",
    ] {
        assert_eq!(status(&format!("GET {target} HTTP/1.1")), 404, "{target}");
    }
}

#[test]
fn the_root_takes_calls_by_header_with_post_alone() {
    let by_header = |method: &str| format!("{method} / HTTP/1.1\r\nX-Function: wc");
    with_head(&by_header("POST"), |verdict| {
        let expected = Route::Function {
            name: "wc",
            path: b"/",
        };
        assert_eq!(verdict.unwrap(), expected);
    });
    assert_eq!(status(&by_header("GET")), 405);
    assert_eq!(status("POST / HTTP/1.1"), 400);
    assert_eq!(status("POST / HTTP/1.1\r\nX-Function: a/b"), 404);
}
