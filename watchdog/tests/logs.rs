//! The log: as text, as JSON, and lines that are too long.

mod support;

use support::{Watchdog, on_each_driver, wait_until};

/// Takes an object of strings apart, as the log has them; none if it is anything else. Nothing here
/// has an escape but those of the test's own text.
fn fields(line: &str) -> Option<Vec<(&str, &str)>> {
    let inside = line.strip_prefix("{\"")?.strip_suffix("\"}")?;
    let pairs = inside.split("\",\"");
    pairs.map(|pair| pair.split_once("\":\"")).collect()
}

#[test]
fn every_line_can_be_an_object() {
    on_each_driver(|driver| {
        // Goal: no line is left that is not JSON, and one can tell whose it is.
        let watchdog = Watchdog::start(
            driver,
            &[
                ("fprocess", "sh -c 'cat; echo \"it is \\\"bad\\\"\" >&2'"),
                ("combine_output", "false"),
                ("log_format", "json"),
                ("prefix_logs", "false"),
                ("debug_headers", "true"),
                ("write_debug", "true"),
            ],
        );
        assert_eq!(watchdog.post("a body").text(), "a body");
        let log = watchdog.log();
        let lines: Vec<_> = log.lines().collect();
        assert!(lines.len() > 6, "{log}");
        for line in &lines {
            let fields = fields(line).unwrap_or_else(|| panic!("not an object: {line}"));
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, ["time", "stream", "message"], "{line}");
            let time = fields[0].1.as_bytes();
            assert_eq!(time.len(), "2006-01-02T15:04:05.123Z".len(), "{line}");
            assert_eq!((time[10], time[19], time[23]), (b'T', b'.', b'Z'), "{line}");
        }
        let has = |stream: &str, message: &str| {
            let end = format!("\"stream\":\"{stream}\",\"message\":\"{message}");
            lines.iter().any(|line| line.contains(&end))
        };
        assert!(has("stderr", "it is \\\"bad\\\"\"}"), "{log}");
        assert!(has("watchdog", "Forking fprocess sh -c "), "{log}");
        assert!(has("watchdog", "Wrote 6 Bytes - Duration: "), "{log}");
        assert!(has("watchdog", "Request body: a body\"}"), "{log}");
        assert!(has("watchdog", "  Host: x\"}"), "{log}");
    });
}

#[test]
fn both_streams_of_a_server_are_told_apart() {
    let settings = [
        (
            "fprocess",
            "sh -c 'echo out; echo err >&2; exec sleep 1000'",
        ),
        ("mode", "http"),
        ("http_upstream_url", "unix:none"),
        ("log_format", "json"),
    ];
    let watchdog = Watchdog::start("epoll", &settings);
    for end in [
        "\"stream\":\"stdout\",\"message\":\"out\"}\n",
        "\"stream\":\"stderr\",\"message\":\"err\"}\n",
        "\"stream\":\"watchdog\",\"message\":\"Started fprocess ",
    ] {
        wait_until("it is logged", || watchdog.log().contains(end));
    }
}

#[test]
fn why_it_ends_is_an_object_too() {
    let settings = [
        ("fprocess", "cat"),
        ("working_dir", "/nowhere"),
        ("log_format", "json"),
    ];
    let mut watchdog = Watchdog::start("epoll", &settings);
    watchdog.wait();
    let log = watchdog.log();
    assert!(
        log.contains("\"message\":\"working_dir: /nowhere cannot"),
        "{log}"
    );
    assert!(log.ends_with("\"}\n"), "{log}");
}

#[test]
fn a_line_without_an_end_is_cut_and_takes_no_memory() {
    // Goal: 200 MB without a newline pass in bounded memory, nothing of it is lost, and the call
    // is answered.
    let watchdog = Watchdog::start(
        "epoll",
        &[
            (
                "fprocess",
                "sh -c 'head -c 200000000 /dev/zero | tr \"\\0\" x >&2; echo done'",
            ),
            ("combine_output", "false"),
            ("prefix_logs", "false"),
            ("log_buffer_size", "1000000"),
        ],
    );
    assert_eq!(watchdog.post("").text(), "done\n");
    let log = watchdog.log();
    let lines: Vec<_> = log.lines().filter(|line| line.starts_with('x')).collect();
    assert!(lines.iter().all(|line| line.len() == 1_000_000));
    assert_eq!(lines.len(), 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", watchdog.child.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(kib < 32 * 1024, "{kib} KiB");
}
