//! Deploying: order of the calls, what is sent, what is said.

use serde_json::json;

use crate::fake::Fake;
use crate::{ringway, run, stderr, stdout};

#[test]
fn an_existing_function_is_updated_with_put() {
    let fake = Fake::with(&[(202, r#"{"warnings":["memory limit is not enforced here"]}"#)]);
    let output = run(&[
        "deploy",
        "wc",
        "--fprocess",
        "wc -l",
        "-e",
        "A=b=c",
        "--label",
        "x=y",
        "--memory-limit",
        "64Mi",
        "-g",
        &fake.url,
    ]);
    assert_eq!(
        stdout(&output),
        format!("wc: updated, {}/function/wc\n", fake.url)
    );
    assert_eq!(
        stderr(&output),
        "ringway: warning: wc: memory limit is not enforced here\n"
    );
    assert_eq!(output.status.code(), Some(0));
    let seen = fake.seen();
    assert_eq!(
        (seen.line.as_str(), seen.header("content-type")),
        ("PUT /system/functions", Some("application/json"))
    );
    assert_eq!(
        seen.json(),
        json!({"service": "wc", "image": "", "envProcess": "wc -l", "envVars": {"A": "b=c"}, "labels": {"x": "y"}, "limits": {"memory": "64Mi"}})
    );
}

#[test]
fn an_unknown_function_is_created_with_post() {
    let fake = Fake::with(&[(404, "unknown"), (201, "")]);
    let output = run(&[
        "deploy", "--name", "wc", "--image", "x/wc", "-n", "y", "-g", &fake.url,
    ]);
    assert_eq!(
        stdout(&output),
        format!("wc: created, {}/function/wc.y\n", fake.url)
    );
    let (put, post) = (fake.seen(), fake.seen());
    assert_eq!(
        (put.line.as_str(), post.line.as_str()),
        ("PUT /system/functions", "POST /system/functions")
    );
    assert_eq!(put.body, post.body);
    assert_eq!(
        post.json(),
        json!({"service": "wc", "image": "x/wc", "namespace": "y"})
    );
}

#[test]
fn without_update_only_post_is_tried() {
    let fake = Fake::with(&[(409, r#"{"error":"wc exists"}"#)]);
    let output = run(&[
        "deploy",
        "wc",
        "--fprocess",
        "wc",
        "--update=false",
        "-g",
        &fake.url,
    ]);
    assert_eq!(
        stderr(&output),
        "ringway: wc: the gateway answered 409 Conflict: wc exists\n"
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fake.seen().line, "POST /system/functions");
    fake.quiet();
}

#[test]
fn a_stack_file_is_deployed_as_json_even_if_one_function_fails() {
    let fake = Fake::with(&[
        (400, r#"{"error":"fprocess: no such program: nope"}"#),
        (202, ""),
    ]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("stack.yml"),
        "functions:\n  a:\n    fprocess: ${PROGRAM}\n  b:\n    fprocess: ${OTHER:-cat}\n    typo: 1\n",
    )
    .unwrap();
    // No file is named: the one in the current directory counts.
    let output = ringway(&["deploy", "--json", "-g", &fake.url])
        .current_dir(folder.path())
        .env("PROGRAM", "nope")
        .output()
        .unwrap();
    assert_eq!(
        stderr(&output),
        "ringway: warning: stack.yml: key `functions.b.typo` is not known and is ignored\n\
         ringway: a: the gateway answered 400 Bad Request: fprocess: no such program: nope\n"
    );
    let done: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        done,
        json!([{"name": "b", "action": "updated", "url": format!("{}/function/b", fake.url), "warnings": []}])
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fake.seen().json()["envProcess"], "nope");
    assert_eq!(fake.seen().json()["envProcess"], "cat");
}

#[test]
fn a_stack_file_from_stdin() {
    use std::io::Write as _;
    let fake = Fake::with(&[(202, "")]);
    let mut child = ringway(&["deploy", "-f", "-", "-g", &fake.url])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"functions: {a: {fprocess: cat}}")
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fake.seen().json()["service"], "a");
}

#[test]
fn wrong_files_stop_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.yml");
    std::fs::write(&file, "functions:\n  a:\n    secrets: x\n").unwrap();
    let output = run(&["deploy", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65));
    assert!(
        stderr(&output).contains("s.yml: ") && stderr(&output).contains("line 3"),
        "{}",
        stderr(&output)
    );
    let output = run(&["deploy", "-f", "/nope/stack.yml"]);
    assert_eq!(output.status.code(), Some(66));
    let output = ringway(&["deploy"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
}
