//! A gateway that runs is replaced by another on the same port: no request fails, whatever kind of
//! client makes it.

use std::{
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use tests::{
    Builder, Connection, Driver, Gateway, Response, SetOnDrop, Upstream, eventually, hold_for,
    http::request_bytes, under_each_driver,
};

under_each_driver! {
    replacements_in_a_row_fail_no_request
    every_address_is_taken_over
    a_killed_gateway_leaves_its_port_to_its_successor
    a_replacement_that_leaves_first_costs_nothing
    idle_connections_and_a_second_signal
    a_stranger_who_has_the_name_does_no_harm
}

/// What an answer is, in pieces for a path that ends in `stream`. Those and `slow` take a while.
const PIECES: [&str; 4] = ["one ", "two ", "three ", "four"];
const WHILE: Duration = Duration::from_millis(100);

fn upstream() -> Upstream {
    Upstream::start(|peer| {
        while let Some(seen) = peer.request() {
            if seen.line().ends_with("/stream") {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for piece in PIECES {
                    peer.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
                    hold_for(WHILE);
                }
                peer.send("0\r\n\r\n");
                continue;
            }
            if seen.line().ends_with("/slow") {
                hold_for(WHILE * 4);
            }
            let answer = PIECES.concat();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            peer.send(head + &answer);
        }
    })
}

/// The clients that keep their connection always use it again; on a machine that is busy with other
/// things, not always within a second.
const PATIENT: &str = "--drain-idle-timeout=20s";

/// Gateways that replace each other.
struct Line<'u> {
    driver: Driver,
    upstream: &'u Upstream,
    listen: Vec<SocketAddr>,
    gateway: Gateway,
}

impl<'u> Line<'u> {
    fn start(driver: Driver, upstream: &'u Upstream) -> Self {
        let gateway = Builder::new(driver)
            .serving("f", upstream)
            .arg(PATIENT)
            .start();
        Self {
            driver,
            upstream,
            listen: vec![gateway.address()],
            gateway,
        }
    }

    /// The next gateway, beside the one that runs.
    fn next(&self, threads: usize) -> Gateway {
        let builder = Builder::new(self.driver)
            .serving("f", self.upstream)
            .arg(PATIENT)
            .threads(threads)
            .arg("--reuse-port")
            .listening_on(self.listen[0]);
        self.listen[1..]
            .iter()
            .fold(builder, |builder, address| {
                builder.arg("--listen").arg(&address.to_string())
            })
            .start()
    }

    /// Replaces the gateway in the orderly way.
    fn replace(&mut self, threads: usize) {
        let next = self.next(threads);
        let mut old = std::mem::replace(&mut self.gateway, next);
        old.terminate();
        assert_eq!(old.wait().code(), Some(0));
    }
}

fn assert_whole(answer: &Response) {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.text(), PIECES.concat());
}

/// One request on a connection of its own.
fn ask_once(address: SocketAddr, path: &str) {
    assert_whole(&Connection::open(address).get(path));
}

/// Requests on one connection until it is told to close or `on_answer` says that it is enough, with
/// a pause before each.
fn ask_on_one_connection(
    address: SocketAddr,
    path: &str,
    pause: Duration,
    mut on_answer: impl FnMut() -> bool,
) {
    let mut client = Connection::open(address);
    loop {
        if !pause.is_zero() {
            hold_for(pause);
        }
        let answer = client.get(path);
        assert_whole(&answer);
        let is_enough = on_answer();
        if answer.head.header("connection") == Some("close") {
            return client.expect_close();
        }
        if is_enough {
            return;
        }
    }
}

/// A client of each kind on each address, until `during` has returned. A request that fails fails
/// the test.
fn under_load(addresses: &[SocketAddr], during: impl FnOnce(&dyn Fn())) {
    const KINDS: usize = 6;
    let stop = AtomicBool::new(false);
    let asked: Vec<_> = (0..KINDS).map(|_| AtomicUsize::new(0)).collect();
    let ask = |kind: usize, address: SocketAddr| {
        let asked = &asked[kind];
        let answered = || {
            asked.fetch_add(1, Ordering::Relaxed);
            stop.load(Ordering::Relaxed)
        };
        let once = |path| {
            ask_once(address, path);
            answered();
        };
        let on_one = |path, pause| {
            ask_on_one_connection(address, path, Duration::from_millis(pause), answered)
        };
        match kind {
            0 => once("/function/f"),
            1 => once("/function/f/slow"),
            2 => once("/function/f/stream"),
            3 => on_one("/function/f", 0),
            // Idle most of the time, but never as long as a drain lets them be.
            4 => on_one("/function/f", 50),
            _ => on_one("/function/f/stream", 0),
        }
    };
    // Every client has had an answer since.
    let all_have_asked = || {
        let before: Vec<_> = asked.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        eventually("every kind of client is answered", || {
            let mut pairs = before.iter().zip(&asked);
            let all = pairs.all(|(before, now)| now.load(Ordering::Relaxed) > *before);
            (all || stop.load(Ordering::Relaxed)).then_some(())
        });
    };
    thread::scope(|scope| {
        for address in addresses {
            for kind in 0..KINDS {
                let (ask, stop) = (&ask, &stop);
                scope.spawn(move || {
                    // A client that fails ends the test, not the patience of those who wait.
                    let _end = SetOnDrop(stop);
                    while !stop.load(Ordering::Relaxed) {
                        ask(kind, *address);
                    }
                });
            }
        }
        let _end = SetOnDrop(&stop);
        all_have_asked();
        during(&all_have_asked);
    });
}

