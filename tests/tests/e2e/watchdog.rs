//! A process per request, as a client of the gateway meets it. The watchdog's own tests look at it
//! more closely.

use serde_json::json;
use tests::{Driver, Gateway, eventually, http::request_bytes, under_each_driver};

under_each_driver! {
    a_program_that_fails_is_a_500_with_its_output
    output_that_was_sent_cannot_be_taken_back_but_broken_off
    a_client_that_leaves_ends_its_process
    a_full_function_says_so
    a_call_may_lower_its_own_time_limit
    the_request_is_in_the_environment
    an_answer_says_how_long_it_took
    a_program_need_not_read_its_input
}

fn a_program_that_fails_is_a_500_with_its_output(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("fails", "sh -c 'echo out; echo err >&2; exit 3'");
    let answer = gateway.call("fails", b"x");
    assert_eq!(answer.status(), 500);
    assert!(answer.text().contains("out\n"), "{}", answer.text());
    gateway.deploy("silent", "false");
    let answer = gateway.call("silent", b"");
    assert_eq!(answer.status(), 500);
    assert!(
        answer.text().contains('1'),
        "names the exit code: {}",
        answer.text()
    );
}

fn output_that_was_sent_cannot_be_taken_back_but_broken_off(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("late", "sh -c 'head -c 1000000 /dev/zero; exit 1'");
    let mut client = gateway.connect();
    client.send(request_bytes("POST", "/function/late", "", b""));
    assert_eq!(client.head().status, 200);
    let rest = client.rest();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it looks whole");
}

fn a_client_that_leaves_ends_its_process(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("slow", "sleep 1005");
    let mut client = gateway.connect();
    client.send(request_bytes("POST", "/function/slow", "", b""));
    eventually("it runs", || {
        (gateway.descendants().len() == 2).then_some(())
    });
    drop(client);
    eventually("it has ended", || {
        (gateway.descendants().len() == 1).then_some(())
    });
}

fn a_full_function_says_so(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy_with(
        "one",
        "sh -c 'sleep 1; cat'",
        &json!({ "envVars": { "max_inflight": "1" } }),
    );
    let mut first = gateway.connect();
    first.send(request_bytes("POST", "/function/one", "", b"x"));
    eventually("it runs", || {
        (gateway.descendants().len() > 1).then_some(())
    });
    let answer = gateway.call("one", b"");
    assert_eq!(answer.status(), 429);
    assert!(answer.text().contains("max_inflight"), "{}", answer.text());
    assert!(answer.head.header("retry-after").is_some());
    assert_eq!(first.response().text(), "x");
    assert_eq!(gateway.call("one", b"y").status(), 200);
}

fn a_call_may_lower_its_own_time_limit(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy_with(
        "slow",
        "sleep 1006",
        &json!({ "envVars": { "exec_timeout": "1h" } }),
    );
    let mut client = gateway.connect();
    let answer = client.request("POST", "/function/slow", "X-Timeout: 100ms\r\n", b"");
    assert_eq!(answer.status(), 504, "{}", answer.text());
    eventually("it has ended", || {
        (gateway.descendants().len() == 1).then_some(())
    });
}

fn the_request_is_in_the_environment(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("env", "env");
    let mut client = gateway.connect();
    let headers = "X-Own: a b\r\nContent-Type: text/x\r\n";
    let answer = client.request("PUT", "/function/env/a/b?c=d&e", headers, b"12345");
    let text = answer.text();
    for line in [
        "Http_Method=PUT",
        "Http_Path=/a/b",
        "Http_Query=c=d&e",
        "Http_X_Own=a b",
        "Http_Content_Type=text/x",
        "Http_ContentLength=5",
        "Http_Content_Length=5",
        "Http_X_Forwarded_For=127.0.0.1",
    ] {
        assert!(
            text.lines().any(|own| own == line),
            "{line} is not in: {text}"
        );
    }
    assert!(text.contains("Http_X_Call_Id="), "{text}");
}

fn an_answer_says_how_long_it_took(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("wait", "sleep 0.1");
    let answer = gateway.call("wait", b"");
    let seconds = answer.head.header("x-duration-seconds").unwrap();
    let seconds: f64 = seconds.parse().unwrap();
    assert!((0.1..20.0).contains(&seconds), "{seconds}");
}

fn a_program_need_not_read_its_input(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("deaf", "echo hello");
    let mut client = gateway.connect();
    for length in [0, 1, 5_000, 300_000] {
        client
            .try_send(request_bytes(
                "POST",
                "/function/deaf",
                "",
                &vec![b'x'; length],
            ))
            .unwrap();
        let answer = client.response();
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (200, "hello\n"),
            "{length}"
        );
        if answer.head.header("connection") == Some("close") {
            client = gateway.connect();
        }
    }
}
