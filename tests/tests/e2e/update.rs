//! Deploy, scale and remove while requests come: none fails.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;
use tests::{
    Driver, Gateway, Response, SetOnDrop, eventually, hold_for, http::request_bytes,
    under_each_driver,
};

under_each_driver! {
    an_update_under_load_fails_no_request
    scaling_up_and_down_under_load_fails_no_request
    a_removal_lets_requests_in_flight_end
    an_update_that_cannot_start_leaves_the_old_one_serving
    an_equal_deploy_restarts_nothing
    sigterm_lets_requests_in_flight_end
}

const CLIENTS: usize = 4;

/// Calls a function from several connections until `during` has returned, and gives all answers.
fn under_load(gateway: &Gateway, function: &str, during: impl FnOnce()) -> Vec<Response> {
    let stop = AtomicBool::new(false);
    let path = format!("/function/{function}");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    let mut client = gateway.connect();
                    while !stop.load(Ordering::Relaxed) {
                        answers.push(client.post(&path, b"x"));
                    }
                    answers
                })
            })
            .collect();
        let end = SetOnDrop(&stop);
        during();
        drop(end);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    })
}

fn assert_all_ok(answers: &[Response]) {
    let failed: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status() != 200)
        .map(|answer| format!("{} {}", answer.status(), answer.text()))
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:?}",
        failed.len(),
        answers.len()
    );
    assert!(answers.len() > 20, "only {} requests", answers.len());
}

/// Says which version it is, after a moment in which it can be caught.
const SPEAKING: &str = "sh -c 'cat >/dev/null; sleep 0.01; echo $VERSION'";

fn speak(gateway: &Gateway, method: &str, version: u32) {
    let body = json!({
        "service": "speak", "envProcess": SPEAKING, "envVars": { "VERSION": version.to_string() },
    });
    let answer = gateway.api(method, "/system/functions", &body);
    assert_eq!(answer.status(), 202, "{}", answer.text());
}

fn until_it_says(gateway: &Gateway, version: u32) {
    eventually("the new version answers", || {
        let answer = gateway.call("speak", b"");
        (answer.text().trim() == version.to_string()).then_some(())
    });
}

fn an_update_under_load_fails_no_request(driver: Driver) {
    let gateway = Gateway::start(driver);
    speak(&gateway, "POST", 0);
    until_it_says(&gateway, 0);
    gateway.scale("speak", 2);
    let answers = under_load(&gateway, "speak", || {
        for version in 1..=5 {
            speak(&gateway, "PUT", version);
            until_it_says(&gateway, version);
        }
    });
    assert_all_ok(&answers);
    eventually("the old replicas are gone", || {
        (gateway.descendants().len() == 2).then_some(())
    });
}

fn scaling_up_and_down_under_load_fails_no_request(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("slow", "sh -c 'sleep 0.01; cat'");
    let answers = under_load(&gateway, "slow", || {
        for replicas in [5, 1, 4, 2, 6, 1] {
            gateway.scale("slow", replicas);
            hold_for(Duration::from_millis(100));
        }
    });
    assert_all_ok(&answers);
    eventually("one watchdog is left", || {
        (gateway.descendants().len() == 1).then_some(())
    });
}

fn a_removal_lets_requests_in_flight_end(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("slow", "sh -c 'sleep 0.05; cat'");
    let answers = under_load(&gateway, "slow", || {
        hold_for(Duration::from_millis(300));
        gateway.remove("slow");
        hold_for(Duration::from_millis(200));
    });
    let other: Vec<_> = answers
        .iter()
        .filter(|answer| !matches!(answer.status(), 200 | 404))
        .map(|answer| format!("{} {}", answer.status(), answer.text()))
        .collect();
    assert!(other.is_empty(), "{other:?}");
    let served = answers.iter().filter(|answer| answer.status() == 200);
    assert!(served.clone().all(|answer| answer.body == b"x"));
    assert!(served.count() >= CLIENTS);
    assert_eq!(gateway.call("slow", b"").status(), 404);
    eventually("its processes are gone", || {
        gateway.descendants().is_empty().then_some(())
    });
}

fn an_update_that_cannot_start_leaves_the_old_one_serving(driver: Driver) {
    // The new version's watchdog cannot go where it is sent, so no new replica ever becomes ready.
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    let broken = json!({
        "service": "cat", "envProcess": "cat", "envVars": { "working_dir": "/no/such/folder" },
    });
    let answers = under_load(&gateway, "cat", || {
        assert_eq!(
            gateway.api("PUT", "/system/functions", &broken).status(),
            202
        );
        hold_for(Duration::from_millis(500));
    });
    assert_all_ok(&answers);
    let mended = json!({ "service": "cat", "envProcess": "cat", "envVars": { "A": "b" } });
    assert_eq!(
        gateway.api("PUT", "/system/functions", &mended).status(),
        202
    );
    eventually("the mended version serves alone", || {
        let serves = gateway.available("cat") == 1 && gateway.descendants().len() == 1;
        serves.then_some(())
    });
    assert_eq!(gateway.call("cat", b"x").text(), "x");
}

fn an_equal_deploy_restarts_nothing(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    let before = gateway.descendants();
    let same = json!({ "service": "cat", "envProcess": "cat" });
    for method in ["PUT", "POST", "PUT"] {
        let answer = gateway.api(method, "/system/functions", &same);
        assert_eq!(
            (answer.status(), &answer.json()["changed"]),
            (202, &json!(false))
        );
    }
    assert_eq!(gateway.descendants(), before);
}

fn sigterm_lets_requests_in_flight_end(driver: Driver) {
    let mut gateway = Gateway::start(driver);
    gateway.deploy("slow", "sh -c 'sleep 0.5; cat'");
    let mut idle = gateway.connect();
    assert_eq!(idle.get("/healthz").status(), 200);
    let mut busy = gateway.connect();
    busy.send(request_bytes("POST", "/function/slow", "", b"in flight"));
    eventually("the request is in flight", || {
        (gateway.descendants().len() > 1).then_some(())
    });
    gateway.terminate();
    idle.expect_close();
    let answer = busy.response();
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (200, "in flight")
    );
    assert_eq!(answer.head.header("connection"), Some("close"));
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(
        gateway.descendants().is_empty(),
        "all replicas ended before the gateway did"
    );
}
