//! What a caller gets: output, statuses, headers, and the function's view of the request.

mod support;

use support::{Watchdog, on_each_driver, wait_until};

#[test]
fn output_becomes_the_answer() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "wc -w")]);
        let head = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nX-Call-Id: 17\r\n";
        let answer = watchdog.call(head, "hello wide world");
        assert_eq!((answer.status, answer.text()), (200, "3\n"));
        assert_eq!(answer.header("content-type"), Some("text/csv"));
        assert_eq!(answer.header("x-call-id"), Some("17"));
        assert_eq!(answer.header("content-length"), Some("2"));
        assert!(answer.header("date").unwrap().ends_with(" GMT"));
        let seconds: f64 = answer
            .header("x-duration-seconds")
            .unwrap()
            .parse()
            .unwrap();
        assert!(seconds > 0.0);
        wait_until("both lines are logged", || {
            let log = watchdog.log();
            log.contains("Forking fprocess wc -w") && log.contains("Wrote 2 Bytes")
        });
    });
}

#[test]
fn the_content_type_is_set_by_setting_then_request_then_default() {
    let by_request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\n";
    let plain = Watchdog::start("epoll", &[("fprocess", "cat")]);
    assert_eq!(
        plain.call(by_request, "x").header("content-type"),
        Some("a/b")
    );
    assert_eq!(
        plain.post("x").header("content-type"),
        Some("application/octet-stream")
    );
    let set = Watchdog::start(
        "epoll",
        &[("fprocess", "cat"), ("content_type", "text/plain")],
    );
    assert_eq!(
        set.call(by_request, "x").header("content-type"),
        Some("text/plain")
    );
}

#[test]
fn the_function_sees_the_request_and_nothing_of_the_watchdogs_start() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(
            driver,
            &[
                ("fprocess", "env"),
                ("EXTRA", "mine"),
                ("Http_Query", "forged"),
            ],
        );
        let head =
            "PUT /a/b?q=1 HTTP/1.1\r\nHost: example.com\r\nX-Two: a\r\nx-two: b\r\nProxy: evil\r\n";
        let text = watchdog.call(head, "12345").text().to_owned();
        let mut seen: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("TMPDIR="))
            .collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            [
                "EXTRA=mine",
                "Http_ContentLength=5",
                "Http_Content_Length=5",
                "Http_Host=example.com",
                "Http_Method=PUT",
                "Http_Path=/a/b",
                "Http_Query=q=1",
                "Http_X_Two=a, b",
                "PATH=/usr/bin:/bin",
                "fprocess=env",
            ]
        );
        // Nor is anything left of an earlier request.
        assert!(!watchdog.get("/").text().contains("Http_Query"));
    });
}

#[test]
fn headers_stay_away_if_they_are_not_wanted() {
    let watchdog = Watchdog::start("epoll", &[("fprocess", "env"), ("cgi_headers", "false")]);
    assert!(!watchdog.post("x").text().contains("Http_"));
}

#[test]
fn descriptors_of_the_watchdog_do_not_reach_the_function() {
    on_each_driver(|driver| {
        let settings = [
            ("fprocess", "ls /proc/self/fd"),
            ("combine_output", "false"),
        ];
        let watchdog = Watchdog::start(driver, &settings);
        let idle = watchdog.connect();
        // ls has the folder itself open as 3.
        assert_eq!(watchdog.post("body").text(), "0\n1\n2\n3\n");
        assert_eq!(watchdog.get("/").text(), "0\n1\n2\n3\n");
        drop(idle);
    });
}

#[test]
fn a_failure_is_500_with_the_output() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "sh -c 'echo partly; exit 3'")]);
        let answer = watchdog.post("");
        assert_eq!((answer.status, answer.text()), (500, "partly\n"));
        wait_until("the exit code is logged", || {
            watchdog.log().contains("Error: exit code 3")
        });
    });
}

#[test]
fn classic_mode_tells_the_exit_code_in_the_first_line() {
    let script = "sh -c 'printf %s \"$OUTPUT\"; exit $STATUS'";
    let start = |status, output| {
        let settings = [
            ("mode", "classic"),
            ("fprocess", script),
            ("STATUS", status),
            ("OUTPUT", output),
        ];
        Watchdog::start("epoll", &settings)
    };
    let watchdog = start("3", "partly");
    let answer = watchdog.post("");
    assert_eq!(
        (answer.status, answer.text()),
        (500, "exit status 3\npartly")
    );
    let answer = start("1", "").post("");
    assert_eq!((answer.status, answer.text()), (500, "exit status 1\n"));
    assert_eq!(start("0", "all").post("").text(), "all");
}

#[test]
fn health_and_readiness_can_only_be_asked_for() {
    let watchdog = Watchdog::start("epoll", &[("fprocess", "cat")]);
    for path in ["/_/health", "/_/ready"] {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = watchdog.call(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\n"), "");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("Allow"), Some("GET, HEAD"));
        }
        assert_eq!(watchdog.get(path).status, 200);
    }
}

