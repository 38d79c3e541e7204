//! `mode=serializing`: whole body in, whole output out, and the status is known before the first byte.

mod support;

use std::time::Duration;

use support::{Watchdog, hold_for, noise, on_each_driver, wait_until};

fn start(driver: &str, fprocess: &str, settings: &[(&str, &str)]) -> Watchdog {
    let own = [("fprocess", fprocess), ("mode", "serializing")];
    Watchdog::start(driver, &[&own, settings].concat())
}

#[test]
fn a_failure_after_much_output_is_a_status_with_all_of_it() {
    on_each_driver(|driver| {
        let script = "sh -c 'head -c 3000000 /dev/zero; exit $STATUS'";
        for (code, status) in [("0", 200), ("3", 500)] {
            let watchdog = start(driver, script, &[("STATUS", code)]);
            let answer = watchdog.post("");
            assert_eq!((answer.status, answer.is_whole), (status, true));
            assert_eq!(answer.header("content-length"), Some("3000000"));
            assert_eq!(answer.body, vec![0; 3_000_000]);
        }
        let silent = start(driver, "false", &[]);
        let answer = silent.post("");
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains("exit code 1"), "{}", answer.text());
    });
}

#[test]
fn bodies_of_every_size_come_back_whole_on_one_connection() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "cat", &[]);
        let mut client = watchdog.connect();
        for length in [0, 1, 4096, 4097, 65_536, 65_537, 200_000, 5_000_000] {
            let body = noise(length);
            client.send("POST / HTTP/1.1\r\nHost: x\r\n", &body);
            let answer = client.answer();
            assert_eq!(answer.status, 200, "{length}");
            assert!(answer.body == body, "{length}");
        }
        client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..1000 {
            client.send_raw(b"1\r\nx\r\n");
        }
        client.send_raw(b"0\r\n\r\n");
        assert_eq!(client.answer().body, vec![b'x'; 1000]);
        client.send_raw(b"GET / HTTP/1.0\r\n\r\n");
        let answer = client.answer();
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("0"))
        );
    });
}

#[test]
fn a_slow_client_costs_no_process_and_is_told_when_its_time_is_over() {
    on_each_driver(|driver| {
        let settings = [("read_timeout", "300ms"), ("exec_timeout", "250ms")];
        let watchdog = start(driver, "cat", &settings);
        let mut slow = watchdog.connect();
        slow.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell");
        let answer = slow.answer();
        assert_eq!(answer.status, 408);
        assert!(
            answer.text().contains("read_timeout (300ms)"),
            "{}",
            answer.text()
        );
        assert!(!watchdog.log().contains("Forking"), "{}", watchdog.log());
        // The time that a client takes is not the program's.
        let patient = start(
            driver,
            "sh -c 'sleep 0.1; cat'",
            &[("exec_timeout", "400ms")],
        );
        let mut client = patient.connect();
        client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell");
        hold_for(Duration::from_millis(350));
        client.send_raw(b"o");
        assert_eq!(client.answer().text(), "hello");
    });
}

#[test]
fn what_is_too_large_is_refused_and_the_limit_named() {
    on_each_driver(|driver| {
        let settings = [
            ("http_buffer_bytes_max", "1000"),
            ("output_bytes_max", "100000"),
        ];
        let watchdog = start(driver, "cat", &settings);
        let want = "the request body is larger than http_buffer_bytes_max (1000 bytes), and this mode collects it whole; send less, raise it, or use mode=streaming\n";
        // Announced, it is refused before it is asked for.
        let mut client = watchdog.connect();
        client.send_raw(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n",
        );
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (413, want));
        let mut client = watchdog.connect();
        client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n");
        client.send_raw(&[b'x'; 1001]);
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (413, want));
        assert_eq!(watchdog.post([b'x'; 1000]).status, 200);
        let large = start(driver, "head -c 100001 /dev/zero", &settings);
        let answer = large.post("");
        assert_eq!(answer.status, 500);
        let want = "the function wrote more than output_bytes_max (100000 bytes) and was killed; raise it, or use mode=streaming, which has no limit\n";
        assert_eq!(answer.text(), want);
        wait_until("no process is left", || large.children().is_empty());
    });
}

#[test]
fn an_endless_output_is_ended_at_the_limit_and_its_memory_given_back() {
    let watchdog = start("epoll", "yes", &[("output_bytes_max", "20000000")]);
    let answer = watchdog.post("");
    assert_eq!(answer.status, 500);
    let peak = watchdog.memory_kib("VmHWM:");
    assert!(peak < 20_000 + 12_000, "{peak} KiB");
    wait_until("it is given back", || {
        watchdog.memory_kib("VmRSS:") < 15_000
    });
}

#[test]
fn a_document_is_made_of_a_collected_body() {
    let settings = [("marshal_request", "true")];
    let watchdog = start("epoll", "cat", &settings);
    let text = watchdog.post("hello").text().to_owned();
    assert!(text.ends_with("\"body\":{\"raw\":\"aGVsbG8=\"}}"), "{text}");
    let text = watchdog.get("/").text().to_owned();
    assert!(text.ends_with("\"body\":{\"raw\":\"\"}}"), "{text}");
}

#[test]
fn a_time_limit_that_passes_while_output_is_held_is_a_status() {
    on_each_driver(|driver| {
        let script = "sh -c 'head -c 300000 /dev/zero; sleep 1000'";
        let watchdog = start(driver, script, &[("exec_timeout", "300ms")]);
        let answer = watchdog.post("");
        assert_eq!(answer.status, 504);
        assert!(
            answer.text().contains("exec_timeout (300ms)"),
            "{}",
            answer.text()
        );
        wait_until("no process is left", || watchdog.children().is_empty());
    });
}

#[test]
fn an_output_in_memory_holds_its_place_until_it_has_been_read() {
    on_each_driver(|driver| {
        let settings = [("max_inflight", "1")];
        let watchdog = start(driver, "head -c 5000000 /dev/zero", &settings);
        let mut slow = watchdog.connect();
        slow.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        wait_until("its process has ended", || {
            watchdog.log().contains("Wrote 5000000 Bytes")
        });
        assert_eq!(watchdog.post("").status, 429);
        assert_eq!(slow.answer().body.len(), 5_000_000);
        wait_until("the place is free", || watchdog.post("").status == 200);
    });
}
