//! Accepts that are given up, again and again, under each driver: no descriptor is left over. In a
//! program of its own, since it counts those of the whole process.

#![expect(
    clippy::unwrap_used,
    reason = "a test helper that fails ends the test, as it should"
)]

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use net::{Driver, DriverChoice, Listener, Runtime, race, sleep};

/// Accepts that are given up, for each driver.
const ROUNDS: usize = 200;

/// Reached only by a bug.
const DEADLINE: Duration = Duration::from_secs(20);

/// How many descriptors this process has open.
fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Goal: a connection that arrives just when nobody waits for it any more is not taken and forgotten.
/// Steps, with each driver: clients come and go without a pause; accepts are begun and given up after
/// all sorts of times, with listeners that go and come back on the same socket; when the clients
/// have ended, as many descriptors are open as before.
#[test]
fn accepts_that_are_given_up_leave_no_descriptor() {
    for choice in [
        DriverChoice::Epoll,
        DriverChoice::MonoioUring,
        DriverChoice::Ring,
    ] {
        let before = open();
        match Driver::select(choice) {
            Ok(driver) => Runtime::new(&driver).unwrap().block_on(give_up()),
            Err(error) => eprintln!("{choice:?} not run: {error}"),
        }
        // A ring's own descriptors are closed by the kernel a little later.
        let begun = Instant::now();
        while open() > before {
            assert!(
                begun.elapsed() < DEADLINE,
                "{choice:?}: {before} became {}",
                open()
            );
            thread::yield_now();
        }
    }
}

async fn give_up() {
    let socket = net::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), true).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let clients = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            while !is_over.load(Ordering::Relaxed) {
                drop(TcpStream::connect(address));
            }
        }
    });
    let mut accepted = 0;
    for round in 0..ROUNDS {
        // As at a reload: a new listener on the same socket, the old one with an accept begun.
        let listener = Listener::new(socket.try_clone().unwrap()).unwrap();
        let serve = async {
            loop {
                let (stream, _peer) = listener.accept().await.unwrap();
                accepted += 1;
                drop(stream);
            }
        };
        let while_long = Duration::from_micros((round * 37 % 2000).try_into().unwrap_or(0));
        let both: net::Either<(), ()> = race(serve, sleep(while_long)).await;
        assert_eq!(both, net::Either::Second(()));
    }
    is_over.store(true, Ordering::Relaxed);
    clients.join().unwrap();
    assert!(accepted > ROUNDS, "hardly anybody came: {accepted}");
}
