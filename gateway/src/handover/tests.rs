//! The two sides against each other, in one process.

use std::{
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with, socketpair,
};
use socket2::Socket;

use super::*;

/// A gateway as far as this room is concerned.
struct Offered {
    address: SocketAddr,
    sockets: Vec<Socket>,
    withdrawal: Withdrawal,
}

impl Offered {
    /// The first of its line, with `count` sockets.
    fn first(count: usize) -> Self {
        let mut address = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = (0..count)
            .map(|_| {
                let socket = net::bind_tcp(address, true).unwrap();
                address = socket.local_addr().unwrap().as_socket().unwrap();
                socket
            })
            .collect();
        Self::with(address, sockets, None)
    }

    /// Takes over, if somebody offers.
    fn heir_on(address: SocketAddr) -> Option<Self> {
        let mut inheritance = ask(address)?;
        let sockets = std::mem::take(&mut inheritance.sockets);
        Some(Self::with(address, sockets, Some(inheritance)))
    }

    fn with(address: SocketAddr, sockets: Vec<Socket>, inheritance: Option<Inheritance>) -> Self {
        let (withdrawal, offering) = offering().unwrap();
        let goods = Goods::new(address, &sockets, inheritance).unwrap();
        offering.begin(vec![goods]).unwrap();
        Self {
            address,
            sockets,
            withdrawal,
        }
    }

    fn leave(mut self) {
        self.withdrawal.withdraw();
    }
}

fn seqpacket(flags: SocketFlags) -> OwnedFd {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC | flags);
    socket_with(AddressFamily::UNIX, kind, flags, None).unwrap()
}

/// A door of our own making.
fn stranger(address: SocketAddr) -> OwnedFd {
    let door = seqpacket(SocketFlags::empty());
    bind(&door, &abstract_name(address).unwrap()).unwrap();
    listen(&door, 1).unwrap();
    door
}

/// An address that nobody uses, as long as the socket is held.
fn held_address() -> (Socket, SocketAddr) {
    let socket = net::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), true).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn nobody_who_offers_is_no_error() {
    let (_socket, address) = held_address();
    assert!(ask(address).is_none());
}

/// Goal: what waits in a socket outlives the gateway that made it, through several replacements.
/// Steps: a client connects, nobody accepts; three gateways take over one after the other, each
/// older one leaving; the last has the same number of sockets, and one of them has the client.
#[test]
fn a_waiting_connection_is_handed_down_the_line() {
    let mut gateway = Offered::first(2);
    let client = TcpStream::connect(gateway.address).unwrap();
    for _ in 0..3 {
        let heir = Offered::heir_on(gateway.address).unwrap();
        gateway.leave();
        gateway = heir;
    }
    assert_eq!(gateway.sockets.len(), 2);
    let has_client = |socket: &Socket| {
        socket.set_nonblocking(true).unwrap();
        let peer = socket.accept().ok().and_then(|(_, peer)| peer.as_socket());
        peer == Some(client.local_addr().unwrap())
    };
    assert!(gateway.sockets.iter().any(has_client));
    gateway.leave();
}

/// Goal: a replacement that fails costs nothing.
/// Steps: a second gateway takes over and leaves before the first; a third finds the first again.
/// Then the first has gone and so has the third: nobody offers any more.
#[test]
fn the_older_one_answers_again_when_the_newer_one_has_gone() {
    let first = Offered::first(1);
    let address = first.address;
    Offered::heir_on(address).unwrap().leave();
    // One that took everything, but never came to offer it itself.
    drop(ask(address).unwrap());
    let third = Offered::heir_on(address).unwrap();
    first.leave();
    let fourth = Offered::heir_on(address).unwrap();
    third.leave();
    fourth.leave();
    assert!(ask(address).is_none());
}

#[test]
fn more_sockets_than_fit_into_a_message_are_handed_over() {
    let first = Offered::first(PER_MESSAGE * 2 + 3);
    let heir = Offered::heir_on(first.address).unwrap();
    assert_eq!(heir.sockets.len(), first.sockets.len());
}

#[test]
fn withdrawing_before_anything_was_offered_is_possible() {
    let (mut withdrawal, offering) = offering().unwrap();
    drop(offering);
    withdrawal.withdraw();
    withdrawal.withdraw();
}

/// Goal: whoever took the name first does no harm.
/// Steps: with a door that belongs to somebody else, a gateway cannot offer, but runs; one that asks
/// gets nothing, whatever it is told: other sockets, no sockets, nonsense, nothing.
#[test]
fn wrong_answers_are_refused() {
    let (socket, address) = held_address();
    let door = stranger(address);
    let (other, _its_address) = held_address();
    let (one_end, _other_end) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let [door_fd, socket_fd, other_fd] = [door.as_fd(), socket.as_fd(), other.as_fd()];
    let wrong: [&[BorrowedFd<'_>]; 5] = [
        &[door_fd],
        &[door_fd, other_fd],
        &[door_fd, socket_fd, one_end.as_fd()],
        &[socket_fd],
        &[],
    ];
    for descriptors in wrong {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(address).is_none());
            let caller = accept_with(&door, SocketFlags::CLOEXEC).unwrap();
            send(&caller, descriptors).unwrap();
            drop(caller);
            assert!(asked.join().unwrap(), "{descriptors:?}");
        });
    }
    for nonsense in [
        "",
        "ringway sockets 2, to come: 0",
        "ringway sockets 1, to come: -1",
    ] {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(address).is_none());
            let caller = accept_with(&door, SocketFlags::CLOEXEC).unwrap();
            rustix::net::send(&caller, nonsense.as_bytes(), SendFlags::NOSIGNAL).unwrap();
            drop(caller);
            assert!(asked.join().unwrap(), "{nonsense}");
        });
    }
    // The right ones pass, so that the rest was refused for the right reason.
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(address).is_some());
        let caller = accept_with(&door, SocketFlags::CLOEXEC).unwrap();
        send(&caller, &[door_fd, socket_fd]).unwrap();
        assert!(asked.join().unwrap());
    });
}

/// Goal: a name that is taken keeps nobody from running, and from withdrawing.
#[test]
fn a_gateway_without_a_door_runs() {
    let (socket, address) = held_address();
    let _door = stranger(address);
    Offered::with(address, vec![socket], None).leave();
}

/// Goal: one who knocks and leaves again, or says something, does not stop the others.
#[test]
fn callers_who_leave_or_talk_are_survived() {
    let first = Offered::first(1);
    let name = abstract_name(first.address).unwrap();
    for talks in [false, true] {
        let caller = seqpacket(SocketFlags::empty());
        rustix::net::connect(&caller, &name).unwrap();
        if talks {
            // It may have been sent away already.
            rustix::net::send(&caller, b"hello", SendFlags::NOSIGNAL).ok();
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while ask(first.address).is_none() {
        assert!(Instant::now() < deadline, "it does not answer any more");
    }
}
