//! The workers that are ready-made for languages, in `stack/templates`: each serves the same tests
//! with a handler of the test's own.

use std::{fs, path::Path, process::Command};

use tests::{Driver, http::request_bytes};

use super::alone::Watchdog;

#[test]
fn python() {
    let handler = r#"
from worker import Response
import os, subprocess

calls = 0

def handle(request):
    global calls
    calls += 1
    print("this goes to the log")
    os.write(1, b"and this\n")
    subprocess.run(["echo", "and that"])
    if request.path == "/echo":
        return request.body
    if request.path == "/fail":
        raise ValueError("as it should")
    if request.path == "/json":
        return {"asked": request.json()["ask"], "query": request.query}
    if request.path == "/full":
        return Response("made\n", 201, {"X-Own": request.headers["x-own"], "content-type": "text/x"})
    return str(calls)
"#;
    serves_all("python", "python3", "worker.py", "handler.py", handler);
}

#[test]
fn node() {
    let handler = r"
const { execFileSync } = require('node:child_process');
let calls = 0;
module.exports = async (request) => {
  calls += 1;
  console.log('this goes to the log');
  process.stdout.write('and this\n');
  console.error(execFileSync('echo', ['and that']).toString().trim());
  await new Promise((resolve) => setTimeout(resolve, 1));
  switch (request.path) {
    case '/echo': return request.body;
    case '/fail': throw new Error('as it should');
    case '/json': return { asked: JSON.parse(request.body).ask, query: request.query };
    case '/full': return { status: 201, body: 'made\n', headers: { 'X-Own': request.headers['x-own'], 'content-type': 'text/x' } };
    default: return String(calls);
  }
};
";
    serves_all("node", "node", "worker.js", "handler.js", handler);
}

#[test]
fn bash() {
    let handler = r#"
calls=$(mktemp -p "$work")
handle() {
  echo . >>"$calls"
  printf 'this goes to the log\nand this\nand that\n' >&2
  case $path in
    /echo) header 'Content-Type: application/octet-stream'; cat ;;
    /fail) echo 'as it should'; return 3 ;;
    /json) header 'Content-Type: application/json'
      printf '{"asked": %s, "query": "%s"}' "$(tr -dc 0-9)" "$query" ;;
    /full) status 201; header "X-Own: ${headers[x-own]}"; header 'content-type: text/x'; echo made ;;
    *) printf %d "$(wc -l <"$calls")" ;;
  esac
}
"#;
    serves_all("bash", "bash", "worker.sh", "handler.sh", handler);
}

/// Goal: whoever writes a function need not know the protocol, and cannot break it by accident.
/// 1. the example that lies beside the binding answers;
/// 2. bodies of any bytes and sizes come back as they were sent;
/// 3. status, headers and JSON are what the handler says;
/// 4. a failure is a 500 with its text, and the same process goes on;
/// 5. HEAD has no body, and the next answer is in its place;
/// 6. what is printed is in the log, not in an answer;
/// 7. it ends by itself when its input does.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn serves_all(language: &str, program: &str, worker: &str, handler: &str, own: &str) {
    if Command::new(program).arg("--version").output().is_err() {
        eprintln!("left out: {program} is not installed, so its binding is not tested");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let template = root.join("stack/templates").join(language);
    let example = run(program, &template.join(worker));
    let answer = example.connect().post("/", b"hi");
    assert_eq!(answer.text().trim_end(), "Hello! You said: hi");

    let folder = tempfile::tempdir().unwrap();
    fs::copy(template.join(worker), folder.path().join(worker)).unwrap();
    fs::write(folder.path().join(handler), own).unwrap();
    let watchdog = run(program, &folder.path().join(worker));
    let mut client = watchdog.connect();
    for length in [0_u32, 1, 100, 4096, 65_537, 700_000] {
        let body: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
        let answer = client.post("/echo", &body);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(answer.body == body, "{length} bytes came back different");
        let kind = answer.head.header("content-type").unwrap();
        assert_eq!(kind, "application/octet-stream");
    }
    let answer = client.request("POST", "/full", "x-OWN:  a b \r\n", b"");
    assert_eq!((answer.status(), answer.text().as_str()), (201, "made\n"));
    assert_eq!(answer.head.header("x-own"), Some("a b"));
    assert_eq!(answer.head.header("content-type"), Some("text/x"));
    let answer = client.post("/json?a=b", b"{\"ask\": 5}");
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said, serde_json::json!({ "asked": 5, "query": "a=b" }));
    assert_eq!(answer.head.header("content-type"), Some("application/json"));
    let answer = client.get("/fail");
    assert_eq!(answer.status(), 500);
    assert!(answer.text().contains("as it should"), "{}", answer.text());
    client.send(request_bytes("HEAD", "/", "", b""));
    assert!(
        client
            .response_to("HEAD")
            .head
            .header("content-length")
            .is_some()
    );
    assert_eq!(client.get("/").text(), "11", "one process has had them all");
    let log = watchdog.log();
    for line in ["this goes to the log", "and this", "and that"] {
        assert!(log.contains(&format!("stderr: {line}\n")), "{log}");
    }
    watchdog.end_in_order();
}

fn run(program: &str, worker: &Path) -> Watchdog {
    let command = format!("{program} '{}'", worker.display());
    Watchdog::start(Driver::EPOLL, &[("fprocess", &command)])
}
