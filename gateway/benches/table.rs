//! What the table of functions costs a request, and a change of it the control plane, with 10
//! functions and with thousands: the two must not differ by much, or grow within reason.
//!
//! What it does not do: open a socket; `bench-results/table` measures whole requests.

use std::{collections::HashMap, hint::black_box, sync::Arc, time::Duration, time::Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gateway::{
    balance::pick,
    control::Routes,
    limits::FunctionLimits,
    metrics::{DriverLabels, FunctionCounters, render},
    provider::FunctionId,
    route::route,
    shared::Shared,
    snapshot::{Function, Replica, Snapshot},
};
use net::Endpoint;
use wire::{Limits, Parsed, RequestHead, parse_request};

const CORES: usize = 2;

/// Replicas of each function.
const REPLICAS: usize = 2;

fn replicas() -> Vec<Arc<Replica>> {
    let endpoint = || Endpoint::Tcp(([127, 0, 0, 1], 8080).into());
    (0..REPLICAS)
        .map(|_| Arc::new(Replica::new(endpoint(), "127.0.0.1:8080", CORES)))
        .collect()
}

fn id(number: usize) -> FunctionId {
    FunctionId::new(&format!("function-{number}"), "").expect("a name")
}

/// A table of so many functions, published.
fn table(functions: usize) -> (Routes, Arc<Shared>) {
    let control = Arc::new(Function {
        name: "system".into(),
        replicas: Box::new([]),
        counters: Arc::new(FunctionCounters::new(CORES)),
        limits: FunctionLimits::default(),
    });
    let first = Snapshot {
        generation: 1,
        functions: HashMap::new(),
        control,
    };
    let shared = Arc::new(Shared::new(first, CORES));
    let routes = Routes::new(Arc::clone(&shared));
    for number in 0..functions {
        routes.set(&id(number), replicas(), FunctionLimits::default());
    }
    routes.flush();
    (routes, shared)
}

fn head(bytes: &[u8]) -> RequestHead<'_> {
    match parse_request(bytes, &Limits::DEFAULT) {
        Ok(Parsed::Complete { head, .. }) => head,
        other => panic!("the heads of the bench are in order: {other:?}"),
    }
}

fn routing(criterion: &mut Criterion) {
    let path = head(b"GET /function/function-7/page?a=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    let field =
        head(b"POST / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nX-Function: function-7\r\n\r\n");
    for (name, head) in [("route by path", path), ("route by X-Function", field)] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| route(black_box(&head)).is_ok());
        });
    }
}

/// What of a request depends on the table: find, pick, count in and out. Any function, in turn at
/// random, so that most of a large table is in no cache.
fn finding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("find, pick and count");
    for functions in [10, 10_000] {
        let (_routes, shared) = table(functions);
        let snapshot = shared.published.load();
        let names: Vec<String> = (0..functions).map(|n| format!("function-{n}")).collect();
        let mut random = fastrand::Rng::with_seed(1);
        let now = Instant::now();
        group.bench_function(BenchmarkId::from_parameter(functions), |bencher| {
            bencher.iter(|| {
                let name = &*names[random.usize(..names.len())];
                let function = &snapshot.functions[name];
                let counters = function.counters.on(0);
                counters.begin();
                let replica = pick(&function.replicas, 0, None, now, &mut random);
                let flight = replica.map(|replica| replica.enter(0));
                counters.end(200, Duration::from_micros(100));
                flight.is_some()
            });
        });
    }
    group.finish();
}

/// One function gets other replicas, and the data plane a table.
fn publishing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish one change");
    for functions in [10, 1_000, 10_000] {
        let (routes, _shared) = table(functions);
        let changing = id(functions / 2);
        group.bench_function(BenchmarkId::from_parameter(functions), |bencher| {
            bencher.iter(|| {
                routes.set(&changing, replicas(), FunctionLimits::default());
                routes.flush();
            });
        });
    }
    group.finish();
}

fn rendering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render metrics");
    for functions in [10, 1_000] {
        let (_routes, shared) = table(functions);
        let snapshot = shared.published.load();
        for function in snapshot.functions.values() {
            for core in 0..CORES {
                function.counters.on(core).begin();
                let lasted = Duration::from_millis(3);
                function.counters.on(core).end(200, lasted);
            }
        }
        let wanted: Vec<_> = (0..functions)
            .map(|number| (format!("function-{number}"), 2))
            .collect();
        group.bench_function(BenchmarkId::from_parameter(functions), |bencher| {
            let driver = DriverLabels {
                driver: "ring",
                refused: "",
            };
            bencher.iter(|| render(&shared, &wanted, &driver).map(|text| text.len()));
        });
    }
    group.finish();
}

criterion_group!(benches, routing, finding, publishing, rendering);
criterion_main!(benches);
