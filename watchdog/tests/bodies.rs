//! Bytes in both directions: framing, order, size, and programs that read in their own way.

mod support;

use std::io::{ErrorKind, Write};
use std::time::Duration;

use support::{Watchdog, noise, on_each_driver, wait_until};

#[test]
fn large_bodies_stream_through() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let body = noise(8 << 20);
        let mut client = watchdog.connect();
        let answer = client.exchange(&body);
        assert!(answer.is_whole && answer.body == body);
        // Nothing is left over: the connection goes on.
        client.send("POST / HTTP/1.1\r\nHost: x\r\n", b"again");
        assert_eq!(client.answer().text(), "again");
    });
}

/// What a body of 64 MiB may add: the buffers that the ring lends to the kernel (4 MiB), those of one
/// call, and room for the allocator's. On a busy machine 7 MiB were seen.
const GROWTH_KIB_MAX: usize = 8192;

#[test]
fn memory_does_not_grow_with_the_body() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        watchdog.post("warm");
        let before = watchdog.memory_kib("VmHWM:");
        let answer = watchdog.connect().exchange(&noise(64 << 20));
        assert_eq!(answer.body.len(), 64 << 20);
        let grown = watchdog.memory_kib("VmHWM:") - before;
        assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more than before");
    });
}

#[test]
fn an_upload_that_nobody_reads_is_not_collected() {
    on_each_driver(|driver| {
        // Steps: send 64 MiB to a program that reads nothing, until a write has waited for so long
        // that the watchdog has clearly stopped reading; it must not have taken all, or grown.
        let script = "sh -c 'test -z \"$Http_X_Wait\" || exec sleep 1000'";
        let watchdog = Watchdog::start(driver, &[("fprocess", script)]);
        watchdog.post("warm");
        let before = watchdog.memory_kib("VmHWM:");
        let mut client = watchdog.connect();
        client.send_raw(
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Wait: 1\r\nContent-Length: 67108864\r\n\r\n",
        );
        let patience = Some(Duration::from_millis(300));
        client.stream.set_write_timeout(patience).unwrap();
        let error = client.stream.write_all(&noise(64 << 20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let grown = watchdog.memory_kib("VmHWM:") - before;
        assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more than before");
    });
}

#[test]
fn a_program_that_writes_before_it_reads_cannot_block() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(
            driver,
            &[("fprocess", "sh -c 'head -c 1000000 /dev/zero; wc -c'")],
        );
        let answer = watchdog.connect().exchange(&noise(1_000_000));
        assert_eq!(&answer.body[1_000_000..], b"1000000\n");
    });
}

#[test]
fn a_program_that_does_not_read_leaves_the_connection_usable() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(
            driver,
            &[("fprocess", "sh -c 'exec <&-; echo closed; sleep 0.05'")],
        );
        let mut client = watchdog.connect();
        for body in [noise(100), noise(200_000), noise(10)] {
            client.send("POST / HTTP/1.1\r\nHost: x\r\n", &body);
            let answer = client.answer();
            assert_eq!((answer.status, answer.text()), (200, "closed\n"));
            if answer.header("connection") == Some("close") {
                client = watchdog.connect();
            }
        }
    });
}

#[test]
fn chunked_requests_are_decoded() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let mut client = watchdog.connect();
        client.send_raw(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        );
        client.send_raw(b"6;x=y\r\n world\r\n0\r\nX-T: t\r\n\r\n");
        assert_eq!(client.answer().text(), "hello world");
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let mut client = watchdog.connect();
        let mut all = Vec::new();
        for body in ["one", "two", "three"] {
            all.extend_from_slice(
                format!(
                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            );
        }
        client.send_raw(&all);
        let answers: Vec<_> = (0..3).map(|_| client.answer().text().to_owned()).collect();
        assert_eq!(answers, ["one", "two", "three"]);
    });
}

#[test]
fn requests_in_small_pieces_are_put_together() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let mut client = watchdog.connect();
        for byte in b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" {
            client.send_raw(&[*byte]);
            std::thread::yield_now();
        }
        assert_eq!(client.answer().text(), "abc");
    });
}

#[test]
fn clients_that_wait_to_be_asked_are_asked() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let mut client = watchdog.connect();
        client.send_raw(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        );
        assert_eq!(client.head().status, 100);
        client.send_raw(b"body");
        assert_eq!(client.answer().text(), "body");
    });
}

#[test]
fn wrong_requests_are_refused_with_a_reason() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(driver, &[("fprocess", "cat")]);
        let cases = [
            (
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
            ("nonsense\r\n\r\n", 400),
            (
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                400,
            ),
        ];
        for (text, status) in cases {
            let mut client = watchdog.connect();
            client.send_raw(text.as_bytes());
            let answer = client.answer();
            assert_eq!(answer.status, status, "{text}");
            assert_eq!(answer.header("connection"), Some("close"), "{text}");
            assert!(
                answer.text().starts_with("the request is not valid HTTP: "),
                "{}",
                answer.text()
            );
            assert!(client.is_closed(), "{text}");
        }
        let mut client = watchdog.connect();
        let large = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "y".repeat(70_000)
        );
        client.send_raw(large.as_bytes());
        assert_eq!(client.answer().status, 431);
        wait_until("no process is left of the refused body", || {
            watchdog.children().is_empty()
        });
    });
}
