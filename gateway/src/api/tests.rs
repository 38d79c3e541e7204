//! The API as a client sees it: a request in, status and body out, with fake replicas behind.

mod client;

use std::time::Duration;

use hyper::{StatusCode, header};
use serde_json::{Value, json};

use crate::control::tests_routes as routes;
use client::Client;

/// Steps: deploy with everything, see it echoed, deploy again, change, scale, remove.
#[tokio::test]
async fn a_function_lives_from_its_deploy_to_its_removal() {
    Client::run(async |client| {
        let wanted = json!({
            "service": "wc", "image": "functions/wc:1", "namespace": "openfaas-fn",
            "envProcess": "wc -l", "envVars": {"A": "1"}, "constraints": ["node.role==worker"],
            "secrets": ["token"], "labels": {"com.openfaas.scale.max": "5", "x": "y"},
            "annotations": {"topic": "t"}, "limits": {"memory": "64Mi", "cpu": "100m"},
            "requests": {"memory": "1Mi"}, "readOnlyRootFilesystem": true, "network": "net",
        });
        let mut sent = wanted.clone();
        sent["registryAuth"] = json!("c2VjcmV0");
        sent["unknownField"] = json!([1, 2]);
        let deployed = client.call("POST", "/system/functions", sent.clone()).await;
        assert_eq!(deployed.status, StatusCode::ACCEPTED);
        assert_eq!(deployed.json()["changed"], true);
        assert_eq!(deployed.json()["warnings"].as_array().unwrap().len(), 3);

        let mut status = client.get("/system/function/wc").await.json();
        assert!(!status.to_string().contains("c2VjcmV0"), "{status}");
        status["service"] = status["name"].clone();
        for (field, value) in wanted.as_object().unwrap() {
            assert_eq!(&status[field], value, "{field}");
        }
        for field in ["replicas", "invocationCount"] {
            assert!(status[field].is_number(), "{status}");
        }
        assert!(
            status["createdAt"].as_str().unwrap().ends_with('Z'),
            "{status}"
        );

        let again = client.call("PUT", "/system/functions", sent.clone()).await;
        assert_eq!(again.json()["changed"], false);
        sent["envProcess"] = json!("wc -c");
        client
            .expect(409, "POST", "/system/functions", sent.clone())
            .await;
        client.expect(202, "PUT", "/system/functions", sent).await;

        let scale = "/system/scale-function/wc";
        client
            .expect(
                202,
                "POST",
                scale,
                json!({"serviceName": "wc", "replicas": 3}),
            )
            .await;
        let text = client
            .expect(400, "POST", scale, json!({"replicas": 6}))
            .await;
        assert!(text.contains("com.openfaas.scale.max"), "{text}");
        assert_eq!(
            client.get("/system/function/wc").await.json()["replicas"],
            3
        );

        let removal = json!({"functionName": "wc"});
        client
            .expect(202, "DELETE", "/system/functions", removal.clone())
            .await;
        client
            .expect(404, "DELETE", "/system/functions", removal)
            .await;
        client
            .expect(404, "GET", "/system/function/wc", Value::Null)
            .await;
    })
    .await;
}

/// Status, method, path and body of a mistake, and what the answer names.
const MISTAKES: &str = r#"
400 POST   /system/functions {} -> service
400 POST   /system/functions {"service": "a/b"} -> service
400 POST   /system/functions {"service": "wc"} -> envProcess
400 POST   /system/functions {"service": "wc", "envProcess": 1} -> envProcess
400 POST   /system/functions {"service": "wc", "envProcess": 1} -> line 1 column
404 PUT    /system/functions {"service": "wc", "envProcess": "wc"} -> wc
404 POST   /system/functions {"service": "wc", "namespace": "dev", "envProcess": "wc"} -> dev
409 POST   /system/functions {"service": "static", "envProcess": "wc"} -> --static
409 DELETE /system/functions {"functionName": "static"} -> --static
400 DELETE /system/functions {} -> functionName
400 POST   /system/scale-function/wc {"serviceName": "cat", "replicas": 1} -> cat
400 POST   /system/scale-function/wc {"serviceName": "wc"} -> replicas
400 POST   /system/scale-function/wc {"replicas": -1} -> replicas
404 POST   /system/scale-function/wc {"replicas": 1} -> wc
409 POST   /system/scale-function/static {"replicas": 1} -> --static
400 GET    /system/logs -> name
400 GET    /system/logs?name=wc&tail=many -> tail
400 GET    /system/logs?name=wc&since=today -> since
400 GET    /system/logs?name=wc&follow=maybe -> follow
404 GET    /system/logs?name=wc -> wc
409 GET    /system/logs?name=static -> --static
404 GET    /system/secrets -> /system/secrets
405 PATCH  /system/functions -> GET
"#;

#[tokio::test]
async fn mistakes_are_answered_with_what_to_do() {
    Client::run(async |client| {
        for case in MISTAKES.trim().lines() {
            let (request, named) = case.split_once(" -> ").unwrap();
            let (head, body) = request.split_once('{').unwrap_or((request, ""));
            let body = if body.is_empty() {
                String::new()
            } else {
                format!("{{{body}")
            };
            let head: Vec<_> = head.split_whitespace().collect();
            let answer = client
                .send(head[1], head[2], "application/json", &body)
                .await;
            assert_eq!(answer.status.as_str(), head[0], "{case}: {}", answer.text);
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains(named), "{case}: {error}");
            assert_eq!(answer.json()["status"].to_string(), head[0]);
        }
        let answer = client.send("PATCH", "/system/functions", "", "").await;
        assert_eq!(
            answer.headers[header::ALLOW],
            "GET, HEAD, POST, PUT, DELETE"
        );
        let large = " ".repeat(1024 * 1024 + 1);
        let answer = client.send("POST", "/system/functions", "", &large).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    })
    .await;
}

