//! Which path and method reaches whom.

use tests::{Driver, Gateway, Upstream, under_each_driver};

use crate::forwarding::serving;

under_each_driver! {
    a_function_gets_the_path_and_query_behind_its_name
    every_method_reaches_a_function
    a_post_to_the_root_names_its_function_in_a_header
    a_name_may_say_its_namespace
    the_control_plane_is_one_more_upstream
    dots_and_slashes_stay_inside_the_function
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn a_function_gets_the_path_and_query_behind_its_name(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for (path, expected) in [
        ("/function/f", "/"),
        ("/function/f/", "/"),
        ("/function/f?a=b", "/?a=b"),
        ("/function/f/users/7?x=1&y=%20", "/users/7?x=1&y=%20"),
    ] {
        assert_eq!(client.get(path).status(), 200, "{path}");
        assert_eq!(upstream.last().line(), format!("GET {expected}"), "{path}");
    }
}

fn every_method_reaches_a_function(driver: Driver) {
    let upstream = Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "x-own",
    ] {
        let answer = client.request(method, "/function/f/x", "", b"");
        assert_eq!(answer.status(), 204, "{method}");
        assert_eq!(upstream.last().line(), format!("{method} /x"));
    }
}

fn a_post_to_the_root_names_its_function_in_a_header(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    let by_header = "X-Function: f\r\n";
    assert_eq!(client.request("POST", "/", by_header, b"hi").status(), 200);
    assert_eq!(upstream.last().line(), "POST /");
    assert_eq!(upstream.last().body, b"hi");
    let unknown = client.request("POST", "/", "X-Function: nobody\r\n", b"hi");
    assert_eq!(unknown.status(), 404);
    assert_eq!(client.post("/", b"hi").status(), 400);
    let answer = client.request("PUT", "/", by_header, b"hi");
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.head.header("allow"), Some("POST"));
}

fn a_name_may_say_its_namespace(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    assert_eq!(client.get("/function/f.openfaas-fn/a").status(), 200);
    assert_eq!(upstream.last().line(), "GET /a");
    assert_eq!(client.get("/function/f.elsewhere").status(), 404);
}

fn the_control_plane_is_one_more_upstream(driver: Driver) {
    let gateway = Gateway::start(driver);
    let mut client = gateway.connect();
    assert_eq!(client.get("/healthz").status(), 200);
    let info = client.get("/system/info").json();
    for pointer in [
        "/provider/provider",
        "/provider/orchestration",
        "/provider/version/release",
        "/provider/version/sha",
        "/version/release",
        "/version/sha",
        "/arch",
    ] {
        let text = info.pointer(pointer).and_then(|value| value.as_str());
        assert!(
            text.is_some_and(|text| !text.is_empty()),
            "{pointer}: {info}"
        );
    }
    assert_eq!(client.get("/metrics").status(), 200);
    for (path, status) in [
        ("/system/nothing", 404),
        ("/systems", 404),
        ("/healthz/x", 404),
        ("/nothing", 404),
    ] {
        assert_eq!(client.get(path).status(), status, "{path}");
    }
    let answer = client.request("PATCH", "/system/functions", "", b"");
    assert_eq!(answer.status(), 405);
    assert!(answer.head.header("allow").unwrap().contains("POST"));
}

fn dots_and_slashes_stay_inside_the_function(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for path in [
        "/../system/functions",
        "//system/functions",
        "/..%2f..%2fsystem/info",
        "/%2e%2e/other",
    ] {
        assert_eq!(client.get(&format!("/function/f{path}")).status(), 200);
        assert_eq!(upstream.last().line(), format!("GET {path}"));
    }
}
