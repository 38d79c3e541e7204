//! Kill -9 at any instant: what was acknowledged is there afterwards, nothing is torn, and no
//! process is left behind. Seeded, so that a failure can be had again.

mod history;

use std::{fs, sync::mpsc, thread, time::Duration};

use serde_json::json;
use tests::{
    Builder, DEADLINE, Driver, eventually, hold_for, http::request_bytes, processes,
    under_each_driver,
};

use history::History;

under_each_driver! {
    nothing_acknowledged_is_lost_however_often_it_is_killed
    functions_and_replicas_come_back_after_an_orderly_end
    a_second_gateway_on_the_same_state_is_refused
    a_torn_file_harms_its_own_function_only
    what_a_killed_gateway_could_not_end_is_ended_by_the_next
}

/// How often each driver's gateway is killed.
const KILLS: u32 = 50;
/// How many changes are acknowledged before that, fewer than these; and how long after the last of
/// them it comes at most. Time alone would leave it to the machine's load how much is acknowledged.
const CHANGES: u32 = 10;
const BEYOND_MAX: Duration = Duration::from_millis(6);

fn nothing_acknowledged_is_lost_however_often_it_is_killed(driver: Driver) {
    // 1. Start a gateway, check that it knows what the last one acknowledged.
    // 2. Change functions at random, noting what is acknowledged and what is in flight.
    // 3. Kill it after a random number of changes, and at any moment of the one that follows.
    // 4. See everything that it started end. Again.
    let seed = std::env::var("RINGWAY_TEST_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut random = fastrand::Rng::with_seed(seed);
    let builder = Builder::new(driver);
    let mut history = History::default();
    for kill in 0..KILLS {
        let gateway = builder.start();
        history.check(&gateway, &format!("seed {seed}, after {kill} kills"));
        let address = gateway.address();
        let changes = random.u32(0..CHANGES);
        let beyond = BEYOND_MAX.mul_f64(random.f64());
        let (acknowledged, told) = mpsc::channel();
        thread::scope(|scope| {
            let changing = scope.spawn(|| history.change(address, &mut random, &acknowledged));
            for _ in 0..changes {
                told.recv_timeout(DEADLINE).unwrap();
            }
            hold_for(beyond);
            let state = gateway.state_dir();
            gateway.kill();
            changing.join().unwrap();
            // A replica that was being started at that moment shows itself only after its exec.
            eventually("all that it started has ended", || {
                processes::started_on(&state).is_empty().then_some(())
            });
        });
    }
    let gateway = builder.start();
    history.check(&gateway, &format!("seed {seed}, at the end"));
    assert!(
        history.acknowledged() > u64::from(KILLS),
        "hardly anything was acknowledged"
    );
    let log = gateway.log();
    assert!(!log.contains(".bad"), "a file was torn:\n{log}");
    let zero = json!({ "serviceName": "f0", "replicas": 1 });
    gateway.api(
        "POST",
        "/system/functions",
        &json!({ "service": "f0", "envProcess": "cat" }),
    );
    gateway.api("POST", "/system/scale-function/f0", &zero);
    eventually("it still works", || {
        (gateway.call("f0", b"x").status() == 200).then_some(())
    });
}

fn functions_and_replicas_come_back_after_an_orderly_end(driver: Driver) {
    let builder = Builder::new(driver);
    let mut gateway = builder.start();
    let labels = json!({ "labels": { "a": "b" }, "envVars": { "GREETING": "hello" } });
    gateway.deploy_with("env", "env", &labels);
    gateway.deploy("cat", "cat");
    gateway.scale("cat", 3);
    gateway.deploy("zero", "cat");
    gateway.scale("zero", 0);
    gateway.deploy("gone", "cat");
    gateway.remove("gone");
    let created = gateway.status("env")["createdAt"].clone();
    gateway.terminate();
    assert_eq!(gateway.wait().code(), Some(0));
    drop(gateway);

    let gateway = builder.start();
    eventually("the replicas are back", || {
        let ready = gateway.available("cat") == 3 && gateway.available("env") == 1;
        ready.then_some(())
    });
    assert!(gateway.call("env", b"").text().contains("GREETING=hello"));
    assert_eq!(gateway.status("env")["labels"]["a"], "b");
    assert_eq!(gateway.status("env")["createdAt"], created);
    assert_eq!(gateway.call("zero", b"").status(), 503);
    assert_eq!(gateway.call("gone", b"").status(), 404);
}

fn a_second_gateway_on_the_same_state_is_refused(driver: Driver) {
    let builder = Builder::new(driver);
    let gateway = builder.start();
    gateway.deploy("cat", "cat");
    let (code, said) = builder.refused();
    assert_eq!(code, 71, "{said}");
    let state = gateway.state_dir();
    for part in [
        state.to_str().unwrap(),
        &gateway.pid().to_string(),
        "--state-dir",
    ] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(gateway.call("cat", b"unharmed").text(), "unharmed");
}

fn a_torn_file_harms_its_own_function_only(driver: Driver) {
    let builder = Builder::new(driver);
    let gateway = builder.start();
    gateway.deploy("whole", "cat");
    gateway.deploy("torn", "cat");
    let file = gateway.state_dir().join("functions/openfaas-fn/torn.json");
    gateway.kill();
    let text = fs::read(&file).unwrap();
    for length in [0, 1, text.len() / 2, text.len() - 1] {
        fs::write(&file, &text[..length]).unwrap();
        let gateway = builder.start();
        eventually("the other function serves", || {
            (gateway.call("whole", b"x").status() == 200).then_some(())
        });
        assert_eq!(gateway.call("torn", b"x").status(), 404, "{length} bytes");
        assert!(gateway.log().contains("torn"), "{}", gateway.log());
        assert!(!file.exists(), "it was not moved aside");
    }
}

fn what_a_killed_gateway_could_not_end_is_ended_by_the_next(driver: Driver) {
    // 1. A function runs. 2. Its watchdog and the gateway die together, so nobody ends the process.
    // 3. The next gateway on this state directory does, and brings the function back.
    let builder = Builder::new(driver);
    let gateway = builder.start();
    gateway.deploy("slow", "sleep 1008");
    let watchdog = gateway.descendants()[0];
    let mut client = gateway.connect();
    client.send(request_bytes("POST", "/function/slow", "", b""));
    eventually("it runs", || {
        (gateway.descendants().len() == 2).then_some(())
    });
    gateway.kill_with(watchdog);
    let gateway = builder.start();
    eventually("the orphan is gone and the function is back", || {
        let all: Vec<_> = gateway
            .descendants()
            .into_iter()
            .map(processes::command_line)
            .collect();
        let clean = all.len() == 1 && !all[0].contains("sleep");
        (clean && gateway.available("slow") == 1).then_some(())
    });
}
