//! Processes that are started before their requests, through the gateway; and a machine that has no
//! process left to give.

use std::{
    collections::HashSet,
    fs::{self, File},
    net::TcpListener,
    process::Stdio,
    thread,
};

use nix::unistd::geteuid;
use serde_json::json;
use tests::{
    Confinement, Connection, Driver, Gateway, eventually, http::request_bytes, processes,
    under_each_driver,
};

under_each_driver! {
    every_request_gets_a_process_of_its_own
    a_removal_ends_those_who_wait
    without_a_process_left_callers_are_told
}

fn with(driver: Driver, command: &str, mode: &str) -> Gateway {
    let gateway = Gateway::start(driver);
    let variables = json!({ "mode": mode, "prefork": "3", "cgi_headers": "false" });
    gateway.deploy_with("f", command, &json!({ "envVars": variables }));
    gateway
}

/// Waits until three processes wait in the only replica.
fn wait_for_shelf(gateway: &Gateway) {
    eventually("three wait", || {
        let watchdogs = processes::children(gateway.pid());
        let [watchdog] = watchdogs[..] else {
            return None;
        };
        (processes::children(watchdog).len() == 3).then_some(())
    });
}

fn every_request_gets_a_process_of_its_own(driver: Driver) {
    for mode in ["fork", "serializing", "streaming"] {
        let gateway = with(driver, "sh -c 'cat; echo $$'", mode);
        wait_for_shelf(&gateway);
        let distinct: HashSet<String> = thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|client| {
                    let gateway = &gateway;
                    scope.spawn(move || {
                        let mut connection = gateway.connect();
                        let mut pids = Vec::new();
                        for call in 0..20 {
                            let body = format!("{client} {call} ").repeat(call * 20 + 1);
                            let text = connection.post("/function/f", body.as_bytes()).text();
                            let pid = text.strip_prefix(&body);
                            pids.push(pid.unwrap_or_else(|| panic!("{text}")).to_owned());
                        }
                        pids
                    })
                })
                .collect();
            let mut pids = HashSet::new();
            for client in clients {
                pids.extend(client.join().unwrap());
            }
            pids
        });
        assert_eq!(distinct.len(), 80, "a process has served twice");
        wait_for_shelf(&gateway);
    }
}

fn a_removal_ends_those_who_wait(driver: Driver) {
    let gateway = with(driver, "sh -c 'cat > /dev/null; echo ran >&2'", "fork");
    wait_for_shelf(&gateway);
    gateway.remove("f");
    eventually("nobody is left", || {
        gateway.descendants().is_empty().then_some(())
    });
    assert!(!gateway.log().contains("ran"), "{}", gateway.log());
}

/// A program that starts no other: it gives its input back, and with `sleep` it waits for a file first.
const WAITS: &str = "bash -c 'IFS= read -r line; while [ \"$line\" = sleep -a ! -e $TMPDIR/go ]; do :; done; printf %s \"$line\"'";

/// Goal: a caller whose process cannot be started, since its user has too many, is told when to try
/// again, and the next is served.
/// Steps: a watchdog that may have one process; one call holds it; another is refused; the first ends.
fn without_a_process_left_callers_are_told(driver: Driver) {
    if !geteuid().is_root() {
        // The limit would count all processes of whoever runs the tests.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for mode in ["fork", "serializing", "streaming"] {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let log = folder.path().join("log");
        let confinement = Confinement::new(env!("CARGO_BIN_EXE_confined")).running_at_most(2);
        let mut child = confinement
            .watchdog(folder.path())
            .env("RINGWAY_DRIVER", driver.name())
            .env("fprocess", WAITS)
            .env("mode", mode)
            .env("suppress_lock", "true")
            .env("metrics_port", "0")
            .env("port", address.port().to_string())
            .stderr(File::create(&log).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let said = || fs::read_to_string(&log).unwrap();
        eventually("it listens", || {
            said().contains("ringway watchdog").then_some(())
        });
        let pid = i32::try_from(child.id()).unwrap();
        let mut first = Connection::open(address);
        first.send(request_bytes("POST", "/", "", b"sleep"));
        eventually("it runs", || {
            (processes::children(pid).len() == 1).then_some(())
        });
        let mut second = Connection::open(address);
        let answer = second.post("/", b"hello");
        assert_eq!(answer.status(), 503, "{mode}: {}", said());
        assert_eq!(answer.head.header("retry-after"), Some("1"));
        let text = answer.text();
        assert!(text.contains("process"), "{text}");
        fs::write(folder.path().join("go"), "").unwrap();
        assert_eq!(first.response().status(), 200);
        let answer = second.post("/", b"hello");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"));
        fs::remove_file(folder.path().join("go")).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
