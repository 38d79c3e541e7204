//! What a deployment can set of a replica's own affairs: metrics, log, user, mask, working directory.
//! The watchdog's own tests look at each more closely.

use std::{fs, os::unix::fs::chown};

use nix::unistd::geteuid;
use serde_json::{Value, json};
use tests::{
    Connection, Driver, Gateway, eventually, http::request_bytes, metrics::Scrape, processes,
    under_each_driver,
};

under_each_driver! {
    replicas_have_no_metrics_of_their_own_unless_they_are_given_a_port
    metrics_have_the_statuses_that_the_function_gave
    a_log_of_objects_reaches_the_gateways_log
    processes_are_as_they_were_deployed
    a_replica_can_give_up_root
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The metrics of a watchdog, once no request is in flight there.
fn scrape(port: u16) -> Scrape {
    eventually("no request is in flight", || {
        let answer = Connection::open(([127, 0, 0, 1], port).into()).get("/metrics");
        assert_eq!(answer.status(), 200);
        let scrape = Scrape::read(&answer.text());
        (scrape.sum("http_requests_in_flight", &[]) == 0.0).then_some(scrape)
    })
}

/// Whether a process listens on TCP: it has a socket of this machine's tables in state 0A, proc(5).
fn listens_on_tcp(pid: i32) -> bool {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            Some(inode.strip_suffix(']')?.to_owned())
        })
        .collect();
    ["tcp", "tcp6"].iter().any(|table| {
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        table.lines().skip(1).any(|row| {
            let mut columns = row.split_whitespace().skip(3);
            columns.next() == Some("0A")
                && columns
                    .nth(5)
                    .is_some_and(|own| sockets.iter().any(|inode| inode == own))
        })
    })
}

fn replicas_have_no_metrics_of_their_own_unless_they_are_given_a_port(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("plain", "cat");
    // Two share the machine without a thought.
    gateway.scale("plain", 2);
    let watchdogs = processes::children(gateway.pid());
    assert_eq!(watchdogs.len(), 2);
    assert!(!watchdogs.into_iter().any(listens_on_tcp));
    let port = free_port();
    let variables = json!({ "envVars": { "metrics_port": port.to_string() } });
    gateway.deploy_with("counted", "cat", &variables);
    assert_eq!(gateway.call("counted", b"x").text(), "x");
    let scrape = scrape(port);
    let labels = [("code", "200"), ("method", "post")];
    assert_eq!(scrape.sum("http_requests_total", &labels), 1.0);
    assert_eq!(scrape.sum("watchdog_processes_started_total", &[]), 1.0);
}

fn metrics_have_the_statuses_that_the_function_gave(driver: Driver) {
    let gateway = Gateway::start(driver);
    let port = free_port();
    let variables = json!({ "envVars": {
        "mode": "http",
        "http_upstream_url": "unix:function.sock",
        "metrics_port": port.to_string(),
    } });
    gateway.deploy_with("f", env!("CARGO_BIN_EXE_http_function"), &variables);
    let mut client = gateway.connect();
    for (path, status) in [
        ("no-body", 204),
        ("interim", 200),
        ("garbage", 502),
        ("die", 502),
    ] {
        client.send(request_bytes(
            "GET",
            &format!("/function/f/{path}"),
            "",
            b"",
        ));
        let mut head = client.head();
        while head.status < 200 {
            head = client.head();
        }
        assert_eq!(head.status, status, "{path}");
        client = gateway.connect();
    }
    let scrape = scrape(port);
    for (code, count) in [("204", 1.0), ("200", 1.0), ("502", 2.0)] {
        let labels = [("code", code), ("method", "get")];
        assert_eq!(scrape.sum("http_requests_total", &labels), count, "{code}");
        let name = "http_request_duration_seconds_bucket";
        let all = [("code", code), ("method", "get"), ("le", "+Inf")];
        assert_eq!(scrape.sum(name, &all), count, "{code}");
    }
    assert_eq!(scrape.kinds["http_request_duration_seconds"], "histogram");
}

fn a_log_of_objects_reaches_the_gateways_log(driver: Driver) {
    let gateway = Gateway::start(driver);
    let variables = json!({ "envVars": { "combine_output": "false", "log_format": "json" } });
    gateway.deploy_with("speak", "sh -c 'cat >&2'", &variables);
    assert_eq!(
        gateway
            .call("speak", "a \"line\"\t\u{e9}".as_bytes())
            .status(),
        200
    );
    let is_said =
        |object: &Value| object["stream"] == "stderr" && object["message"] == "a \"line\"\t\u{e9}";
    eventually("the line is there", || {
        let answer = gateway.get("/system/logs?name=speak").text();
        let objects: Vec<Value> = answer
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| serde_json::from_str(line["text"].as_str().unwrap()).unwrap())
            .collect();
        objects.iter().any(is_said).then_some(())
    });
}

fn processes_are_as_they_were_deployed(driver: Driver) {
    let gateway = Gateway::start(driver);
    let folder = tempfile::tempdir().unwrap();
    let variables = json!({ "envVars": { "umask": "077", "working_dir": folder.path() } });
    gateway.deploy_with("where", "sh -c 'umask; pwd'", &variables);
    let want = format!("0077\n{}\n", folder.path().display());
    assert_eq!(gateway.call("where", b"").text(), want);
}

fn a_replica_can_give_up_root(driver: Driver) {
    // It cannot give up what it does not have.
    if !geteuid().is_root() {
        return;
    }
    let gateway = Gateway::start(driver);
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(12_345), Some(12_345)).unwrap();
    // Its own folder is the gateway's user's alone; it needs another.
    let variables = json!({ "envVars": { "user": "12345:12345", "TMPDIR": folder.path() } });
    gateway.deploy_with("id", "sh -c 'id -u; id -G'", &variables);
    assert_eq!(gateway.call("id", b"").text(), "12345\n12345\n");
    assert!(folder.path().join(".lock").exists());
    gateway.remove("id");
    eventually("it has ended", || {
        gateway.descendants().is_empty().then_some(())
    });
}
