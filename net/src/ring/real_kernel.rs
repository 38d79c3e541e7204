//! The ring on the real kernel with far less of everything than it would like: what is lost, stuck
//! or mixed up when queues overflow and buffers run out shows here.
//!
//! Clients are plain blocking sockets on other threads. Where the kernel refuses io_uring, the tests
//! say so and pass; `driver` is tested for that case.

mod sends;

use std::{
    cell::Cell,
    future::Future,
    hash::{DefaultHasher, Hasher},
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    rc::Rc,
    sync::{Mutex, MutexGuard, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{RingRuntime, Size};
use crate::{Bell, Chunk, Either, Listener, Stream, Waiters, bell, bind_tcp, race, sleep};

/// Reached only by a bug.
const DEADLINE: Duration = Duration::from_secs(60);

/// The smallest ring that is tried: a completion queue of 64 entries.
const TINY: Size = Size {
    entries: 16,
    buffers: 8,
};

/// Connections, if this process may have that many.
const CROWD: usize = 5_000;

/// Runs `main` on a ring of this size; `None` where the kernel has none for us.
fn on_ring<T>(size: Size, main: impl Future<Output = T>) -> Option<T> {
    match RingRuntime::of_size(size) {
        Ok(mut runtime) => Some(runtime.block_on(main)),
        Err(error) => {
            eprintln!("not run: io_uring is refused: {error}");
            None
        }
    }
}

/// Lets this process have both ends of a crowd, one crowd at a time. Tells how many it is.
fn crowd() -> (MutexGuard<'static, ()>, usize) {
    static ONE: Mutex<()> = Mutex::new(());
    let alone = ONE.lock().unwrap_or_else(|failed| failed.into_inner());
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, all).unwrap();
    let most = limit.maximum.unwrap_or(u64::MAX).saturating_sub(500) / 2;
    (
        alone,
        usize::try_from(most).map_or(CROWD, |most| most.min(CROWD)),
    )
}

fn listen() -> (Listener, SocketAddr) {
    let socket = bind_tcp(([127, 0, 0, 1], 0).into(), false).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (Listener::new(socket).unwrap(), address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Waits until the clients let go of their ringer, which is when they end, well or not; tells whether
/// they did in time. Whether their thread counts as finished would be known a moment later only.
async fn ended(bell: Bell) -> bool {
    let heard = race(bell.listen(|| ()), sleep(DEADLINE)).await;
    matches!(heard, Either::First(Ok(())))
}

/// What a client is told to say.
fn words(number: usize) -> Vec<u8> {
    format!("this is client number {number:>6}").into_bytes()
}

/// Sends back what comes, in whole messages of this length.
async fn echo(mut stream: Stream) {
    loop {
        match stream.receiver.recv().await {
            Ok(chunk) if !chunk.is_empty() => stream.sender.send(chunk).await.unwrap(),
            _ => return,
        }
    }
}

/// Goal: a completion queue that is far too short loses nothing and stops nobody.
/// Steps: as many connections as there can be, each with a receive under way; the thread of the
/// ring stands still until all clients have spoken; all are answered, twice.
#[test]
fn a_burst_over_a_full_completion_queue_is_answered_to_the_last() {
    let (_alone, count) = crowd();
    on_ring(TINY, async {
        let (listener, address) = listen();
        let (spoken, all_have_spoken) = mpsc::channel();
        let (ringer, bell) = bell().unwrap();
        let clients = thread::spawn(move || {
            let mut clients: Vec<_> = (0..count).map(|_| connect(address)).collect();
            for _ in 0..2 {
                for (number, client) in clients.iter_mut().enumerate() {
                    client.write_all(&words(number)).unwrap();
                }
                spoken.send(()).ok();
                for (number, client) in clients.iter_mut().enumerate() {
                    let mut answer = words(0);
                    client.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, words(number));
                }
            }
            ringer.ring();
        });
        for _ in 0..count {
            let (stream, _peer) = listener.accept().await.unwrap();
            crate::ring::spawn(echo(stream));
        }
        // On purpose: nothing is reaped meanwhile. Those who panicked will not speak either.
        all_have_spoken.recv().ok();
        assert!(ended(bell).await, "some were not answered");
        clients.join().unwrap();
    });
}

/// Goal: more operations end in one instant than the ring has entries: none hangs, none leaks.
/// Steps: a crowd of connections, each waited for until the same moment; then all are closed at
/// once, receives under way; every client sees the end, and a newcomer is served by the same ring.
#[test]
fn a_crowd_that_times_out_in_one_instant_is_let_go() {
    let (_alone, count) = crowd();
    on_ring(TINY, async {
        let (listener, address) = listen();
        let (ringer, bell) = bell().unwrap();
        let clients = thread::spawn(move || {
            let mut clients: Vec<_> = (0..count).map(|_| connect(address)).collect();
            for client in &mut clients {
                assert_eq!(client.read(&mut [0]).unwrap(), 0, "it is closed");
            }
            let mut late = connect(address);
            late.write_all(b"and me?").unwrap();
            let mut answer = [0; 7];
            late.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"and me?");
            ringer.ring();
        });
        let is_over = Rc::new(Cell::new(false));
        let waiting = Rc::new(Waiters::default());
        for _ in 0..count {
            let (mut stream, _peer) = listener.accept().await.unwrap();
            let (is_over, waiting) = (Rc::clone(&is_over), Rc::clone(&waiting));
            crate::ring::spawn(async move {
                let over = waiting.until(|| is_over.get());
                // The receive is under way when its stream is dropped.
                race(stream.receiver.recv(), over).await;
            });
        }
        // All receives have reached the kernel by then.
        sleep(Duration::from_millis(5)).await;
        is_over.set(true);
        waiting.wake_all();
        let (late, _peer) = listener.accept().await.unwrap();
        crate::ring::spawn(echo(late));
        assert!(ended(bell).await, "some were not let go");
        clients.join().unwrap();
    });
}

/// Goal: a submission queue that is far too short loses nothing and stops nobody.
/// Steps: in one turn, many more waits than it holds; a word from each peer ends all of them. Then the
/// same again, where only the last one is ended: by then the kernel has all, and the others are given
/// up in one turn; the kernel lets go of every descriptor.
#[test]
fn many_more_operations_than_the_queue_holds_are_started_and_given_up_in_one_turn() {
    const COUNT: usize = 10 * TINY.entries as usize;
    on_ring(TINY, async {
        let (ours, mut theirs): (Vec<_>, Vec<_>) = (0..COUNT)
            .map(|_| UnixStream::pair().unwrap())
            .map(|(ours, theirs)| (Rc::new(OwnedFd::from(ours)), theirs))
            .unzip();
        let over = Rc::new(Cell::new(0));
        let is_given_up = Rc::new(Cell::new(false));
        let change = Rc::new(Waiters::default());
        let wait_for_all = || {
            for fd in &ours {
                let (fd, over) = (Rc::clone(fd), Rc::clone(&over));
                let (is_given_up, change) = (Rc::clone(&is_given_up), Rc::clone(&change));
                crate::ring::spawn(async move {
                    let given_up = change.until(|| is_given_up.get());
                    race(crate::ring::readable(&fd), given_up).await;
                    over.set(over.get() + 1);
                    change.wake_all();
                });
            }
        };
        let until_over = async |count| {
            let all = change.until(|| over.get() == count);
            let in_time = matches!(race(all, sleep(DEADLINE)).await, Either::First(()));
            assert!(in_time, "{} of {count} are over", over.get());
        };
        wait_for_all();
        theirs
            .iter_mut()
            .for_each(|peer| peer.write_all(b"!").unwrap());
        until_over(COUNT).await;
        for fd in &ours {
            rustix::io::read(fd, &mut [0; 8]).unwrap();
        }
        wait_for_all();
        theirs[COUNT - 1].write_all(b"!").unwrap();
        until_over(COUNT + 1).await;
        is_given_up.set(true);
        change.wake_all();
        until_over(2 * COUNT).await;
        let give_up = Instant::now() + DEADLINE;
        while ours.iter().any(|fd| Rc::strong_count(fd) > 1) {
            assert!(Instant::now() < give_up, "some are still held");
            sleep(Duration::from_millis(1)).await;
        }
    });
}

/// The sum over everything that was received, and how much that was.
async fn sum_up(mut stream: Stream) {
    let mut hasher = DefaultHasher::new();
    let mut length = 0_u64;
    // Held back for a while: a buffer that was given to two would change meanwhile.
    let mut held = std::collections::VecDeque::<Chunk>::new();
    loop {
        let chunk = stream.receiver.recv().await.unwrap();
        let is_last = chunk.is_empty();
        held.push_back(chunk);
        while held.len() > if is_last { 0 } else { 3 } {
            let chunk = held.pop_front().unwrap_or_default();
            hasher.write(&chunk);
            length += chunk.len() as u64;
        }
        if is_last {
            break;
        }
    }
    let sums = [hasher.finish().to_be_bytes(), length.to_be_bytes()].concat();
    stream.sender.send(Chunk::copied(&sums)).await.unwrap();
}

/// Goal: with fewer buffers than connections, each byte arrives once, in order, where it belongs.
/// Steps: 64 clients send at the same time, in pieces of all sizes, to a thread with 8 buffers;
/// what was received is compared by length and sum.
#[test]
fn eight_buffers_serve_sixty_four_connections_without_a_mistake() {
    const CLIENTS: usize = 64;
    const BYTES: usize = 400_000;
    let size = Size {
        entries: 64,
        buffers: 8,
    };
    on_ring(size, async {
        let (listener, address) = listen();
        let (ringer, bell) = bell().unwrap();
        let clients = thread::spawn(move || {
            thread::scope(|scope| {
                for number in 0..CLIENTS {
                    scope.spawn(move || send_and_compare(address, number, BYTES));
                }
            });
            ringer.ring();
        });
        for _ in 0..CLIENTS {
            let (stream, _peer) = listener.accept().await.unwrap();
            crate::ring::spawn(sum_up(stream));
        }
        assert!(ended(bell).await, "some hang");
        clients.join().unwrap();
    });
}

fn send_and_compare(address: SocketAddr, number: usize, bytes: usize) {
    let mut client = connect(address);
    // Different for each client and each place, and cheap to make.
    let all: Vec<u8> = (0..bytes)
        .map(|at| (at.wrapping_mul(31) ^ (at >> 8).wrapping_mul(number + 1)).to_le_bytes()[0])
        .collect();
    let mut hasher = DefaultHasher::new();
    let mut rest = &all[..];
    let mut piece = number + 1;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        client.write_all(now).unwrap();
        rest = later;
        piece = piece * 7 % 40_009 + 1;
    }
    client.shutdown(Shutdown::Write).unwrap();
    // The hasher takes bytes in any pieces alike; it is told nothing of their number.
    hasher.write(&all);
    let mut sums = [0; 16];
    client.read_exact(&mut sums).unwrap();
    let (sum, length) = sums.split_at(8);
    assert_eq!(length, (bytes as u64).to_be_bytes());
    assert_eq!(sum, hasher.finish().to_be_bytes());
}
