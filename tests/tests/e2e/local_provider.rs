//! What a function's processes get, what they may take, and how they end.

use std::{collections::BTreeSet, fs};

use serde_json::json;
use tests::{
    Builder, Driver, Gateway, eventually, http::request_bytes, processes, under_each_driver,
};

under_each_driver! {
    a_function_sees_its_own_environment_and_no_other
    a_function_gets_three_descriptors
    a_working_directory_is_what_image_names
    kill_nine_of_the_gateway_ends_all_that_it_started
    a_replica_that_dies_is_replaced
    what_a_call_leaves_behind_is_ended
    memory_is_limited
    a_command_line_is_split_as_a_shell_would
}

fn a_function_sees_its_own_environment_and_no_other(driver: Driver) {
    let gateway = Builder::new(driver)
        .env("GATEWAYS_OWN_SECRET", "hidden")
        .env("LD_PRELOAD", "")
        .start();
    let variables = json!({ "envVars": { "MINE": "a b=c", "cgi_headers": "false" } });
    gateway.deploy_with("env", "env", &variables);
    let text = gateway.call("env", b"").text();
    let names: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    let expected = ["HOME", "MINE", "PATH", "TMPDIR", "cgi_headers", "fprocess"];
    assert_eq!(names, BTreeSet::from(expected), "{text}");
    assert!(text.contains("MINE=a b=c\n"), "{text}");
}

fn a_function_gets_three_descriptors(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("fds", "ls -l /proc/self/fd");
    let text = gateway.call("fds", b"x").text();
    let targets: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(" -> ").nth(1))
        .collect();
    // The fourth is the folder that ls itself has open.
    assert_eq!(targets.len(), 4, "{text}");
    let pipes = targets.iter().filter(|target| target.starts_with("pipe:"));
    assert_eq!(pipes.count(), 3, "{text}");
    assert!(
        targets.iter().any(|target| target.contains("/fd")),
        "{text}"
    );
}

fn a_working_directory_is_what_image_names(driver: Driver) {
    let builder = Builder::new(driver);
    let folder = builder.folder().join("app");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("greeting"), "hello").unwrap();
    let gateway = builder.start();
    let image = json!({ "image": format!("file:{}", folder.display()) });
    gateway.deploy_with("greet", "cat greeting", &image);
    assert_eq!(gateway.call("greet", b"").text(), "hello");
    assert_eq!(gateway.status("greet")["image"], image["image"]);
}

fn kill_nine_of_the_gateway_ends_all_that_it_started(driver: Driver) {
    let gateway = Gateway::start(driver);
    // One program in the foreground, one in the background, one in a session of its own.
    gateway.deploy(
        "family",
        "sh -c 'sleep 1001 & setsid sleep 1002 & sleep 1003'",
    );
    gateway.deploy("idle", "cat");
    gateway.scale("idle", 3);
    let mut client = gateway.connect();
    client.send(request_bytes("POST", "/function/family", "", b""));
    eventually("the whole family is there", || {
        let lines: Vec<String> = gateway
            .descendants()
            .into_iter()
            .map(processes::command_line)
            .collect();
        let has = |number: u32| lines.iter().any(|line| *line == format!("sleep {number}"));
        (1001..=1003).all(has).then_some(())
    });
    let all = gateway.descendants();
    assert!(
        all.len() >= 8,
        "four watchdogs, one shell, three sleepers: {all:?}"
    );
    // Ending the guard kills it and waits until all are gone, or fails.
    gateway.kill();
}

fn a_replica_that_dies_is_replaced(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    gateway.scale("cat", 2);
    for _ in 0..3 {
        let before = gateway.descendants();
        assert_eq!(before.len(), 2);
        let victim = nix::unistd::Pid::from_raw(before[0]);
        nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGKILL).unwrap();
        eventually("another has taken its place", || {
            let now = gateway.descendants();
            let replaced = now.len() == 2 && !now.contains(&before[0]);
            (replaced && gateway.available("cat") == 2).then_some(())
        });
        assert_eq!(gateway.call("cat", b"x").text(), "x");
    }
}

fn what_a_call_leaves_behind_is_ended(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("leaves", "sh -c 'sleep 1004 & echo done'");
    for _ in 0..5 {
        assert_eq!(gateway.call("leaves", b"").text(), "done\n");
    }
    eventually("only the watchdog is left", || {
        (gateway.descendants().len() == 1).then_some(())
    });
}

fn memory_is_limited(driver: Driver) {
    // A shell that takes 200 MB, once without a limit and once with.
    let hungry = "sh -c 'x=$(head -c 200000000 /dev/zero | tr \"\\0\" a); echo ${#x}'";
    let gateway = Gateway::start(driver);
    gateway.deploy("free", hungry);
    assert_eq!(gateway.call("free", b"").text(), "200000000\n");
    let body = json!({
        "service": "bound", "envProcess": hungry, "limits": { "memory": "64Mi", "cpu": "1000m" },
    });
    let answer = gateway.api("POST", "/system/functions", &body);
    assert_eq!(answer.status(), 202, "{}", answer.text());
    let warnings = answer.json()["warnings"].to_string();
    assert!(
        !warnings.contains("memory"),
        "memory is not limited here: {warnings}"
    );
    eventually("a replica is ready", || {
        (gateway.available("bound") > 0).then_some(())
    });
    let answer = gateway.call("bound", b"");
    assert_eq!(answer.status(), 500, "{}", answer.text());
    // The watchdog has outlived it, or was replaced: small calls are served.
    gateway.deploy("small", "cat");
    assert_eq!(gateway.call("small", b"x").text(), "x");
}

fn a_command_line_is_split_as_a_shell_would(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("words", r#"printf '%s|' 'a b' "c 'd'" e\ f $HOME '' *"#);
    // No shell runs: a variable and a star are themselves.
    assert_eq!(gateway.call("words", b"").text(), "a b|c 'd'|e f|$HOME||*|");
}