#[test]
fn a_failure_without_output_is_explained() {
    let watchdog = Watchdog::start("epoll", &[("fprocess", "sh -c 'kill -SEGV $$'")]);
    let answer = watchdog.post("");
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .starts_with("the function failed without output: ended by SIGSEGV"),
        "{}",
        answer.text()
    );
    let json = watchdog.call(
        "POST / HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n",
        "",
    );
    assert!(
        json.text()
            .ends_with("\",\"kind\":\"function-failed\",\"status\":500}\n"),
        "{}",
        json.text()
    );
    assert_eq!(json.header("content-type"), Some("application/json"));
}

#[test]
fn a_failure_after_much_output_breaks_the_answer_off() {
    on_each_driver(|driver| {
        let script = "sh -c 'head -c 300000 /dev/zero; exit $STATUS'";
        let failing = Watchdog::start(driver, &[("fprocess", script), ("STATUS", "1")]);
        let answer = failing.post("");
        assert_eq!(
            (answer.status, answer.body.len(), answer.is_whole),
            (200, 300_000, false)
        );
        let well = Watchdog::start(driver, &[("fprocess", script), ("STATUS", "0")]);
        let answer = well.post("");
        assert_eq!(
            (answer.status, answer.body.len(), answer.is_whole),
            (200, 300_000, true)
        );
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    });
}

#[test]
fn standard_error_goes_into_the_output_or_to_the_log() {
    on_each_driver(|driver| {
        let script = "sh -c 'echo out; echo err >&2; printf end >&2'";
        let combined = Watchdog::start(driver, &[("fprocess", script)]);
        assert_eq!(combined.post("").text(), "out\nerr\nend");
        let apart = Watchdog::start(driver, &[("fprocess", script), ("combine_output", "false")]);
        assert_eq!(apart.post("").text(), "out\n");
        let log = apart.log();
        let line = log
            .lines()
            .find(|line| line.ends_with("stderr: err"))
            .unwrap();
        assert_eq!(line.len(), "2006/01/02 15:04:05 stderr: err".len());
        assert!(
            log.contains(" stderr: end\n"),
            "a last line without an end is logged too"
        );
        let settings = [
            ("fprocess", script),
            ("combine_output", "false"),
            ("prefix_logs", "false"),
        ];
        let plain = Watchdog::start(driver, &settings);
        plain.post("");
        assert!(plain.log().lines().any(|line| line == "err"));
    });
}

#[test]
fn endless_lines_of_standard_error_are_cut() {
    let script = "sh -c 'head -c 200000 /dev/zero | tr \"\\0\" x >&2'";
    let settings = [
        ("fprocess", script),
        ("combine_output", "false"),
        ("prefix_logs", "false"),
    ];
    let watchdog = Watchdog::start("epoll", &settings);
    assert_eq!(watchdog.post("").status, 200);
    let log = watchdog.log();
    let lines: Vec<_> = log.lines().filter(|line| line.starts_with('x')).collect();
    assert_eq!(lines.concat().len(), 200_000);
    assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 96 * 1024));
}

#[test]
fn head_answers_tell_the_length_only() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(
            driver,
            &[(
                "fprocess",
                "sh -c 'printf $Http_Method; head -c 100000 /dev/zero'",
            )],
        );
        let mut client = watchdog.connect();
        client.send_raw(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
        let head = client.head();
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some("100004"))
        );
        // The next answer follows at once: there was no body.
        client.send_raw(b"GET /_/health HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer().text(), "OK\n");
    });
}

#[test]
fn old_clients_are_understood() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "head -c 300000 /dev/zero")]);
        let mut client = watchdog.connect();
        client.send_raw(b"GET / HTTP/1.0\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.body.len()), (200, 300_000));
        assert_eq!(answer.header("transfer-encoding"), None);
        assert_eq!(answer.header("connection"), Some("close"));
        let short = Watchdog::start(driver, &[("fprocess", "echo hi")]);
        let mut client = short.connect();
        for _ in 0..2 {
            client.send_raw(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            let answer = client.answer();
            assert_eq!(
                (answer.text(), answer.header("connection")),
                ("hi\n", Some("keep-alive"))
            );
        }
    });
}

#[test]
fn the_request_can_be_a_json_document() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat"), ("marshal_request", "true")]);
        let answer = watchdog.call("POST / HTTP/1.1\r\nHost: x\r\nX-A: \"1\"\r\n", "hello");
        let want = "{\"header\":{\"Host\":[\"x\"],\"X-A\":[\"\\\"1\\\"\"],\"Content-Length\":[\"5\"]},\"body\":{\"raw\":\"aGVsbG8=\"}}";
        assert_eq!(answer.text(), want);
        let empty = watchdog.get("/");
        assert_eq!(
            empty.text(),
            "{\"header\":{\"Host\":[\"x\"]},\"body\":{\"raw\":\"\"}}"
        );
    });
}

#[test]
fn debugging_shows_headers_and_bodies_in_the_log() {
    let settings = [
        ("fprocess", "tr a-z A-Z"),
        ("write_debug", "true"),
        ("debug_headers", "1"),
    ];
    let watchdog = Watchdog::start("epoll", &settings);
    watchdog.call("POST /p HTTP/1.1\r\nHost: x\r\nX-A: b\r\n", "hello");
    let log = watchdog.log();
    for want in [
        "POST /p",
        "  X-A: b",
        "Request body: hello",
        "Response body: HELLO",
    ] {
        assert!(log.contains(want), "{want} is not in {log}");
    }
}
