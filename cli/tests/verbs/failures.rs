//! What goes wrong, and the exit code that tells a script so.

use std::io::Write as _;
use std::process::Stdio;

use crate::fake::{Fake, read};
use crate::{ringway, run, stderr, stdout};

#[test]
fn usage_is_64() {
    for arguments in [
        &[][..],
        &["nope"],
        &["list", "--nope"],
        &["scale", "wc", "many"],
        &["describe", "a/b"],
        &["list", "-g", "ftp://x"],
        &["list", "-n", "a/b"],
        &["deploy", "wc"],
    ] {
        let output = run(arguments);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            !stderr(&output).is_empty() && output.stdout.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn help_and_version_are_0_and_explain() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(stdout(&help).contains("Exit codes:") && stdout(&help).contains("Examples:"));
    assert_eq!(run(&["deploy", "--help"]).status.code(), Some(0));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

#[test]
fn a_gateway_that_is_not_there_is_69_and_says_what_to_do() {
    for arguments in [
        &["list"][..],
        &["invoke", "wc"],
        &["deploy", "wc", "--fprocess", "wc"],
        &["logs", "wc"],
    ] {
        let output = ringway(arguments)
            .env("OPENFAAS_URL", "http://127.0.0.1:1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(69), "{arguments:?}");
        let text = stderr(&output);
        assert!(
            text.contains("cannot reach the gateway at http://127.0.0.1:1")
                && text.contains("ringway up"),
            "{text}"
        );
    }
}

#[test]
fn credentials_that_are_refused_are_77() {
    let fake = Fake::with(&[(401, "")]);
    let output = run(&["list", "-g", &fake.url]);
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(77), "ringway: the gateway answered 401 Unauthorized\n")
    );
}

#[test]
fn something_that_is_no_gateway_is_76() {
    let fake = Fake::with(&[(200, "<html>"), (200, "<html>")]);
    assert_eq!(run(&["list", "-g", &fake.url]).status.code(), Some(76));
    assert_eq!(
        run(&["describe", "x", "-g", &fake.url]).status.code(),
        Some(76)
    );
    let noise = Fake::serve(|connection, _seen| {
        for _ in 0..2 {
            let (mut stream, _) = read(connection());
            stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").ok();
        }
    });
    assert_eq!(run(&["list", "-g", &noise.url]).status.code(), Some(76));
    assert_eq!(
        run(&["invoke", "wc", "-g", &noise.url]).status.code(),
        Some(76)
    );
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let fake = Fake::with(&[(200, "[]")]);
    let mut child = ringway(&["list", "-g", &fake.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before the gateway was even asked, so that the write must fail.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
}
