//! Logs as a stream: lines appear as they come, in the form that was asked for.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc::channel;

use crate::fake::{Fake, read};
use crate::{ringway, run, stderr, stdout};

const LINE: &str = r#"{"name":"wc","namespace":"ns","instance":"wc-1","timestamp":"2026-11-25T08:00:00Z","text":"hello"}"#;

#[test]
fn flags_become_a_query() {
    let fake = Fake::with(&[(200, "")]);
    let output = run(&[
        "logs",
        "wc",
        "--tail",
        "5",
        "--since-time",
        "2026-11-25T08:00:00+01:00",
        "--replica",
        "wc-1",
        "-n",
        "ns",
        "-g",
        &fake.url,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        fake.seen().line,
        "GET /system/logs?name=wc&namespace=ns&instance=wc-1&tail=5&since=2026-11-25T08%3A00%3A00%2B01%3A00"
    );
}

#[test]
fn since_is_a_point_in_time() {
    let fake = Fake::with(&[(200, "")]);
    run(&["logs", "wc", "--since", "10m", "-g", &fake.url]);
    let line = fake.seen().line;
    assert!(
        line.starts_with("GET /system/logs?name=wc&since=20") && line.ends_with('Z'),
        "{line}"
    );
}

#[test]
fn json_is_what_the_gateway_said() {
    let fake = Fake::with(&[(200, &format!("{LINE}\n"))]);
    assert_eq!(
        stdout(&run(&["logs", "wc", "--json", "-g", &fake.url])),
        format!("{LINE}\n")
    );
}

/// Goal: with `--follow` nobody waits for a second line to see the first.
/// Steps: the gateway sends one line and goes on only after the test has read it.
#[test]
fn a_line_is_shown_before_the_next_one_comes() {
    let (go_on, wait) = channel::<()>();
    let fake = Fake::serve(move |connection, seen| {
        let (mut stream, request) = read(connection());
        seen.send(request).unwrap();
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            )
            .unwrap();
        for _ in 0..2 {
            write!(stream, "{:x}\r\n{LINE}\n\r\n", LINE.len() + 1).unwrap();
            wait.recv().unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let mut child = ringway(&["logs", "-f", "wc", "--instance", "-g", &fake.url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(fake.seen().line, "GET /system/logs?name=wc&follow=true");
    for _ in 0..2 {
        assert_eq!(
            lines.next().unwrap().unwrap(),
            "2026-11-25T08:00:00Z (wc-1) hello"
        );
        go_on.send(()).unwrap();
    }
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_unknown_function_is_a_failure() {
    let fake = Fake::with(&[(404, r#"{"error":"no function nope"}"#)]);
    let output = run(&["logs", "nope", "-g", &fake.url]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "ringway: the gateway answered 404 Not Found: no function nope\n"
    );
}
