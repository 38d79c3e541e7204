//! Which kernel interface runs, and that everybody can see it.

use std::fs;

use tests::{Builder, Driver, Gateway, under_each_driver};

under_each_driver! {
    the_driver_that_was_asked_for_runs_and_says_so
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
    assert_eq!(has_ring(gateway.pid()), driver == Driver::IO_URING);
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("driver="));
    assert!(
        line.is_some_and(|line| line.contains(driver.name())),
        "{log}"
    );
}

#[test]
fn auto_takes_one_of_them_and_says_why() {
    let gateway = Builder::new(Driver::EPOLL).auto().start();
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("driver="));
    assert!(line.is_some_and(|line| line.contains("reason=")), "{log}");
    assert_eq!(gateway.get("/healthz").status(), 200);
}
