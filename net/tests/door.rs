//! The door of `net`, tried under each driver: whatever runs behind it, a caller sees the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test helper that fails ends the test, as it should"
)]

use std::{
    cell::Cell,
    net::SocketAddr,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use net::{
    Chunk, Driver, DriverChoice, Either, Endpoint, Listener, Parting, PipeReader, PipeWriter,
    Runtime, Stream, Timer, race,
};

/// Runs one body under each driver that this kernel offers.
macro_rules! under_each_driver {
    ($($name:ident => $body:expr;)*) => {
        mod monoio_uring { $(#[test] fn $name() {
            match Driver::select(DriverChoice::MonoioUring) {
                Ok(driver) => Runtime::new(&driver).unwrap().block_on($body()),
                // Stated, not hidden: the epoll part of the suite always runs.
                Err(error) => eprintln!("monoio-uring part not run: {error}"),
            }
        })* use super::*; }
        mod ring { $(#[test] fn $name() {
            match Driver::select(DriverChoice::Ring) {
                Ok(driver) => Runtime::new(&driver).unwrap().block_on($body()),
                // Stated, not hidden: the epoll part of the suite always runs.
                Err(error) => eprintln!("ring part not run: {error}"),
            }
        })* use super::*; }
        mod epoll { $(#[test] fn $name() {
            let driver = Driver::select(DriverChoice::Epoll).unwrap();
            Runtime::new(&driver).unwrap().block_on($body());
        })* use super::*; }
    };
}

under_each_driver! {
    a_large_message_crosses_tcp_whole => large_message_over_tcp;
    a_large_message_crosses_a_unix_socket_whole => large_message_over_unix;
    a_closed_peer_is_an_empty_chunk => closed_peer;
    a_refused_connection_is_an_error => refused;
    an_accept_can_be_given_up_without_a_loss => given_up_accept;
    what_waits_in_the_backlog_can_be_told_from_nothing => backlog;
    a_socket_that_two_listeners_hold_is_whole_when_one_goes => shared_socket;
    a_flood_of_connections_leaves_others_their_turn => flood;
    a_hang_up_is_seen_while_nobody_reads => hang_up;
    a_reset_is_told_from_an_end => reset;
    a_stopped_receiver_yields_what_has_arrived_and_then_ends => stopped;
    a_timer_fires_after_its_deadline_and_can_be_set_again => timer;
    a_timer_that_was_cleared_never_fires => cleared_timer;
    a_timer_beyond_the_end_of_time_never_fires => endless_timer;
    a_pipe_carries_more_than_it_holds => pipe;
    a_bell_rung_by_another_thread_wakes_this_one => bell;
    an_idle_connection_is_quiet_until_bytes_arrive => quiet;
}

fn listen_tcp() -> (Listener, Endpoint) {
    let socket = net::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), true).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (Listener::new(socket).unwrap(), Endpoint::Tcp(address))
}

fn tcp(endpoint: &Endpoint) -> SocketAddr {
    match endpoint {
        Endpoint::Tcp(address) => *address,
        Endpoint::Unix(_) => unreachable!("it listens on TCP"),
    }
}

async fn pair() -> (Stream, Stream) {
    let (listener, endpoint) = listen_tcp();
    let client = Stream::connect(&endpoint).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert!(peer.is_some());
    (client, server)
}

/// Fails the test when the future takes longer than any sane machine needs.
async fn within<T>(future: impl Future<Output = T>) -> T {
    match race(future, net::sleep(Duration::from_secs(20))).await {
        Either::First(output) => output,
        Either::Second(()) => panic!("took longer than 20 s"),
    }
}

