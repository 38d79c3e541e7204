//! How a gateway starts: on which kernel interface, where, and what keeps it from starting.

use std::fs;

use tests::{Builder, Driver, Gateway, eventually, under_each_driver};

under_each_driver! {
    the_driver_that_was_asked_for_runs_and_says_so
    every_address_answers_and_a_taken_one_is_refused
    a_taken_address_can_be_shared_on_request
    a_killed_gateway_can_be_started_again_at_once_where_it_was
    a_state_directory_may_have_a_long_name_but_must_be_one
}

/// Whether a process has a ring open.
fn has_ring(pid: i32) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target.to_string_lossy().contains("io_uring"))
}

fn the_driver_that_was_asked_for_runs_and_says_so(driver: Driver) {
    let gateway = Gateway::start(driver);
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("driver="));
    let line = line.unwrap_or_else(|| panic!("no line: {log}"));
    if driver == Driver::AUTO {
        assert_eq!(has_ring(gateway.pid()), !line.contains("driver=epoll"));
        return;
    }
    assert_eq!(has_ring(gateway.pid()), driver != Driver::EPOLL);
    assert!(line.contains(driver.name()), "{line}");
}

fn every_address_answers_and_a_taken_one_is_refused(driver: Driver) {
    let gateway = Builder::new(driver).arg("--listen").arg("[::1]:0").start();
    assert_eq!(gateway.get("/healthz").status(), 200);
    let taken = gateway.address().to_string();
    let (code, said) = Builder::new(driver).arg("--listen").arg(&taken).refused();
    assert_eq!(code, 71, "{said}");
    assert!(said.contains(&taken) && said.contains("--listen"), "{said}");
}

fn a_taken_address_can_be_shared_on_request(driver: Driver) {
    let one = Gateway::start(driver);
    let other = Builder::new(driver)
        .arg("--reuse-port")
        .listening_on(one.address())
        .start();
    assert_eq!(one.address(), other.address());
    for _ in 0..20 {
        assert_eq!(one.get("/healthz").status(), 200);
    }
}

fn a_killed_gateway_can_be_started_again_at_once_where_it_was(driver: Driver) {
    let builder = Builder::new(driver);
    let first = builder.start();
    let builder = builder.listening_on(first.address());
    first.deploy("cat", "cat");
    first.kill();
    for _ in 0..10 {
        builder.start().kill();
    }
    let last = builder.start();
    eventually("the function is back", || {
        (last.available("cat") == 1).then_some(())
    });
    assert_eq!(last.call("cat", b"x").text(), "x");
}

fn a_state_directory_may_have_a_long_name_but_must_be_one(driver: Driver) {
    let builder = Builder::new(driver);
    // A socket's path may have 107 bytes; this folder's has more.
    let long = builder.folder().join("long-".repeat(30));
    let mut gateway = builder.in_state_dir(&long).start();
    gateway.deploy("cat", "cat");
    assert_eq!(gateway.call("cat", b"x").text(), "x");
    // In an orderly way, since its sockets are elsewhere and go with it.
    gateway.terminate();
    assert_eq!(gateway.wait().code(), Some(0));
    let builder = Builder::new(driver);
    let file = builder.folder().join("file");
    fs::write(&file, "").unwrap();
    let (code, said) = builder.in_state_dir(&file).refused();
    assert_eq!(code, 71, "{said}");
    assert!(said.contains(file.to_str().unwrap()), "{said}");
}

#[test]
fn auto_takes_one_of_them_and_says_why() {
    let gateway = Gateway::start(Driver::AUTO);
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("driver="));
    assert!(line.is_some_and(|line| line.contains("reason=")), "{log}");
    assert_eq!(gateway.get("/healthz").status(), 200);
}
