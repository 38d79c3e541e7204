//! Sends that the kernel cannot take at once: they go out whole, or not a byte more than was taken.

use std::{
    cell::Cell,
    io::{Read, Write},
    os::unix::net::UnixStream,
    rc::Rc,
    sync::mpsc,
    thread,
    time::Duration,
};

use socket2::SockRef;

use super::{DEADLINE, connect, ended, listen, on_ring};
use crate::{CHUNK_BYTES, Chunk, Either, Stream, Waiters, bell, race, ring::Size, sleep};

/// Goal: a send that is given up while it is under way never sends what its buffer holds later.
/// Steps: 64 clients do not read; each is sent more than the kernel takes, until a limit ends that
/// send; the buffers that come free are filled with something else, again and again; then the clients
/// read to the end, and each finds nothing but its own bytes.
#[test]
fn a_send_that_is_given_up_sends_nothing_of_what_comes_after_it() {
    const CLIENTS: u8 = 64;
    const FOREIGN: u8 = 0xff;
    on_ring(Size::SMALL, async {
        let (listener, address) = listen();
        let (ringer, bell) = bell().unwrap();
        let (given_up, all_given_up) = mpsc::channel();
        let clients = thread::spawn(move || {
            let clients: Vec<_> = (0..CLIENTS).map(|_| connect(address)).collect();
            all_given_up.recv().ok();
            for mut client in clients {
                let mut all = Vec::new();
                client.read_to_end(&mut all).unwrap();
                assert!(!all.is_empty());
                assert!(all.iter().all(|byte| *byte == all[0] && *byte != FOREIGN));
            }
            ringer.ring();
        });
        let chunk = |byte| Chunk::copied(&[byte; CHUNK_BYTES]);
        let left = Rc::new(Cell::new(CLIENTS));
        let done = Rc::new(Waiters::default());
        for number in 0..CLIENTS {
            let (mut stream, _peer) = listener.accept().await.unwrap();
            let (left, done) = (Rc::clone(&left), Rc::clone(&done));
            crate::ring::spawn(async move {
                let endless = async { while stream.sender.send(chunk(number)).await.is_ok() {} };
                // Long after the socket is full.
                race(endless, sleep(Duration::from_millis(300))).await;
                drop(stream);
                left.set(left.get() - 1);
                done.wake_all();
            });
        }
        done.until(|| left.get() == 0).await;
        for _ in 0..10 {
            let foreign: Vec<_> = (0..500).map(|_| chunk(FOREIGN)).collect();
            sleep(Duration::from_millis(1)).await;
            drop(foreign);
        }
        given_up.send(()).ok();
        let foreign: Vec<_> = (0..500).map(|_| chunk(FOREIGN)).collect();
        let has_ended = ended(bell).await;
        drop(foreign);
        assert!(has_ended, "some saw no end");
        clients.join().unwrap();
    });
}

/// Whoever sends is asleep by the time when there is room again: nothing but the loop itself can go on.
#[test]
fn the_rest_of_a_send_goes_out_while_everybody_sleeps() {
    const LENGTH: usize = 8 << 20;
    on_ring(Size::SMALL, async {
        let (listener, address) = listen();
        let peer = thread::spawn(move || {
            let mut peer = connect(address);
            let mut all = vec![0; LENGTH];
            peer.read_exact(&mut all).unwrap();
            peer.write_all(b"all").unwrap();
        });
        let (mut stream, _peer) = listener.accept().await.unwrap();
        // More than a socket takes at once.
        stream
            .sender
            .send(Chunk::copied(&vec![7; LENGTH]))
            .await
            .unwrap();
        let answer = race(stream.receiver.recv(), sleep(DEADLINE / 4)).await;
        let Either::First(answer) = answer else {
            panic!("the rest was left lying");
        };
        assert_eq!(&answer.unwrap()[..], b"all");
        peer.join().unwrap();
    });
}

/// Goal: the kernel goes on with a send by itself, however little there is room for at a time.
/// Steps: a chunk of a mebibyte over a Unix socket that holds some 4 KiB, to a peer that reads a little
/// at a time; the peer compares what it gets, up to the end of the stream.
#[test]
fn a_send_in_hundreds_of_pieces_goes_out_whole() {
    let all: Vec<u8> = (0..1_u32 << 20)
        .map(|at| (at ^ at >> 8).to_le_bytes()[0])
        .collect();
    on_ring(Size::SMALL, async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        SockRef::from(&ours).set_send_buffer_size(1).unwrap();
        let mut stream = Stream::adopt(ours.into(), false).unwrap();
        let chunk = Chunk::copied(&all);
        let (ringer, bell) = bell().unwrap();
        let peer = thread::spawn(move || {
            let mut got = Vec::new();
            let mut some = [0; 700];
            loop {
                match theirs.read(&mut some).unwrap() {
                    0 => break,
                    count => got.extend_from_slice(&some[..count]),
                }
            }
            ringer.ring();
            got
        });
        stream.sender.send(chunk).await.unwrap();
        stream.sender.finish().await.unwrap();
        assert!(ended(bell).await, "it is stuck");
        assert!(peer.join().unwrap() == all, "not what was sent");
    });
}
