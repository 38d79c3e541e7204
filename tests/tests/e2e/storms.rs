//! Thousands at once, and too few descriptors: what ends in one instant, what cannot be accepted,
//! and that everybody else is served meanwhile.

use std::{
    io::Write,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tests::{
    Builder, Confinement, Connection, Driver, Gateway, Upstream, eventually, processes,
    under_each_driver,
};

under_each_driver! {
    five_thousand_connections_that_time_out_in_one_instant_are_let_go
    without_descriptors_it_says_so_goes_on_and_recovers
    large_bodies_make_no_threads
    a_flooding_client_leaves_a_late_one_its_turn
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What may be open beside clients: connections to replicas, the API's own.
const FEW: usize = 40;

/// One crowd at a time: all have their client ends in this process. Tells how many it can be.
fn crowd() -> (MutexGuard<'static, ()>, usize) {
    static ONE: Mutex<()> = Mutex::new(());
    let alone = ONE.lock().unwrap_or_else(|failed| failed.into_inner());
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    (
        alone,
        usize::try_from(hard)
            .unwrap()
            .saturating_sub(1500)
            .min(5_000),
    )
}

/// Clients of whom each has been served once: they are accepted, all of them.
fn served(gateway: &Gateway, count: usize) -> Vec<Connection> {
    let mut clients: Vec<_> = (0..count).map(|_| gateway.connect()).collect();
    // Not all at once: each would have a connection to the server, which stays in the pool.
    for some in clients.chunks_mut(100) {
        for client in &mut *some {
            client.send("GET /function/f HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        for client in some {
            assert_eq!(client.response().text(), "ok");
        }
    }
    clients
}

/// Goal: more cancellations at once than a ring has entries neither hang nor leak.
/// Steps: 5,000 clients have begun a head; all of them run into its limit at the same time, and are
/// told 408; an ordinary client is served meanwhile; descriptors are back. Twice; then the same
/// with clients that say nothing more, in no more memory than all of that should take.
fn five_thousand_connections_that_time_out_in_one_instant_are_let_go(driver: Driver) {
    let (_alone, count) = crowd();
    let upstream = Upstream::answering(OK);
    let gateway = Builder::new(driver)
        .serving("f", &upstream)
        .arg("--head-timeout=1s")
        .arg("--idle-timeout=5s")
        .arg("--pool-idle-max=8")
        .start();
    assert_eq!(gateway.get("/function/f").status(), 200);
    let before = processes::descriptors(gateway.pid()).unwrap();
    for round in 0..3 {
        let mut clients = served(&gateway, count);
        if round < 2 {
            for client in &mut clients {
                // The next head begins, and never ends.
                client.send("GET /function/");
            }
        }
        assert_eq!(gateway.get("/function/f").status(), 200);
        for client in &mut clients {
            if round < 2 {
                assert_eq!(client.response().status(), 408);
            }
            assert!(client.try_head().is_none(), "it is closed");
        }
        assert_eq!(gateway.get("/function/f").status(), 200);
        eventually("the descriptors are free again", || {
            let now = processes::descriptors(gateway.pid()).unwrap();
            (now <= before + FEW).then_some(())
        });
    }
    // Each had a buffer of 16 KiB at least once; the allocator keeps what was free for a while.
    let peak = processes::peak_bytes(gateway.pid());
    assert!(peak < (40 << 20) + count as u64 * (48 << 10), "{peak}");
}

/// Goal: whoever has a connection is served while no more can be accepted; the log says so, once
/// for each time and not once for each try; and when some have gone, others come in.
fn without_descriptors_it_says_so_goes_on_and_recovers(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let confinement = Confinement::new(env!("CARGO_BIN_EXE_confined")).opening_at_most(80);
    let gateway = Builder::new(driver)
        .confined(confinement)
        .threads(1)
        .serving("f", &upstream)
        .start();
    let mut early = gateway.connect();
    assert_eq!(early.get("/function/f").status(), 200);
    for _ in 0..3 {
        let more: Vec<_> = (0..120).map(|_| gateway.connect()).collect();
        eventually("the log says it", || {
            gateway.log().contains("cannot accept").then_some(())
        });
        for _ in 0..20 {
            assert_eq!(early.get("/function/f").status(), 200);
        }
        drop(more);
        // It waited in the backlog behind all the others.
        assert_eq!(gateway.get("/function/f").status(), 200);
    }
    let log = gateway.log();
    let warnings = log.lines().filter(|line| line.contains("cannot accept"));
    assert!((1..=20).contains(&warnings.count()), "{log}");
    assert!(log.contains("accepts connections again"), "{log}");
}

/// Goal: nothing that moves bytes does so on threads of its own, the kernel's for a ring included.
/// Steps: eight clients send 16 MiB each and get them back; the threads are counted all the while.
fn large_bodies_make_no_threads(driver: Driver) {
    const BYTES: usize = 16 << 20;
    let upstream = Upstream::start(|peer| {
        while let Some(head) = peer.head() {
            assert!(head.starts_with("POST "), "{head}");
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n"
            ));
            let mut left = BYTES;
            while left > 0 {
                let piece = peer.some().unwrap();
                left -= piece.len();
                peer.send(piece);
            }
        }
    });
    let gateway = Builder::new(driver).serving("f", &upstream).start();
    assert_eq!(gateway.get("/healthz").status(), 200);
    let body: Vec<u8> = (0..=255).cycle().take(BYTES).collect();
    let most = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = gateway.connect();
                    let mut writer = client.writer();
                    let head = format!(
                        "POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: {BYTES}\r\n\r\n"
                    );
                    let answer = thread::scope(|scope| {
                        scope.spawn(|| {
                            writer.write_all(head.as_bytes()).unwrap();
                            writer.write_all(&body).unwrap();
                        });
                        client.response_to("POST")
                    });
                    assert!(answer.body == body, "another body came back");
                })
            })
            .collect();
        let mut most = Vec::new();
        eventually("all have their bodies", || {
            let now = processes::threads(gateway.pid());
            if now.len() > most.len() {
                most = now;
            }
            clients
                .iter()
                .all(|client| client.is_finished())
                .then_some(())
        });
        most
    });
    // Two workers, the main thread, the control plane's, and a few of its own for slow calls.
    assert!(most.len() <= 2 + 8, "{most:?}");
    let kernels = most.iter().filter(|name| name.starts_with("iou-"));
    assert_eq!(kernels.count(), 0, "{most:?}");
}

/// Goal: who sends requests without a pause, and takes all answers, has no more than his share.
/// Steps: two clients pipeline for all they are worth to a gateway of one thread, a third opens
/// connections without a pause; one who comes late is served, again and again.
fn a_flooding_client_leaves_a_late_one_its_turn(driver: Driver) {
    const REQUEST: &str = "GET /function/f HTTP/1.1\r\nHost: h\r\n\r\n";
    let upstream = Upstream::answering(OK);
    let gateway = Builder::new(driver)
        .threads(1)
        .serving("f", &upstream)
        .start();
    let is_over = AtomicBool::new(false);
    let goes_on = || !is_over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let many = REQUEST.repeat(200);
                while goes_on() {
                    let mut client = gateway.connect();
                    let mut writer = client.writer();
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            writer.write_all(many.as_bytes()).unwrap();
                        });
                        for _ in 0..200 {
                            assert_eq!(client.response().text(), "ok");
                        }
                    });
                }
            });
        }
        scope.spawn(|| {
            while goes_on() {
                drop(gateway.connect());
            }
        });
        for _ in 0..30 {
            assert_eq!(gateway.get("/function/f").text(), "ok");
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
