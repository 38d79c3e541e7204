//! The process behind a function in http mode: slow to start, dying, replaced, ended in order.

use std::fs;

use serde_json::json;
use tests::{
    Connection, Driver, Gateway, eventually, http::request_bytes, processes, under_each_driver,
};

use super::{deploy, open_tunnel, replica, wait_for_file, with};

under_each_driver! {
    a_process_that_dies_is_a_502_and_is_started_again
    an_answer_that_has_begun_is_broken_off_when_its_process_dies
    requests_wait_for_a_process_that_was_started_again
    a_function_is_ready_only_when_its_server_listens
    a_function_that_never_listens_is_never_ready
    a_chosen_port_is_told_to_the_function
    replicas_have_places_of_their_own
    removal_lets_a_call_end_and_then_ends_the_process
    many_calls_leave_no_zombie_and_no_descriptor
}

fn a_process_that_dies_is_a_502_and_is_started_again(driver: Driver) {
    let gateway = with(driver, &[]);
    let (_, before) = replica(&gateway);
    let answer = gateway.get("/function/f/die");
    let said = answer.text();
    assert_eq!(answer.status(), 502, "{said}");
    assert!(said.contains("the function went down"), "{said}");
    // The next request waits for the next process.
    let answer = gateway.get("/function/f/pid");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_ne!(answer.text(), before.to_string());
    assert_eq!(
        processes::children(replica(&gateway).0).len(),
        1,
        "no zombie"
    );
}

fn an_answer_that_has_begun_is_broken_off_when_its_process_dies(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    client.send("POST /function/f/die-late HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), b"hello");
    client.send("x");
    assert_eq!(client.rest(), b"", "no end that looks whole");
}

fn requests_wait_for_a_process_that_was_started_again(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    fs::write(&gate, "").unwrap();
    let gateway = with(driver, &[("WAIT_FOR", gate.to_str().unwrap())]);
    fs::remove_file(&gate).unwrap();
    assert_eq!(gateway.get("/function/f/die").status(), 502);
    let waiting: Vec<Connection> = (0..5)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(request_bytes("POST", "/function/f/echo", "", b"waited"));
            client
        })
        .collect();
    fs::write(&gate, "").unwrap();
    for mut client in waiting {
        let answer = client.response();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "waited"));
    }
}

fn a_function_is_ready_only_when_its_server_listens(driver: Driver) {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let gateway = Gateway::start(driver);
    let variables = json!({
        "mode": "http", "http_upstream_url": "unix:function.sock", "WAIT_FOR": gate,
    });
    let body = json!({
        "service": "f", "envProcess": env!("CARGO_BIN_EXE_http_function"), "envVars": variables,
    });
    assert_eq!(
        gateway.api("POST", "/system/functions", &body).status(),
        202
    );
    eventually("the process runs", || {
        (gateway.descendants().len() == 2).then_some(())
    });
    assert_eq!(gateway.available("f"), 0);
    fs::write(&gate, "").unwrap();
    eventually("it is ready", || {
        (gateway.available("f") == 1).then_some(())
    });
    assert_eq!(gateway.get("/function/f").text(), "hello");
}

fn a_function_that_never_listens_is_never_ready(driver: Driver) {
    let gateway = Gateway::start(driver);
    let variables =
        json!({ "mode": "http", "http_upstream_url": "unix:f.sock", "start_timeout": "200ms" });
    let body = json!({ "service": "deaf", "envProcess": "sleep 1007", "envVars": variables });
    assert_eq!(
        gateway.api("POST", "/system/functions", &body).status(),
        202
    );
    eventually("its log says why", || {
        let log = gateway.get("/system/logs?name=deaf").text();
        log.contains("did not listen at unix:").then_some(())
    });
    assert_eq!(gateway.available("deaf"), 0);
    assert_eq!(gateway.get("/function/deaf").status(), 503);
}

fn a_chosen_port_is_told_to_the_function(driver: Driver) {
    let gateway = with(driver, &[("http_upstream_url", "http://127.0.0.1:0")]);
    let port: u16 = gateway.get("/function/f").text().parse().unwrap();
    assert_ne!(port, 0);
}

fn replicas_have_places_of_their_own(driver: Driver) {
    let gateway = with(driver, &[]);
    gateway.scale("f", 3);
    let pids = eventually("all three have answered", || {
        let pids: std::collections::BTreeSet<String> = (0..30)
            .map(|_| gateway.get("/function/f/pid").text())
            .collect();
        (pids.len() == 3).then_some(pids)
    });
    for pid in pids {
        assert!(gateway.descendants().contains(&pid.parse().unwrap()));
    }
}

fn removal_lets_a_call_end_and_then_ends_the_process(driver: Driver) {
    let gateway = with(driver, &[]);
    let mut client = gateway.connect();
    client
        .send("POST /function/f/events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().status, 200);
    gateway.remove("f");
    client.send("1\r\na\r\n");
    assert_eq!(client.chunk().unwrap(), b"data: a\n\n");
    assert_eq!(gateway.descendants().len(), 2, "both wait for the call");
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
    eventually("both have ended", || {
        gateway.descendants().is_empty().then_some(())
    });
}

fn many_calls_leave_no_zombie_and_no_descriptor(driver: Driver) {
    let gateway = with(driver, &[("max_inflight", "100")]);
    let (watchdog, _) = replica(&gateway);
    let descriptors = || processes::descriptors(watchdog).unwrap();
    assert_eq!(gateway.get("/function/f").status(), 200);
    assert_eq!(gateway.get("/function/f/die").status(), 502);
    assert_eq!(gateway.get("/function/f").status(), 200);
    // With one connection from the gateway and one to the function.
    let before = descriptors();
    for round in 0..40 {
        let mut client = gateway.connect();
        for path in ["until-close", "last", "interim", "early", "pid"] {
            let answer = client.get(&format!("/function/f/{path}"));
            if answer.head.header("connection") == Some("close") {
                client = gateway.connect();
            }
            // After `last` this one meets a connection that is being closed.
            assert_eq!(gateway.get("/function/f/pid").status(), 200, "{path}");
        }
        drop(open_tunnel(&gateway));
        let mut leaving = gateway.connect();
        leaving.send(request_bytes("GET", "/function/f/hang", "", b""));
        if round == 0 {
            wait_for_file(&gateway, "hanging");
        }
    }
    deploy(&gateway, "other", &[]);
    gateway.remove("other");
    eventually("one watchdog is left", || {
        (processes::children(gateway.pid()).len() == 1).then_some(())
    });
    let (_, function) = replica(&gateway);
    assert!(!processes::is_zombie(function));
    // A few connections of the gateway's pools are open for a minute; a leak would be one a round.
    eventually("descriptors are closed", || {
        (descriptors() <= before + 10).then_some(())
    });
}