#[tokio::test]
async fn an_error_has_the_form_that_was_asked_for() {
    Client::run(async |client| {
        let path = "/system/function/nobody";
        let json = client.send("GET", path, "application/json", "").await;
        assert_eq!(json.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(json.json()["function"], "nobody");
        let text = client.send("GET", path, "*/*", "").await;
        assert_eq!(
            text.headers[header::CONTENT_TYPE],
            "text/plain; charset=utf-8"
        );
        assert_eq!(text.text.lines().count(), 1);
    })
    .await;
}

#[tokio::test]
async fn static_servers_are_listed_with_the_deployed_functions() {
    Client::run(async |client| {
        let deploy = json!({"service": "wc", "envProcess": "wc"});
        client
            .expect(202, "POST", "/system/functions", deploy)
            .await;
        let list = client.get("/system/functions").await.json();
        let names: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["name"].clone())
            .collect();
        assert_eq!(names, ["static", "wc"]);
        let none = client.get("/system/functions?namespace=dev").await.json();
        assert_eq!(none, json!([]));
        let one = client
            .get("/system/function/static.openfaas-fn")
            .await
            .json();
        assert_eq!(one["availableReplicas"], 1);
    })
    .await;
}

#[tokio::test]
async fn requests_that_the_data_plane_counts_are_shown() {
    Client::run(async |client| {
        let deploy = json!({"service": "wc", "envProcess": "wc"});
        client
            .expect(202, "POST", "/system/functions", deploy)
            .await;
        let snapshot = client.shared.published.load();
        snapshot.functions["wc"].counters.on(0).begin();
        snapshot.functions["wc"]
            .counters
            .on(0)
            .end(200, Duration::from_millis(1));
        assert_eq!(
            client.get("/system/function/wc").await.json()["invocationCount"],
            1
        );
        let metrics = client.send("GET", "/metrics", "", "").await;
        let line = "gateway_function_invocation_total{code=\"200\",function_name=\"wc\"} 1";
        assert!(metrics.text.contains(line), "{}", metrics.text);
        assert!(
            metrics
                .text
                .contains("gateway_service_count{function_name=\"wc\"} 1")
        );
        let removal = json!({"functionName": "wc"});
        client
            .expect(202, "DELETE", "/system/functions", removal)
            .await;
        let metrics = client.send("GET", "/metrics", "", "").await;
        assert!(!metrics.text.contains("\"wc\""), "{}", metrics.text);
        assert!(routes::published(&client.routes, "wc").is_none());
    })
    .await;
}

#[tokio::test]
async fn namespaces_can_be_made_changed_and_removed() {
    Client::run(async |client| {
        let dev = "/system/namespace/dev";
        client.expect(404, "GET", dev, Value::Null).await;
        client.expect(404, "PUT", dev, Value::Null).await;
        client
            .expect(
                201,
                "POST",
                dev,
                json!({"name": "dev", "labels": {"a": "b"}}),
            )
            .await;
        client.expect(409, "POST", dev, Value::Null).await;
        client
            .expect(400, "POST", dev, json!({"name": "other"}))
            .await;
        client
            .expect(201, "POST", "/system/namespace/", json!({"name": "qa"}))
            .await;
        assert_eq!(
            client.get(dev).await.json(),
            json!({"name": "dev", "labels": {"a": "b"}})
        );
        let names = client.get("/system/namespaces").await.json();
        assert_eq!(names, json!(["dev", "openfaas-fn", "qa"]));
        client.expect(202, "PUT", dev, json!({"name": "dev"})).await;

        let deploy = json!({"service": "wc", "namespace": "dev", "envProcess": "wc"});
        client
            .expect(202, "POST", "/system/functions", deploy)
            .await;
        for path in [
            "/system/function/wc?namespace=dev",
            "/system/function/wc.dev",
        ] {
            assert_eq!(client.get(path).await.json()["namespace"], "dev");
        }
        client
            .expect(404, "GET", "/system/function/wc", Value::Null)
            .await;
        client.expect(409, "DELETE", dev, Value::Null).await;
        let removal = json!({"functionName": "wc", "namespace": "dev"});
        client
            .expect(202, "DELETE", "/system/functions", removal)
            .await;
        client.expect(202, "DELETE", dev, Value::Null).await;
        client.expect(404, "DELETE", dev, Value::Null).await;
        client
            .expect(409, "DELETE", "/system/namespace/openfaas-fn", Value::Null)
            .await;
    })
    .await;
}

#[tokio::test]
async fn the_gateway_says_what_it_is_and_whether_it_stays() {
    Client::run(async |client| {
        let info = client.get("/system/info").await.json();
        for path in [
            "/provider/provider",
            "/provider/orchestration",
            "/provider/version/release",
            "/provider/version/sha",
            "/version/release",
            "/version/sha",
            "/arch",
            "/driver/name",
        ] {
            let value = info.pointer(path).and_then(Value::as_str);
            assert!(value.is_some_and(|text| !text.is_empty()), "{path}: {info}");
        }
        client.expect(200, "GET", "/healthz", Value::Null).await;
        client.shared.start_draining();
        let answer = client.get("/healthz").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    })
    .await;
}

#[tokio::test]
async fn a_log_without_lines_is_an_empty_stream() {
    Client::run(async |client| {
        let deploy = json!({"service": "wc", "envProcess": "wc"});
        client
            .expect(202, "POST", "/system/functions", deploy)
            .await;
        let answer = client
            .get("/system/logs?name=wc&tail=10&follow=false")
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/x-ndjson");
        assert_eq!(answer.text, "");
    })
    .await;
}
