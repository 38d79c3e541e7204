//! Limits as a user sets them: flags of the gateway, annotations of a function, a header of a call.

use serde_json::json;
use tests::{Builder, Driver, Gateway, under_each_driver};

under_each_driver! {
    a_function_may_set_its_own_limits_by_annotations
    a_wrong_annotation_is_refused_with_its_name
    a_call_is_ended_by_its_own_limit_before_the_function_is
    the_head_limits_can_be_set
    what_functions_are_allowed_does_not_bind_the_control_plane
    each_failure_is_counted_under_its_reason
}

/// Goal: what stands in an annotation holds for that function alone, and an update changes it.
fn a_function_may_set_its_own_limits_by_annotations(driver: Driver) {
    let gateway = Gateway::start(driver);
    let limits = json!({ "annotations": {
        "ringway.upstream-timeout": "300ms",
        "ringway.body-bytes-max": "10",
    } });
    gateway.deploy_with("slow", "sh -c 'cat; exec sleep 1007'", &limits);
    gateway.deploy("cat", "cat");
    let answer = gateway.call("slow", b"x");
    assert_eq!(answer.status(), 504);
    let said = "longer than 0.3 s";
    assert!(answer.text().contains(said), "{}", answer.text());
    let answer = gateway.call("slow", &[b'x'; 11]);
    assert_eq!(answer.status(), 413, "{}", answer.text());
    assert_eq!(gateway.call("cat", &[b'x'; 11]).status(), 200);
    assert_eq!(gateway.status("slow")["annotations"], limits["annotations"]);

    let changed = json!({
        "service": "slow",
        "envProcess": "cat",
        "annotations": { "ringway.body-bytes-max": "11" },
    });
    let answer = gateway.api("PUT", "/system/functions", &changed);
    assert_eq!(answer.status(), 202, "{}", answer.text());
    tests::eventually("the update serves", || {
        (gateway.call("slow", &[b'x'; 11]).status() == 200).then_some(())
    });
}

fn a_wrong_annotation_is_refused_with_its_name(driver: Driver) {
    let gateway = Gateway::start(driver);
    for (name, value) in [
        ("ringway.upstream-timeout", "soon"),
        ("ringway.body-bytes-max", "1 GB"),
        ("ringway.upstream-timeuot", "1s"),
    ] {
        let deployment = json!({
            "service": "f", "envProcess": "cat", "annotations": { name: value },
        });
        let answer = gateway.api("POST", "/system/functions", &deployment);
        assert_eq!(answer.status(), 400);
        assert!(answer.text().contains(name), "{}", answer.text());
    }
}

/// Steps: two calls of a function that takes for ever, one of which allows it 200 ms; that one is
/// over, by the gateway or by the watchdog, and the other goes on.
fn a_call_is_ended_by_its_own_limit_before_the_function_is(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy_with(
        "slow",
        "sleep 1008",
        &json!({ "envVars": { "exec_timeout": "1h" } }),
    );
    let mut patient = gateway.connect();
    patient.send("POST /function/slow HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    let mut hasty = gateway.connect();
    let answer = hasty.request("POST", "/function/slow", "X-Timeout: 200ms\r\n", b"");
    assert_eq!(answer.status(), 504);
    assert!(
        answer.text().contains("X-Timeout header"),
        "{}",
        answer.text()
    );
    assert_eq!(
        hasty
            .request("POST", "/function/slow", "X-Timeout: 1x\r\n", b"")
            .status(),
        400
    );
    tests::eventually("one program is left", || {
        let sleeping = gateway.descendants().len();
        // The watchdog and the program of the patient one.
        (sleeping == 2).then_some(())
    });
}

fn the_head_limits_can_be_set(driver: Driver) {
    let gateway = Builder::new(driver)
        .arg("--head-bytes-max=2000")
        .arg("--headers-max=5")
        .arg("--target-bytes-max=50")
        .arg("--requests-per-connection-max=2")
        .start();
    gateway.deploy("cat", "cat");
    let with = |headers: &str| {
        let mut client = gateway.connect();
        client
            .request("POST", "/function/cat", headers, b"")
            .status()
    };
    assert_eq!(with(&format!("A: {}\r\n", "x".repeat(2000))), 431);
    assert_eq!(with(&"A: b\r\n".repeat(5)), 431);
    assert_eq!(with("A: b\r\n"), 200);
    let long = format!("/function/cat/{}", "x".repeat(50));
    assert_eq!(gateway.get(&long).status(), 414);
    let mut client = gateway.connect();
    assert!(client.get("/healthz").head.header("connection").is_none());
    assert_eq!(
        client.get("/healthz").head.header("connection"),
        Some("close")
    );
}

fn what_functions_are_allowed_does_not_bind_the_control_plane(driver: Driver) {
    let gateway = Builder::new(driver)
        .arg("--body-bytes-max=10")
        .arg("--upstream-timeout=1ms")
        .start();
    gateway.deploy("slow", "sleep 1009");
    assert_eq!(gateway.call("slow", b"").status(), 504);
    assert_eq!(gateway.call("slow", &[b'x'; 11]).status(), 413);
}

fn each_failure_is_counted_under_its_reason(driver: Driver) {
    let gateway = Gateway::start(driver);
    let mut client = gateway.connect();
    assert_eq!(client.get("/function/nobody").status(), 404);
    assert_eq!(client.get("/nowhere").status(), 404);
    assert_eq!(client.get("/async-function/f").status(), 501);
    assert_eq!(client.request("POST", "/", "", b"").status(), 400);
    let scrape = gateway.settled_metrics();
    for (reason, count) in [
        ("unknown_function", 1.0),
        ("unknown_path", 1.0),
        ("async_not_offered", 1.0),
        ("no_function_named", 1.0),
        ("malformed", 0.0),
    ] {
        let counted = scrape.sum("gateway_failures_total", &[("reason", reason)]);
        assert_eq!(counted, count, "{reason}");
    }
}
