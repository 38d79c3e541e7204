//! Programs that write without end: they have neither the watchdog's time nor its end.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use process::{Exit, Signal};
use support::{Watchdog, hold_for, on_each_driver};

/// Bytes of an output that no buffers on its way hold.
const LENGTH: usize = 50_000_000;

#[test]
fn errors_without_end_keep_it_neither_from_its_limits_nor_from_ending() {
    on_each_driver(|driver| {
        let mut watchdog = Watchdog::start(
            driver,
            &[
                ("fprocess", "sh -c 'yes >&2'"),
                ("combine_output", "false"),
                ("exec_timeout", "300ms"),
            ],
        );
        assert!(watchdog.post("").status >= 500);
        watchdog.child.signal(Signal::TERM).unwrap();
        assert_eq!(watchdog.wait(), Exit::Code(0));
    });
}

#[test]
fn what_a_program_leaves_writing_errors_does_not_hold_the_call() {
    on_each_driver(|driver| {
        let watchdog = Watchdog::start(
            driver,
            &[
                ("fprocess", "sh -c 'yes >&2 & echo done; exit 0'"),
                ("combine_output", "false"),
            ],
        );
        // Its output is held as well, so that it is waited for in vain.
        assert_eq!(watchdog.post("").status, 200);
    });
}

#[test]
fn output_after_the_end_comes_whole_or_is_broken_off() {
    on_each_driver(|driver| {
        let script = format!("sh -c '(sleep 0.05; head -c {LENGTH} /dev/zero)&'");
        let settings = [("fprocess", script.as_str()), ("mode", "streaming")];
        let watchdog = Watchdog::start(driver, &settings);
        let mut client = UnixStream::connect(watchdog.dir().join("socket")).unwrap();
        client
            .write_all(
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )
            .unwrap();
        // Longer than what is waited for after the end, so that a send is under way by then.
        hold_for(Duration::from_millis(1500));
        let mut received = Vec::new();
        // An error, as of a reset, is a breaking off as well.
        client.read_to_end(&mut received).ok();
        let head = received.windows(4).position(|four| four == b"\r\n\r\n");
        match whole_body(&received[head.expect("a head") + 4..]) {
            Some(length) => assert_eq!(length, LENGTH),
            None => assert!(
                !received.ends_with(b"\r\n0\r\n\r\n"),
                "no end after a break"
            ),
        }
    });
}

/// The length of a chunked body; none if it breaks off.
fn whole_body(mut rest: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let digits = std::str::from_utf8(&rest[..line]).expect("a chunk begins");
        let size = usize::from_str_radix(digits, 16).expect("a chunk begins");
        let data = rest.get(line + 2..)?;
        if size == 0 {
            return Some(length);
        }
        let end = data.get(size..size + 2)?;
        assert_eq!(end, b"\r\n");
        length += size;
        rest = &data[size + 2..];
    }
}