async fn exchange(listener: Listener, endpoint: Endpoint) {
    const TOTAL: usize = 3_000_000;
    net::spawn(async move {
        let (mut server, _peer) = listener.accept().await.unwrap();
        loop {
            let chunk = server.receiver.recv().await.unwrap();
            if chunk.is_empty() {
                break;
            }
            server.sender.send(chunk).await.unwrap();
        }
    });
    let Stream {
        mut receiver,
        mut sender,
    } = Stream::connect(&endpoint).await.unwrap();
    net::spawn(async move {
        let block: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for _ in 0..TOTAL / block.len() {
            sender.send(Chunk::copied(&block)).await.unwrap();
        }
        sender.finish().await.unwrap();
        // Keeps the half alive until the other end has seen the FIN.
        net::sleep(Duration::from_millis(1)).await;
    });
    let mut received = Vec::new();
    within(async {
        loop {
            let chunk = receiver.recv().await.unwrap();
            if chunk.is_empty() {
                break;
            }
            received.extend_from_slice(&chunk);
        }
    })
    .await;
    assert_eq!(received.len(), TOTAL);
    assert!(
        received
            .chunks(10_000)
            .all(|b| b.iter().zip((0..=255).cycle()).all(|(a, b)| *a == b))
    );
}

async fn large_message_over_tcp() {
    let (listener, endpoint) = listen_tcp();
    exchange(listener, endpoint).await;
}

async fn large_message_over_unix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = Listener::new(net::bind_unix(&path).unwrap()).unwrap();
    exchange(listener, Endpoint::Unix(path)).await;
}

async fn closed_peer() {
    let (mut client, server) = pair().await;
    drop(server);
    assert!(within(client.receiver.recv()).await.unwrap().is_empty());
}

async fn refused() {
    let (listener, endpoint) = listen_tcp();
    drop(listener);
    within(Stream::connect(&endpoint)).await.unwrap_err();
    let nowhere = Endpoint::Unix("/nonexistent".into());
    within(Stream::connect(&nowhere)).await.unwrap_err();
}

/// Goal: an accept that is dropped takes no connection with it.
/// Steps: begin an accept; let a client connect, and drop the accept before the runtime can tell it;
/// the next accept has the client. Several times over.
async fn given_up_accept() {
    let (listener, endpoint) = listen_tcp();
    for _ in 0..20 {
        let connect = async {
            // Long enough for the accept to be on its way.
            net::sleep(Duration::from_millis(2)).await;
            std::net::TcpStream::connect(tcp(&endpoint)).unwrap()
        };
        let Either::Second(client) = within(race(listener.accept(), connect)).await else {
            panic!("nobody else connects");
        };
        let (_server, peer) = within(listener.accept()).await.unwrap();
        assert_eq!(peer, Some(client.local_addr().unwrap()));
    }
}

async fn backlog() {
    let (listener, endpoint) = listen_tcp();
    assert!(listener.accept_waiting().await.unwrap().is_none());
    let _clients = (
        Stream::connect(&endpoint).await.unwrap(),
        Stream::connect(&endpoint).await.unwrap(),
    );
    let one = listener.accept_waiting().await.unwrap();
    let other = listener.accept_waiting().await.unwrap();
    assert!(one.is_some() && other.is_some());
    assert!(listener.accept_waiting().await.unwrap().is_none());
}

/// Goal: who stops listening does no harm to another process that has the same socket.
/// Steps: two listeners on one socket, as after a handover; a client connects; the first listener
/// goes while an accept is pending; the second accepts that client and the next.
async fn shared_socket() {
    let socket = net::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), true).unwrap();
    let endpoint = Endpoint::Tcp(socket.local_addr().unwrap().as_socket().unwrap());
    let heir = Listener::new(socket.try_clone().unwrap()).unwrap();
    let first = Listener::new(socket).unwrap();
    match race(first.accept(), net::sleep(Duration::from_millis(1))).await {
        Either::First(_) => panic!("nobody has connected"),
        Either::Second(()) => {}
    }
    let mut waiting = within(Stream::connect(&endpoint)).await.unwrap();
    drop(first);
    let mut next = within(Stream::connect(&endpoint)).await.unwrap();
    for client in [&mut waiting, &mut next] {
        let (mut server, _peer) = within(heir.accept()).await.unwrap();
        server.sender.send(Chunk::copied(b"x")).await.unwrap();
        let bytes = within(client.receiver.recv()).await.unwrap();
        assert_eq!(&bytes[..], b"x");
    }
}

