//! The `/system` API: what was deployed is echoed, what is wrong is refused with a reason.

use serde_json::{Value, json};
use tests::{Driver, Gateway, eventually, under_each_driver};

under_each_driver! {
    what_was_deployed_is_echoed_back_equal
    a_wrong_document_is_a_400_with_line_column_and_field
    what_cannot_run_is_refused_with_what_to_set
    put_changes_and_post_creates
    replicas_stay_within_their_bounds
    namespaces_hold_functions
    usage_is_measured_on_request
}

fn what_was_deployed_is_echoed_back_equal(driver: Driver) {
    let gateway = Gateway::start(driver);
    let deployed = json!({
        "service": "full", "image": "docker.io/library/alpine:3", "namespace": "openfaas-fn",
        "envProcess": "cat", "envVars": { "A": "1", "B": "ä \" \\ \n" },
        "constraints": ["node.platform.os == linux"], "secrets": ["s1", "s2"],
        "labels": { "com.openfaas.scale.min": "2", "x": "y" },
        "annotations": { "topic": "t" },
        "limits": { "memory": "128Mi", "cpu": "500m" }, "requests": { "memory": "64Mi" },
        "readOnlyRootFilesystem": true, "network": "func_functions",
    });
    let mut sent = deployed.clone();
    sent["registryAuth"] = "c2VjcmV0".into();
    sent["aFieldOfTheFuture"] = json!({ "x": [1] });
    let answer = gateway.api("POST", "/system/functions", &sent);
    assert_eq!(answer.status(), 202, "{}", answer.text());
    eventually("both replicas are ready", || {
        (gateway.available("full") == 2).then_some(())
    });
    let one = gateway.status("full");
    let list = gateway.get("/system/functions").json();
    for status in [&one, &list[0]] {
        for (field, value) in deployed.as_object().unwrap() {
            let name = if field == "service" { "name" } else { field };
            assert_eq!(&status[name], value, "{field}");
        }
        assert_eq!(status["replicas"], 2);
        assert_eq!(status["availableReplicas"], 2);
        assert!(status["createdAt"].as_str().unwrap().starts_with("20"));
        assert!(!status.to_string().contains("c2VjcmV0"), "{status}");
    }
    assert_eq!(gateway.call("full", b"x").text(), "x");
    assert_eq!(gateway.status("full")["invocationCount"], 1);
}

fn a_wrong_document_is_a_400_with_line_column_and_field(driver: Driver) {
    let gateway = Gateway::start(driver);
    for (body, expected) in [
        (
            "{\n\"service\": \"f\",\n\"labels\": [1]}",
            &["labels", "line 3", "column"][..],
        ),
        (
            "{\"service\": \"f\", \"limits\": {\"memory\": 5}}",
            &["limits.memory", "line 1"],
        ),
        ("{\"service\": \"f\"", &["line 1", "column 15"]),
        ("", &["JSON"]),
        ("[]", &["line 1"]),
    ] {
        let answer = gateway.connect().request(
            "POST",
            "/system/functions",
            "Accept: application/json\r\n",
            body.as_bytes(),
        );
        assert_eq!(answer.status(), 400, "{body}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        for part in expected {
            assert!(error.contains(part), "{body}: {part} is not in: {error}");
        }
    }
}

fn what_cannot_run_is_refused_with_what_to_set(driver: Driver) {
    let gateway = Gateway::start(driver);
    for (body, parts) in [
        (json!({}), &["service"][..]),
        (json!({ "service": "f" }), &["envProcess"]),
        (
            json!({ "service": "f", "image": "nginx" }),
            &["envProcess", "nginx"],
        ),
        (
            json!({ "service": "f", "envProcess": "no-such-program" }),
            &["no-such-program", "/usr/bin"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat 'unclosed" }),
            &["envProcess"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "image": "file:/no/such/folder" }),
            &["image", "/no/such/folder"],
        ),
        (
            json!({ "service": "../f", "envProcess": "cat" }),
            &["service"],
        ),
        (
            json!({ "service": "f", "namespace": "a/b", "envProcess": "cat" }),
            &["namespace"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "limits": { "memory": "much" } }),
            &["limits.memory", "much"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "limits": { "cpu": "-1" } }),
            &["limits.cpu"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "labels": { "com.openfaas.scale.max": "x" } }),
            &["com.openfaas.scale.max"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "labels": { "com.openfaas.scale.min": "21" } }),
            &["com.openfaas.scale.min"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "envVars": { "A=B": "c" } }),
            &["envVars"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "envVars": { "mode": "nonsense" } }),
            &["envVars: mode: `nonsense` cannot be used; give fork,"],
        ),
        (
            json!({ "service": "f", "envProcess": "cat", "envVars": { "LISTEN_FDS": "9" } }),
            &["LISTEN_FDS"],
        ),
    ] {
        let answer = gateway.api("POST", "/system/functions", &body);
        assert_eq!(answer.status(), 400, "{body}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        for part in parts {
            assert!(error.contains(part), "{body}: {part} is not in: {error}");
        }
    }
    assert_eq!(
        gateway.get("/system/functions").json(),
        json!([]),
        "nothing was deployed"
    );
}

