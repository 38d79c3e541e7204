//! Serializing mode through gateway and watchdog: the status is known before the first byte.

use serde_json::json;
use tests::{Driver, Gateway, under_each_driver};

under_each_driver! {
    a_failure_after_much_output_is_a_status
    bodies_of_every_size_come_back_with_their_length
    what_is_too_large_is_refused_with_a_reason
}

fn with(driver: Driver, command: &str, settings: &[(&str, &str)]) -> Gateway {
    let gateway = Gateway::start(driver);
    let mut variables = json!({ "mode": "serializing" });
    for (setting, value) in settings {
        variables[*setting] = (*value).into();
    }
    gateway.deploy_with("f", command, &json!({ "envVars": variables }));
    gateway
}

fn a_failure_after_much_output_is_a_status(driver: Driver) {
    let gateway = with(driver, "sh -c 'head -c 3000000 /dev/zero; exit 1'", &[]);
    let answer = gateway.call("f", b"");
    assert_eq!((answer.status(), answer.body.len()), (500, 3_000_000));
    assert_eq!(answer.head.header("content-length"), Some("3000000"));
}

fn bodies_of_every_size_come_back_with_their_length(driver: Driver) {
    let gateway = with(driver, "cat", &[]);
    let mut client = gateway.connect();
    for length in [0, 1, 5_000, 70_000, 3_000_000] {
        let body = vec![b'x'; length];
        let answer = client.post("/function/f", &body);
        assert_eq!(
            (answer.status(), answer.body == body),
            (200, true),
            "{length}"
        );
        let text = length.to_string();
        assert_eq!(answer.head.header("content-length"), Some(text.as_str()));
    }
}

fn what_is_too_large_is_refused_with_a_reason(driver: Driver) {
    let limits = [
        ("http_buffer_bytes_max", "1000"),
        ("output_bytes_max", "1000"),
    ];
    let gateway = with(driver, "sh -c 'cat; head -c 1 /dev/zero'", &limits);
    let answer = gateway.call("f", &[b'x'; 1001]);
    assert_eq!(answer.status(), 413);
    let text = answer.text();
    assert!(
        text.contains("http_buffer_bytes_max (1000 bytes)"),
        "{text}"
    );
    let answer = gateway.call("f", &[b'x'; 1000]);
    assert_eq!(answer.status(), 500);
    let text = answer.text();
    assert!(text.contains("output_bytes_max (1000 bytes)"), "{text}");
    assert!(text.contains("mode=streaming"), "{text}");
}
