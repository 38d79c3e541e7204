//! Many clients at once, spread over replicas.

use std::{collections::BTreeMap, sync::Barrier, thread, time::Duration};

use tests::{Builder, Driver, Gateway, Upstream, hold_for, under_each_driver};

/// Descriptors by which two looks may differ: a connection that is just being closed.
const FEW: usize = 3;

under_each_driver! {
    two_hundred_clients_at_once_get_their_own_answers
    idle_connections_cost_others_nothing
    load_spreads_over_replicas
    a_busy_replica_is_left_alone
    many_requests_on_one_connection_leak_nothing
}

fn two_hundred_clients_at_once_get_their_own_answers(driver: Driver) {
    const CLIENTS: u32 = 200;
    const REQUESTS: u32 = 4;
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    gateway.scale("cat", 4);
    let start = Barrier::new(CLIENTS as usize);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (start, gateway) = (&start, &gateway);
            scope.spawn(move || {
                let mut client = gateway.connect();
                start.wait();
                for turn in 0..REQUESTS {
                    let body = format!("{number}.{turn} ").repeat(number as usize + 1);
                    let answer = client.post("/function/cat", body.as_bytes());
                    assert_eq!(answer.status(), 200, "{}", answer.text());
                    assert!(
                        answer.text() == body,
                        "client {number} got another's answer"
                    );
                }
            });
        }
    });
    let scrape = gateway.settled_metrics();
    let labels = [("function_name", "cat"), ("code", "200")];
    let total = scrape.sum("gateway_function_invocation_total", &labels);
    assert_eq!(total, f64::from(CLIENTS * REQUESTS));
    assert_eq!(
        scrape.sum("gateway_requests_in_flight", &[]),
        1.0,
        "only the scrape"
    );
}

fn idle_connections_cost_others_nothing(driver: Driver) {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = crate::forwarding::serving(driver, &upstream);
    let mut idle: Vec<_> = (0..500).map(|_| gateway.connect()).collect();
    for client in idle.iter_mut().step_by(2) {
        assert_eq!(client.get("/function/f").status(), 200);
    }
    assert!(gateway.metrics().sum("gateway_connections", &[]) >= 500.0);
    for client in &mut idle {
        assert_eq!(client.get("/function/f").status(), 200);
    }
    drop(idle);
    tests::eventually("the gateway has seen them go", || {
        (gateway.metrics().sum("gateway_connections", &[]) < 5.0).then_some(())
    });
}

/// Servers that take this long for each request.
fn servers(count: usize, time: Duration) -> Vec<Upstream> {
    (0..count)
        .map(|_| {
            Upstream::start(move |peer| {
                while peer.request().is_some() {
                    hold_for(time);
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
            })
        })
        .collect()
}

fn serving_all(driver: Driver, upstreams: &[Upstream]) -> Gateway {
    let builder = Builder::new(driver).threads(1);
    let serve = |builder: Builder, upstream| builder.serving("f", upstream);
    upstreams.iter().fold(builder, serve).start()
}

fn load(gateway: &Gateway, clients: usize, requests: usize) {
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut client = gateway.connect();
                for _ in 0..requests {
                    assert_eq!(client.get("/function/f").status(), 200);
                }
            });
        }
    });
}

fn load_spreads_over_replicas(driver: Driver) {
    let upstreams = servers(4, Duration::from_millis(2));
    let gateway = serving_all(driver, &upstreams);
    load(&gateway, 16, 50);
    let shares: Vec<usize> = upstreams
        .iter()
        .map(|upstream| upstream.seen().len())
        .collect();
    assert_eq!(shares.iter().sum::<usize>(), 800);
    assert!(
        shares.iter().all(|share| (100..=300).contains(share)),
        "{shares:?}"
    );
}

fn a_busy_replica_is_left_alone(driver: Driver) {
    let mut upstreams = servers(1, Duration::from_millis(100));
    upstreams.extend(servers(1, Duration::from_millis(1)));
    let gateway = serving_all(driver, &upstreams);
    load(&gateway, 4, 50);
    let shares: Vec<usize> = upstreams
        .iter()
        .map(|upstream| upstream.seen().len())
        .collect();
    assert!(shares[0] * 4 < shares[1], "slow and fast got {shares:?}");
}

fn many_requests_on_one_connection_leak_nothing(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    let open = |gateway: &Gateway| -> BTreeMap<i32, usize> {
        let pids = [gateway.pid()].into_iter().chain(gateway.descendants());
        pids.map(|pid| (pid, tests::processes::descriptors(pid).unwrap()))
            .collect()
    };
    let mut client = gateway.connect();
    for _ in 0..20 {
        assert_eq!(client.post("/function/cat", b"x").status(), 200);
    }
    let before = open(&gateway);
    for _ in 0..200 {
        assert_eq!(client.post("/function/cat", b"x").status(), 200);
        assert_eq!(gateway.call("cat", b"y").status(), 200);
    }
    tests::eventually("no descriptor is left over", || {
        let now = open(&gateway);
        let same =
            |(pid, count): (&i32, &usize)| now.get(pid).is_some_and(|now| *now <= count + FEW);
        (now.len() == before.len() && before.iter().all(same)).then_some(())
    });
    for pid in gateway.descendants().into_iter().chain([gateway.pid()]) {
        let children = tests::processes::children(pid);
        let zombies: Vec<_> = children
            .into_iter()
            .filter(|child| tests::processes::is_zombie(*child))
            .collect();
        assert!(zombies.is_empty(), "{pid} has zombies: {zombies:?}");
    }
}
