//! `mode=streaming`: output goes out as the program writes it.

mod support;

use support::{Watchdog, noise, on_each_driver, wait_until};

fn start(driver: &str, fprocess: &str, settings: &[(&str, &str)]) -> Watchdog {
    let own = [("fprocess", fprocess), ("mode", "streaming")];
    Watchdog::start(driver, &[&own, settings].concat())
}

#[test]
fn a_byte_arrives_before_the_next_is_asked_for() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "cat", &[]);
        let mut client = watchdog.connect();
        client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send_raw(b"1\r\n0\r\n");
        let head = client.head();
        assert_eq!(
            (head.status, head.header("transfer-encoding")),
            (200, Some("chunked"))
        );
        assert_eq!(client.exactly(6), b"1\r\n0\r\n");
        for byte in b"123456789" {
            let chunk = [b'1', b'\r', b'\n', *byte, b'\r', b'\n'];
            client.send_raw(&chunk);
            assert_eq!(client.exactly(6), chunk);
        }
        client.send_raw(b"0\r\n\r\n");
        assert_eq!(client.exactly(5), b"0\r\n\r\n");
        // The connection goes on.
        client.send_raw(b"GET /_/health HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer().status, 200);
    });
}

#[test]
fn an_old_client_reads_until_the_connection_ends() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "sh -c 'echo one; echo two'", &[]);
        let mut client = watchdog.connect();
        client.send_raw(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (200, "one\ntwo\n"));
        assert_eq!(answer.header("transfer-encoding"), None);
        assert_eq!(answer.header("connection"), Some("close"));
    });
}

#[test]
fn who_fails_before_the_first_byte_is_told_with_a_status() {
    on_each_driver(|driver| {
        let cases = [
            ("false", 500, "exit code 1"),
            ("sh -c 'kill -9 $$'", 500, "ended by SIGKILL"),
            ("sleep 1000", 504, "exec_timeout (300ms)"),
        ];
        for (fprocess, status, why) in cases {
            let watchdog = start(driver, fprocess, &[("exec_timeout", "300ms")]);
            let answer = watchdog.post("");
            assert_eq!(answer.status, status, "{fprocess}");
            assert!(answer.text().contains(why), "{}", answer.text());
            wait_until("no process is left", || watchdog.children().is_empty());
        }
        let silent = start(driver, "true", &[]);
        let answer = silent.post("x");
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (200, Some("0"))
        );
    });
}

#[test]
fn who_fails_after_the_first_byte_breaks_the_answer_off() {
    on_each_driver(|driver| {
        for script in [
            "sh -c 'echo out; sleep 0.05; exit 1'",
            "sh -c 'echo out; sleep 0.05; kill -9 $$'",
            "sh -c 'echo out; sleep 1000'",
        ] {
            let watchdog = start(driver, script, &[("exec_timeout", "300ms")]);
            let answer = watchdog.post("");
            assert_eq!((answer.status, answer.text()), (200, "out\n"));
            assert!(!answer.is_whole, "{script}");
            wait_until("no process is left", || watchdog.children().is_empty());
        }
    });
}

#[test]
fn a_client_that_leaves_ends_the_program() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "sh -c 'echo begun; exec sleep 1000'", &[]);
        let mut client = watchdog.connect();
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"");
        assert_eq!(client.head().status, 200);
        drop(client);
        wait_until("no process is left", || watchdog.children().is_empty());
    });
}

#[test]
fn a_gibibyte_without_a_line_end_passes_in_bounded_memory() {
    let bytes = 1 << 30;
    for mode in ["streaming", "fork"] {
        let script = format!("head -c {bytes} /dev/zero");
        let watchdog = Watchdog::start("epoll", &[("fprocess", &script), ("mode", mode)]);
        watchdog.get("/_/health");
        let before = watchdog.memory_kib("VmHWM:");
        let mut client = watchdog.connect();
        client.send_raw(b"GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.head().status, 200);
        assert_eq!(client.count_rest(), bytes);
        let grown = watchdog.memory_kib("VmHWM:") - before;
        assert!(grown < 2048, "{mode}: {grown} KiB more than before");
    }
}

#[test]
fn large_bodies_pass_both_ways_at_once() {
    on_each_driver(|driver| {
        let watchdog = start(driver, "cat", &[]);
        let body = noise(8 << 20);
        let mut client = watchdog.connect();
        let answer = client.exchange(&body);
        assert!(answer.is_whole && answer.body == body);
    });
}
