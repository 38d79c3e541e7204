//! Verbs that only read, and those that change a number or remove: list, describe, scale, remove,
//! version, completion.

use serde_json::json;

use crate::fake::Fake;
use crate::{ringway, run, stderr, stdout};

const LIST: &str = r#"[{"name":"wc","envProcess":"wc","invocationCount":2,"replicas":1,"availableReplicas":1},{"name":"cat","replicas":0}]"#;

#[test]
fn list_sorts_by_name_and_asks_for_the_namespace() {
    let fake = Fake::with(&[(200, LIST)]);
    let output = run(&["list", "--gateway", &fake.url, "-n", "staging"]);
    assert_eq!(
        stdout(&output),
        "Function  Invocations  Replicas\ncat       0            0\nwc        2            1\n"
    );
    let seen = fake.seen();
    assert_eq!(seen.line, "GET /system/functions?namespace=staging");
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("authorization"), None);
}

#[test]
fn list_as_json_is_what_the_gateway_said() {
    let fake = Fake::with(&[(200, LIST)]);
    assert_eq!(
        stdout(&run(&["list", "--json", "-g", &fake.url])),
        format!("{LIST}\n")
    );
}

#[test]
fn the_gateway_may_come_from_the_environment_with_credentials() {
    let fake = Fake::with(&[(200, "[]")]);
    let url = fake.url.replace("http://", "http://admin:secret@");
    let output = ringway(&["list", "-q"])
        .env("OPENFAAS_URL", url)
        .output()
        .unwrap();
    assert_eq!(
        (stdout(&output), output.status.code()),
        (String::new(), Some(0))
    );
    assert_eq!(
        fake.seen().header("authorization"),
        Some("Basic YWRtaW46c2VjcmV0")
    );
}

#[test]
fn plain_http_never_goes_through_a_proxy() {
    let fake = Fake::with(&[(200, "[]")]);
    let output = ringway(&["list", "-g", &fake.url])
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn describe_shows_one_function() {
    let fake = Fake::with(&[(
        200,
        r#"{"name":"wc","envProcess":"wc","replicas":1,"availableReplicas":1}"#,
    )]);
    let output = run(&["describe", "wc", "-g", &fake.url]);
    assert!(
        stdout(&output).contains("State:        ready\n"),
        "{}",
        stdout(&output)
    );
    assert_eq!(fake.seen().line, "GET /system/function/wc?usage=1");
}

#[test]
fn scale_sends_the_number() {
    let fake = Fake::with(&[(202, "")]);
    let output = run(&["scale", "wc", "0", "-g", &fake.url]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let seen = fake.seen();
    assert_eq!(seen.line, "POST /system/scale-function/wc");
    assert_eq!(seen.json(), json!({"serviceName": "wc", "replicas": 0}));
}

#[test]
fn remove_goes_on_after_a_failure_and_reports_it() {
    let fake = Fake::with(&[(404, "no such function"), (202, "")]);
    let output = run(&["remove", "a", "b", "-g", &fake.url, "-n", "x"]);
    assert_eq!(stdout(&output), "b: removed\n");
    assert_eq!(
        stderr(&output),
        "ringway: a: the gateway answered 404 Not Found: no such function\n"
    );
    assert_eq!(output.status.code(), Some(1));
    let first = fake.seen();
    assert_eq!(first.line, "DELETE /system/functions?namespace=x");
    assert_eq!(first.json(), json!({"functionName": "a", "namespace": "x"}));
    assert_eq!(
        fake.seen().json(),
        json!({"functionName": "b", "namespace": "x"})
    );
}

#[test]
fn remove_takes_the_names_of_a_stack_file_and_its_gateway() {
    let fake = Fake::with(&[(202, ""), (202, "")]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stack.yml");
    let text = format!(
        "provider: {{gateway: \"{}\"}}\nfunctions:\n  a: {{image: x}}\n  b: {{image: x, namespace: y}}\n",
        fake.url
    );
    std::fs::write(&file, text).unwrap();
    let output = run(&["rm", "-f", file.to_str().unwrap()]);
    assert_eq!(
        stdout(&output),
        "a: removed\nb: removed\n",
        "{}",
        stderr(&output)
    );
    assert_eq!(fake.seen().json(), json!({"functionName": "a"}));
    assert_eq!(
        fake.seen().json(),
        json!({"functionName": "b", "namespace": "y"})
    );
}

#[test]
fn version_shows_both_sides() {
    let info = r#"{"provider":{"provider":"ringway","orchestration":"local"},"version":{"release":"1.2.3","sha":"abc"},"arch":"x86_64"}"#;
    let fake = Fake::with(&[(200, info), (200, info)]);
    let text = stdout(&run(&["version", "-g", &fake.url]));
    assert!(
        text.starts_with("Client:        ringway ")
            && text.contains("Gateway:       1.2.3 (abc) at http"),
        "{text}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&run(&["version", "--json", "-g", &fake.url]))).unwrap();
    assert_eq!(json["gateway"]["version"]["release"], "1.2.3");
    assert!(json["client"]["sha"].is_string());
}

#[test]
fn version_without_a_gateway_says_so_and_is_no_failure() {
    let output = run(&["version", "-g", "http://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stdout(&output).contains("cannot reach the gateway at http://127.0.0.1:1"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn completion_is_a_script() {
    let output = run(&["completion", "bash"]);
    assert!(stdout(&output).contains("_ringway()"));
}
