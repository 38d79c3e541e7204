//! What functions write to standard error, as `/system/logs` gives it.

use serde_json::{Value, json};
use tests::{Driver, Gateway, eventually, http::request_bytes, under_each_driver};

under_each_driver! {
    lines_are_kept_and_the_last_ones_can_be_had
    new_lines_are_followed_as_they_come
    who_follows_a_log_does_not_keep_the_gateway
    a_function_that_writes_without_end_neither_blocks_nor_grows
    what_is_wrong_with_a_query_is_said
}

/// Says its input on standard error, and nothing else.
fn deploy_speaker(gateway: &Gateway) {
    let variables = json!({ "envVars": { "combine_output": "false" } });
    gateway.deploy_with("speak", "sh -c 'cat >&2'", &variables);
}

fn lines(gateway: &Gateway, query: &str) -> Vec<Value> {
    let answer = gateway.get(&format!("/system/logs?name=speak{query}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(
        answer.head.header("content-type"),
        Some("application/x-ndjson")
    );
    let text = answer.text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The function's own lines, without the watchdog's.
fn said(lines: &[Value]) -> Vec<String> {
    lines
        .iter()
        .filter_map(|line| line["text"].as_str())
        .filter_map(|text| text.split("line ").nth(1))
        .map(str::to_owned)
        .collect()
}

fn lines_are_kept_and_the_last_ones_can_be_had(driver: Driver) {
    let gateway = Gateway::start(driver);
    deploy_speaker(&gateway);
    for number in 0..5 {
        let body = format!("line {number}\n");
        assert_eq!(gateway.call("speak", body.as_bytes()).status(), 200);
    }
    eventually("all lines are there", || {
        (said(&lines(&gateway, "")).len() == 5).then_some(())
    });
    let all = lines(&gateway, "");
    assert_eq!(said(&all), ["0", "1", "2", "3", "4"]);
    for field in ["name", "namespace", "instance", "timestamp", "text"] {
        assert!(
            all[0][field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}"
        );
    }
    assert_eq!(lines(&gateway, "&tail=2").len(), 2);
    let last = all.last().unwrap();
    let instance = last["instance"].as_str().unwrap();
    assert_eq!(lines(&gateway, &format!("&instance={instance}")), all);
    assert!(lines(&gateway, "&instance=nobody").is_empty());
    assert!(lines(&gateway, "&since=2100-01-01T00:00:00Z").is_empty());
    assert_eq!(lines(&gateway, "&since=2000-01-01T00:00:00Z"), all);
}

fn new_lines_are_followed_as_they_come(driver: Driver) {
    let gateway = Gateway::start(driver);
    deploy_speaker(&gateway);
    let mut follower = gateway.connect();
    follower.send(request_bytes(
        "GET",
        "/system/logs?name=speak&follow=true",
        "",
        b"",
    ));
    assert_eq!(follower.head().status, 200);
    for number in 0..3 {
        gateway.call("speak", format!("line {number}\n").as_bytes());
        let wanted = format!("line {number}");
        while !follower
            .chunk()
            .unwrap()
            .windows(wanted.len())
            .any(|part| part == wanted.as_bytes())
        {}
    }
    // The stream ends with the function.
    gateway.remove("speak");
    while follower.chunk().is_some() {}
}

/// Goal: Ctrl-C works while somebody follows a log.
/// Steps: follow a log; SIGTERM; the answer ends with its last chunk, and is not broken off as
/// one that is still under way at the drain limit.
fn who_follows_a_log_does_not_keep_the_gateway(driver: Driver) {
    let mut gateway = Gateway::start(driver);
    deploy_speaker(&gateway);
    let mut follower = gateway.connect();
    let request = request_bytes("GET", "/system/logs?name=speak&follow=true", "", b"");
    follower.send(request);
    assert_eq!(follower.head().status, 200);
    gateway.terminate();
    while follower.chunk().is_some() {}
    assert!(gateway.wait().success());
}

fn a_function_that_writes_without_end_neither_blocks_nor_grows(driver: Driver) {
    let gateway = Gateway::start(driver);
    let variables = json!({ "envVars": { "combine_output": "false" } });
    let flood = "sh -c 'yes line of a flood | head -c 30000000 >&2; echo done'";
    gateway.deploy_with("speak", flood, &variables);
    let before = tests::processes::resident_bytes(gateway.pid());
    assert_eq!(gateway.call("speak", b"").text(), "done\n");
    let after = tests::processes::resident_bytes(gateway.pid());
    assert!(
        after < before + 16 * 1024 * 1024,
        "from {before} to {after} bytes"
    );
    let kept = lines(&gateway, "&tail=10");
    assert_eq!(kept.len(), 10);
}

fn what_is_wrong_with_a_query_is_said(driver: Driver) {
    let gateway = Gateway::start(driver);
    deploy_speaker(&gateway);
    for (query, status, part) in [
        ("", 400, "name"),
        ("?name=nobody", 404, "nobody"),
        ("?name=speak&tail=x", 400, "tail"),
        ("?name=speak&since=yesterday", 400, "since"),
        ("?name=speak&follow=maybe", 400, "follow"),
    ] {
        let answer = gateway.get(&format!("/system/logs{query}"));
        assert_eq!(answer.status(), status, "{query}: {}", answer.text());
        assert!(answer.text().contains(part), "{query}: {}", answer.text());
    }
}