fn put_changes_and_post_creates(driver: Driver) {
    let gateway = Gateway::start(driver);
    let body = json!({ "service": "f", "envProcess": "cat" });
    let put = |body: &Value| gateway.api("PUT", "/system/functions", body);
    let post = |body: &Value| gateway.api("POST", "/system/functions", body);
    assert_eq!(
        put(&body).status(),
        404,
        "a function that is not there cannot be changed"
    );
    assert_eq!(post(&body).status(), 202);
    let other = json!({ "service": "f", "envProcess": "wc" });
    assert!(post(&other).status() >= 400, "it is there already");
    assert_eq!(put(&other).status(), 202);
    assert_eq!(gateway.status("f")["envProcess"], "wc");
    let remove = |name: &str| {
        gateway.api(
            "DELETE",
            "/system/functions",
            &json!({ "functionName": name }),
        )
    };
    assert_eq!(remove("f").status(), 202);
    assert_eq!(remove("f").status(), 404);
    assert_eq!(gateway.get("/system/function/f").status(), 404);
}

fn replicas_stay_within_their_bounds(driver: Driver) {
    let gateway = Gateway::start(driver);
    let labels =
        json!({ "labels": { "com.openfaas.scale.min": "1", "com.openfaas.scale.max": "3" } });
    gateway.deploy_with("f", "cat", &labels);
    let scale = |replicas: Value| {
        let body = json!({ "serviceName": "f", "replicas": replicas });
        gateway.api("POST", "/system/scale-function/f", &body)
    };
    let answer = scale(json!(4));
    assert_eq!(answer.status(), 400);
    assert!(
        answer.text().contains("com.openfaas.scale.max"),
        "{}",
        answer.text()
    );
    for wrong in [json!(-1), json!("2"), json!(1.5), Value::Null] {
        assert_eq!(scale(wrong.clone()).status(), 400, "{wrong}");
    }
    gateway.scale("f", 3);
    gateway.scale("f", 0);
    let unknown = json!({ "serviceName": "nobody", "replicas": 1 });
    assert_eq!(
        gateway
            .api("POST", "/system/scale-function/nobody", &unknown)
            .status(),
        404
    );
}

fn namespaces_hold_functions(driver: Driver) {
    let gateway = Gateway::start(driver);
    assert_eq!(
        gateway.get("/system/namespaces").json(),
        json!(["openfaas-fn"])
    );
    let staging = json!({ "name": "staging", "labels": { "a": "b" } });
    let body = json!({ "service": "f", "envProcess": "cat", "namespace": "staging" });
    assert!(
        gateway.api("POST", "/system/functions", &body).status() >= 400,
        "no such namespace"
    );
    assert_eq!(
        gateway
            .api("POST", "/system/namespace/staging", &staging)
            .status(),
        201
    );
    assert_eq!(
        gateway
            .api("POST", "/system/namespace/staging", &staging)
            .status(),
        409
    );
    assert_eq!(
        gateway.get("/system/namespace/staging").json()["labels"]["a"],
        "b"
    );
    assert_eq!(
        gateway.api("POST", "/system/functions", &body).status(),
        202
    );
    eventually("it serves under its full name", || {
        (gateway.call("f.staging", b"x").status() == 200).then_some(())
    });
    assert_eq!(gateway.call("f", b"x").status(), 404);
    let listed = gateway.get("/system/functions?namespace=staging").json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let remove = |path: &str| gateway.connect().request("DELETE", path, "", b"").status();
    assert_eq!(remove("/system/namespace/staging"), 409, "it is not empty");
    let removal = json!({ "functionName": "f", "namespace": "staging" });
    assert_eq!(
        gateway
            .api("DELETE", "/system/functions", &removal)
            .status(),
        202
    );
    assert_eq!(remove("/system/namespace/staging"), 202);
    assert_eq!(remove("/system/namespace/staging"), 404);
    assert!(remove("/system/namespace/openfaas-fn") >= 400);
}

fn usage_is_measured_on_request(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("f", "cat");
    let usage = gateway.get("/system/function/f?usage=1").json()["usage"].clone();
    assert!(
        usage["totalMemoryBytes"].as_f64().unwrap() > 100_000.0,
        "{usage}"
    );
    assert!(
        usage["cpu"].as_f64().is_some_and(|cpu| cpu >= 0.0),
        "{usage}"
    );
    assert_eq!(gateway.status("f")["usage"], Value::Null);
}
