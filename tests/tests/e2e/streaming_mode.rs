//! Streaming mode through gateway and watchdog: output arrives as it is written, and a failure can be
//! told from an end.

use serde_json::json;
use tests::{Driver, Gateway, eventually, http::request_bytes, under_each_driver};

under_each_driver! {
    a_byte_arrives_before_the_next_is_asked_for
    who_fails_before_the_first_byte_is_told_with_a_status
    who_fails_after_the_first_byte_breaks_the_answer_off
    a_client_that_leaves_ends_its_process
}

fn with(driver: Driver, command: &str) -> Gateway {
    let gateway = Gateway::start(driver);
    let variables = json!({ "mode": "streaming", "exec_timeout": "500ms" });
    gateway.deploy_with("f", command, &json!({ "envVars": variables }));
    gateway
}

fn a_byte_arrives_before_the_next_is_asked_for(driver: Driver) {
    let gateway = Gateway::start(driver);
    let variables = json!({ "mode": "streaming" });
    gateway.deploy_with("f", "cat", &json!({ "envVars": variables }));
    let mut client = gateway.connect();
    client.send("POST /function/f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("1\r\n0\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), b"0");
    for byte in b"123456789" {
        client.send([b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
        assert_eq!(client.chunk().unwrap(), [*byte]);
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
    assert_eq!(gateway.call("f", b"again").text(), "again");
}

fn who_fails_before_the_first_byte_is_told_with_a_status(driver: Driver) {
    for (command, status, why) in [
        ("false", 500, "exit code 1"),
        ("sh -c 'kill -9 $$'", 500, "ended by SIGKILL"),
        ("sleep 1007", 504, "exec_timeout (500ms)"),
        ("true", 200, ""),
    ] {
        let gateway = with(driver, command);
        let answer = gateway.call("f", b"x");
        assert_eq!(answer.status(), status, "{command}");
        assert!(answer.text().contains(why), "{}", answer.text());
    }
}

fn who_fails_after_the_first_byte_breaks_the_answer_off(driver: Driver) {
    for command in [
        "sh -c 'echo out; sleep 0.1; exit 1'",
        "sh -c 'echo out; sleep 0.1; kill -9 $$'",
        "sh -c 'echo out; sleep 1008'",
    ] {
        let gateway = with(driver, command);
        let mut client = gateway.connect();
        client.send(request_bytes("POST", "/function/f", "", b""));
        assert_eq!(client.head().status, 200, "{command}");
        let rest = client.rest();
        assert_eq!(rest, b"4\r\nout\n\r\n", "{command}: it looks whole");
    }
}

fn a_client_that_leaves_ends_its_process(driver: Driver) {
    let gateway = Gateway::start(driver);
    let variables = json!({ "mode": "streaming" });
    let command = "sh -c 'echo begun; exec sleep 1009'";
    gateway.deploy_with("f", command, &json!({ "envVars": variables }));
    let mut client = gateway.connect();
    client.send(request_bytes("POST", "/function/f", "", b""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), b"begun\n");
    drop(client);
    eventually("it has ended", || {
        (gateway.descendants().len() == 1).then_some(())
    });
}