/// Goal: replacing a gateway loses nothing: connections that are made at this moment, idle ones that
/// are used again, requests and answers under way.
/// Steps: under load of each kind, four gateways follow each other, with more workers, fewer, and as
/// many as there are sockets; each old one ends with 0.
fn replacements_in_a_row_fail_no_request(driver: Driver) {
    let upstream = upstream();
    let mut line = Line::start(driver, &upstream);
    under_load(&line.listen.clone(), |all_have_asked| {
        for threads in [3, 1, 2, 2] {
            line.replace(threads);
            all_have_asked();
        }
    });
    let log = line.gateway.log();
    assert!(log.contains("were taken over from a gateway"), "{log}");
}

/// Steps: the second gateway listens on one address more; the third takes both over, under load on
/// both.
fn every_address_is_taken_over(driver: Driver) {
    let upstream = upstream();
    let mut line = Line::start(driver, &upstream);
    let six = format!("[::1]:{}", line.listen[0].port());
    line.listen.push(six.parse().unwrap());
    line.replace(2);
    under_load(&line.listen.clone(), |all_have_asked| {
        line.replace(1);
        all_have_asked();
    });
    let log = line.gateway.log();
    assert_eq!(log.matches("were taken over").count(), 2, "{log}");
}

/// Steps: kill the first gateway by SIGKILL when the second has taken over: new connections all
/// reach the second. A third takes over from that, under load.
fn a_killed_gateway_leaves_its_port_to_its_successor(driver: Driver) {
    let upstream = upstream();
    let mut line = Line::start(driver, &upstream);
    let second = line.next(2);
    std::mem::replace(&mut line.gateway, second).kill();
    for _ in 0..50 {
        ask_once(line.listen[0], "/function/f");
    }
    under_load(&line.listen.clone(), |all_have_asked| {
        line.replace(2);
        all_have_asked();
    });
}

/// Steps: a second gateway takes over and leaves again, the first goes on, and a third one replaces
/// it; all under load.
fn a_replacement_that_leaves_first_costs_nothing(driver: Driver) {
    let upstream = upstream();
    let mut line = Line::start(driver, &upstream);
    under_load(&line.listen.clone(), |all_have_asked| {
        let mut second = line.next(2);
        all_have_asked();
        second.terminate();
        assert_eq!(second.wait().code(), Some(0));
        all_have_asked();
        line.replace(2);
        all_have_asked();
    });
    let log = line.gateway.log();
    assert!(log.contains("were taken over from a gateway"), "{log}");
}

/// Steps: a gateway with an idle connection ends it by itself, and ends; one with a request that
/// takes for ever ends at the second signal.
fn idle_connections_and_a_second_signal(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while peer.request().is_some() {
            peer.wait_for_end();
        }
    });
    let mut idle = Gateway::start(driver);
    let mut client = idle.connect();
    assert_eq!(client.get("/healthz").status(), 200);
    idle.terminate();
    client.expect_close();
    assert_eq!(idle.wait().code(), Some(0));

    let mut busy = Builder::new(driver).serving("f", &upstream).start();
    let mut client = busy.connect();
    client.send(request_bytes("GET", "/function/f", "", b""));
    upstream.until_seen(1);
    busy.terminate();
    eventually("it does not listen any more", || {
        std::net::TcpStream::connect(busy.address()).err()
    });
    busy.terminate();
    assert_eq!(busy.wait().code(), Some(0));
}

/// Goal: whoever has the name of the place where sockets are handed over cannot keep a gateway from
/// running.
/// Steps: take the name for an address; a gateway starts there all the same, with and without the
/// flag, and says that it will have no successor.
fn a_stranger_who_has_the_name_does_no_harm(driver: Driver) {
    let first = Gateway::start(driver);
    let address = first.address();
    first.kill();
    let name = format!("ringway/listen/{address}");
    let name = UnixAddr::new_abstract(name.as_bytes()).unwrap();
    let (kind, flags) = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
    let stranger = socket(AddressFamily::Unix, kind, flags, None).unwrap();
    eventually("the name is free", || {
        bind(stranger.as_raw_fd(), &name).ok()
    });
    for flags in [None, Some("--reuse-port")] {
        let builder = Builder::new(driver).listening_on(address);
        let gateway = match flags {
            Some(flag) => builder.arg(flag).start(),
            None => builder.start(),
        };
        assert_eq!(gateway.get("/healthz").status(), 200);
        let log = gateway.log();
        assert!(log.contains("no other gateway will be able"), "{log}");
    }
}