/// Goal: a backlog that is full does not keep a timer from passing.
/// Steps: many clients connect before anybody accepts; accept without a pause until a short timer
/// has passed, and see that it did before all were accepted.
async fn flood() {
    const CLIENTS: usize = 300;
    let (listener, endpoint) = listen_tcp();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| std::net::TcpStream::connect(tcp(&endpoint)).unwrap())
        .collect();
    let accepted = Cell::new(0);
    let accept = async {
        loop {
            drop(listener.accept().await.unwrap());
            accepted.set(accepted.get() + 1);
        }
    };
    match within(race(accept, net::sleep(Duration::from_millis(1)))).await {
        Either::First(()) => unreachable!("it never ends"),
        Either::Second(()) => {}
    }
    assert!((1..CLIENTS).contains(&accepted.get()), "{accepted:?}");
    // All of them were there until now.
    drop(clients);
}

async fn hang_up() {
    let (client, server) = pair().await;
    let watch = server.receiver.watch().unwrap();
    match race(watch.hung_up(), net::sleep(Duration::from_millis(30))).await {
        Either::First(_) => panic!("the peer is still there"),
        Either::Second(()) => {}
    }
    drop(client);
    assert_eq!(within(watch.hung_up()).await, Parting::Finished);
}

async fn reset() {
    let (listener, endpoint) = listen_tcp();
    let client = std::net::TcpStream::connect(tcp(&endpoint)).unwrap();
    let (server, _peer) = listener.accept().await.unwrap();
    let watch = server.receiver.watch().unwrap();
    // A close that does not linger is a reset (socket(7), SO_LINGER).
    let linger = Some(Duration::ZERO);
    socket2::SockRef::from(&client).set_linger(linger).unwrap();
    drop(client);
    assert_eq!(within(watch.hung_up()).await, Parting::Reset);
}

async fn stopped() {
    let (mut client, mut server) = pair().await;
    client.sender.send(Chunk::copied(b"arrived")).await.unwrap();
    let stopper = server.receiver.stopper();
    let mut seen = Vec::new();
    within(async {
        // Not before the bytes are there: the test is about those that had arrived.
        while server.is_quiet() {
            net::sleep(Duration::from_millis(1)).await;
        }
        stopper.stop();
        loop {
            let chunk = server.receiver.recv().await.unwrap();
            if chunk.is_empty() {
                break;
            }
            seen.extend_from_slice(&chunk);
        }
    })
    .await;
    assert_eq!(seen, b"arrived");
    drop(server);
    stopper.stop();
}

async fn timer() {
    let timer = Timer::new();
    for _ in 0..2 {
        let start = Instant::now();
        timer.set(Duration::from_millis(40));
        within(timer.expired()).await;
        assert!(start.elapsed() >= Duration::from_millis(40));
    }
}

async fn cleared_timer() {
    let timer = Timer::new();
    timer.set(Duration::from_millis(20));
    timer.clear();
    let fired = race(timer.expired(), net::sleep(Duration::from_millis(80))).await;
    assert_eq!(fired, Either::Second(()));
}

async fn endless_timer() {
    let timer = Timer::new();
    timer.set(Duration::MAX);
    let fired = race(timer.expired(), net::sleep(Duration::from_millis(50))).await;
    assert_eq!(fired, Either::Second(()));
}

async fn pipe() {
    const TOTAL: usize = 1_000_000;
    let (reader, writer) = std::io::pipe().unwrap();
    let mut reader = PipeReader::new(OwnedFd::from(reader)).unwrap();
    let writer = PipeWriter::new(OwnedFd::from(writer)).unwrap();
    net::spawn(async move {
        for _ in 0..TOTAL / 1000 {
            writer.send(Chunk::copied(&[7; 1000])).await.unwrap();
        }
    });
    let mut count = 0;
    within(async {
        loop {
            let chunk = reader.recv().await.unwrap();
            if chunk.is_empty() {
                break;
            }
            count += chunk.len();
        }
    })
    .await;
    assert_eq!(count, TOTAL);
}

async fn bell() {
    let (ringer, bell) = net::bell().unwrap();
    let thread = std::thread::spawn(move || ringer.ring());
    let mut rung = false;
    within(bell.listen(|| rung = true)).await.unwrap();
    thread.join().unwrap();
    assert!(rung);
}

async fn quiet() {
    let (mut client, server) = pair().await;
    assert!(server.is_quiet());
    client.sender.send(Chunk::copied(b"x")).await.unwrap();
    within(async {
        while server.is_quiet() {
            net::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
