//! Calling a function: what reaches it, and how its answer comes back.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::thread;

use crate::fake::{Fake, chunk, head, read};
use crate::{ringway, run, stderr, stdout};

fn piped(arguments: &[&str]) -> Child {
    ringway(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_pipe_is_sent_chunked_and_the_answer_is_printed_as_it_is() {
    let fake = Fake::with(&[(200, "no line end")]);
    let mut child = piped(&[
        "invoke",
        "wc",
        "-H",
        "X-A=1",
        "--query",
        "q=a b",
        "--content-type",
        "text/x",
        "-g",
        &fake.url,
    ]);
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (stdout(&output).as_str(), output.status.code()),
        ("no line end", Some(0))
    );
    let seen = fake.seen();
    assert_eq!(
        (seen.line.as_str(), seen.body.as_slice()),
        ("POST /function/wc?q=a%20b", &b"hello"[..])
    );
    assert_eq!(
        (seen.header("x-a"), seen.header("content-type")),
        (Some("1"), Some("text/x"))
    );
    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_file_is_sent_with_its_length_from_where_it_is_read() {
    let fake = Fake::with(&[(200, "")]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, "0123456789").unwrap();
    let mut file = File::open(&path).unwrap();
    file.read_exact(&mut [0; 4]).unwrap();
    let output = ringway(&["invoke", "wc", "-m", "put", "-g", &fake.url])
        .stdin(file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let seen = fake.seen();
    assert_eq!(
        (seen.line.as_str(), seen.body.as_slice()),
        ("PUT /function/wc", &b"456789"[..])
    );
    assert_eq!(seen.header("content-length"), Some("6"));
}

#[test]
fn a_get_does_not_wait_for_stdin() {
    let fake = Fake::with(&[(200, "ok")]);
    let mut child = piped(&[
        "invoke", "wc", "--method", "GET", "--path", "/a/b", "-n", "ns", "-g", &fake.url,
    ]);
    // Held open: a client that read it would never end.
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(stdout(&output), "ok");
    let seen = fake.seen();
    assert_eq!(seen.line, "GET /function/wc.ns/a/b");
    assert_eq!(
        (
            seen.header("content-length"),
            seen.header("transfer-encoding")
        ),
        (None, None)
    );
}

#[test]
fn async_goes_to_its_own_route_and_tells_the_call_id() {
    let fake = Fake::with(&[(202, "")]);
    let output = run(&["invoke", "wc", "--async", "-g", &fake.url]);
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(0), "wc: accepted, call id c-1\n")
    );
    assert_eq!(fake.seen().line, "POST /async-function/wc");
}

#[test]
fn a_bad_status_goes_to_stderr_with_its_body() {
    let fake = Fake::with(&[(500, "exit status 3\n")]);
    let output = run(&["invoke", "wc", "-g", &fake.url]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        (stdout(&output).as_str(), stderr(&output).as_str()),
        (
            "",
            "ringway: wc: 500 Internal Server Error\nexit status 3\n"
        )
    );
}

#[test]
fn credentials_of_the_gateway_do_not_reach_a_function() {
    let fake = Fake::with(&[(200, "")]);
    let url = fake.url.replace("http://", "http://admin:secret@");
    run(&["invoke", "wc", "-g", &url]);
    assert_eq!(fake.seen().header("authorization"), None);
}

/// Goal: an answer that comes while the body still goes must not stop either.
/// Steps: echo 32 MiB, chunk by chunk, through buffers that are far smaller; write and read at
/// once; compare.
#[test]
fn body_and_answer_stream_at_the_same_time() {
    static PIECE: [u8; 65_536] = [b'x'; 65_536];
    const PIECES: usize = 512;
    let fake = Fake::serve(|connection, _seen| {
        let mut stream = connection();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        head(&mut reader);
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        while let Some(chunk) = chunk(&mut reader) {
            write!(stream, "{:x}\r\n", chunk.len()).unwrap();
            stream.write_all(&chunk).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let mut child = piped(&["invoke", "cat", "-g", &fake.url]);
    let mut stdin = child.stdin.take().unwrap();
    // The first piece comes back before the second is sent: nothing is held back.
    stdin.write_all(b"first").unwrap();
    let mut first = [0; 5];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    assert_eq!(&first, b"first");
    let writer = thread::spawn(move || (0..PIECES).for_each(|_| stdin.write_all(&PIECE).unwrap()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout.len(), PIECE.len() * PIECES);
    assert!(output.stdout.iter().all(|byte| *byte == b'x'));
}

#[test]
fn an_answer_that_breaks_off_is_a_failure_after_what_came() {
    let fake = Fake::serve(|connection, _seen| {
        let (mut stream, _) = read(connection());
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            .unwrap();
    });
    let output = run(&["invoke", "wc", "-g", &fake.url]);
    assert_eq!(
        (stdout(&output).as_str(), output.status.code()),
        ("half", Some(69))
    );
    assert!(stderr(&output).contains("broke off"), "{}", stderr(&output));
}

#[test]
fn an_early_answer_ends_the_command_although_stdin_is_open() {
    let fake = Fake::serve(|connection, _seen| {
        let mut stream = connection();
        head(&mut BufReader::new(stream.try_clone().unwrap()));
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope")
            .unwrap();
    });
    let mut child = piped(&["invoke", "wc", "-g", &fake.url]);
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "ringway: wc: 404 Not Found\nnope\n");
}
