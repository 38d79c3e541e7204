//! `/metrics`: the families that dashboards know, counted right, with labels that are bounded.

use tests::{Driver, Gateway, metrics::Scrape, under_each_driver};

under_each_driver! {
    the_families_count_what_happened
    a_name_that_no_function_bears_makes_no_series
    a_removed_function_takes_its_series_along
}

fn the_families_count_what_happened(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    gateway.deploy("fails", "false");
    for _ in 0..7 {
        gateway.call("cat", b"x");
    }
    for _ in 0..3 {
        gateway.call("fails", b"x");
    }
    gateway.scale("cat", 2);
    let scrape = gateway.settled_metrics();
    for (family, kind) in [
        ("gateway_functions_seconds", "histogram"),
        ("gateway_function_invocation_total", "counter"),
        ("gateway_function_invocation_started", "counter"),
        ("gateway_service_count", "gauge"),
    ] {
        assert_eq!(
            scrape.kinds.get(family).map(String::as_str),
            Some(kind),
            "{family}"
        );
    }
    let cat = ("function_name", "cat");
    let fails = ("function_name", "fails");
    let total = "gateway_function_invocation_total";
    assert_eq!(scrape.sum(total, &[cat, ("code", "200")]), 7.0);
    assert_eq!(scrape.sum(total, &[cat]), 7.0);
    assert_eq!(scrape.sum(total, &[fails, ("code", "500")]), 3.0);
    assert_eq!(
        scrape.sum("gateway_function_invocation_started", &[cat]),
        7.0
    );
    assert_eq!(scrape.sum("gateway_service_count", &[cat]), 2.0);
    assert_eq!(scrape.sum("gateway_functions_seconds_count", &[cat]), 7.0);
    let seconds = scrape.sum("gateway_functions_seconds_sum", &[cat]);
    assert!((0.0..60.0).contains(&seconds) && seconds > 0.0, "{seconds}");
    let buckets: Vec<f64> = scrape
        .samples
        .iter()
        .filter(|sample| sample.name == "gateway_functions_seconds_bucket")
        .filter(|sample| {
            sample
                .labels
                .get("function_name")
                .is_some_and(|name| name == "cat")
        })
        .map(|sample| sample.value)
        .collect();
    assert!(
        buckets.is_sorted(),
        "each bucket holds those below: {buckets:?}"
    );
    assert_eq!(buckets.last(), Some(&7.0));
    // Which one it chose is in its own log.
    let running = match driver {
        Driver::AUTO => Vec::new(),
        _ => vec![("driver", driver.name())],
    };
    assert_eq!(scrape.series("ringway_build_info", &running), 1);
    assert!(scrape.sum("gateway_connections", &[]) >= 1.0);
}

fn a_name_that_no_function_bears_makes_no_series(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    let before = gateway.settled_metrics();
    for number in 0..100 {
        assert_eq!(gateway.call(&format!("nobody{number}"), b"").status(), 404);
    }
    let after = gateway.settled_metrics();
    assert_eq!(after.samples.len(), before.samples.len());
    let unknown =
        |scrape: &Scrape| scrape.sum("gateway_failures_total", &[("reason", "unknown_function")]);
    assert_eq!(unknown(&after) - unknown(&before), 100.0);
}

fn a_removed_function_takes_its_series_along(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    gateway.call("cat", b"x");
    let cat = [("function_name", "cat")];
    let calls = "gateway_function_invocation_total";
    assert!(gateway.settled_metrics().series(calls, &cat) > 0);
    gateway.remove("cat");
    let scrape = gateway.metrics();
    for family in [
        "gateway_function_invocation_total",
        "gateway_function_invocation_started",
        "gateway_service_count",
        "gateway_functions_seconds_count",
    ] {
        assert_eq!(scrape.series(family, &cat), 0, "{family}");
    }
}
