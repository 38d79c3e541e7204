//! Thousands of sockets with readers and writers as tasks of the real executor, over a kernel that
//! does all that one may do, by a seed.
//!
//! Goal: each reader gets its own bytes, all of them, in order, and learns how the stream ended; each
//! byte is sent once, in order; whoever waits is woken, and only then; what is given up ends; and
//! nothing is freed early or kept for ever.
//! Steps of a run: connections are made; their readers read at once, slowly, or give up; their
//! writers send and wait, or leave in the middle of a send; then all is over and nothing is left, or,
//! with every second seed, the runtime ends while everything is under way.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    thread,
};

use super::{Random, WorldKernel, world::World};
use crate::{
    Chunk, Either, Waiters, race,
    ring::{RingRuntime, Socket, spawn},
};

/// Connections of one run.
const CROWD: usize = 50;

/// Runs; many more were made when this was written.
const SEEDS: u64 = 200;

type Shared = Rc<RefCell<World>>;

#[test]
fn whatever_the_kernel_does_each_socket_gets_and_sends_its_own_bytes_and_nothing_is_left() {
    for seed in 1..=SEEDS {
        simulate(seed);
    }
}

/// Says with which seed a run failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

fn simulate(seed: u64) {
    let _seed = Seed(seed);
    // Small seeds differ in few bits.
    let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let world = Rc::new(RefCell::new(World::new(random)));
    let mut runtime = RingRuntime::on(Box::new(WorldKernel(Rc::clone(&world))));
    runtime.block_on(run(&world, seed.is_multiple_of(2)));
    drop(runtime);
    assert!(world.borrow().holds_nothing());
    assert_all_gone(&world);
}

async fn run(world: &Shared, ends_early: bool) {
    let left = Rc::new(Cell::new(2 * CROWD));
    let done = Rc::new(Waiters::default());
    for _ in 0..CROWD {
        let socket = Socket::new(File::open("/dev/null").unwrap().into());
        let number = world.borrow_mut().meet(&socket);
        let connection = |stop| Connection {
            socket: Rc::clone(&socket),
            world: Rc::clone(world),
            number,
            stop,
            left: Rc::clone(&left),
            done: Rc::clone(&done),
        };
        spawn(connection(Socket::stop_receiving).read());
        spawn(connection(Socket::stop_sending).write());
    }
    if ends_early {
        let count = below(world, 60);
        turns(count).await;
        world.borrow_mut().is_ending = true;
        return;
    }
    done.until(|| left.get() == 0).await;
    // What the last ones gave up is cancelled by then.
    turns(2).await;
    poll_fn(|cx| {
        let mut world = world.borrow_mut();
        if world.is_quiet() {
            return Poll::Ready(());
        }
        world.when_quiet = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
    world.borrow_mut().is_ending = true;
    assert_all_gone(world);
}

fn assert_all_gone(world: &Shared) {
    for (number, connection) in world.borrow().connections.iter().enumerate() {
        let count = connection.socket.strong_count();
        assert_eq!(count, 0, "socket {number} is still there");
    }
}

fn below(world: &Shared, bound: usize) -> usize {
    world.borrow_mut().random.below(bound)
}

/// The byte at this place of a connection's stream, the same in both directions.
pub(super) fn byte_at(number: usize, place: usize) -> u8 {
    (number * 131 + place * 17 + (place >> 8)).to_le_bytes()[0]
}

pub(super) fn bytes_at(number: usize, place: usize, count: usize) -> Chunk {
    let bytes: Vec<u8> = (place..place + count)
        .map(|place| byte_at(number, place))
        .collect();
    Chunk::copied(&bytes)
}

/// Lets the loop turn this often.
async fn turns(count: usize) {
    let mut left = count;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One half of a connection, as its task sees it.
struct Connection {
    socket: Rc<Socket>,
    world: Shared,
    number: usize,
    stop: fn(&Socket),
    left: Rc<Cell<usize>>,
    done: Rc<Waiters>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        (self.stop)(&self.socket);
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.done.wake_all();
        }
    }
}

impl Connection {
    async fn read(self) {
        let mut place = 0;
        let mut patience = 1 + below(&self.world, 30);
        let is_silent = self.world.borrow().connections[self.number].is_silent;
        while patience > 0 {
            if below(&self.world, 4) == 0 {
                let pause = below(&self.world, 25);
                turns(pause).await;
            }
            let received = if is_silent || below(&self.world, 3) == 0 {
                patience -= 1;
                match race(self.socket.recv(), turns(4)).await {
                    Either::First(received) => received,
                    Either::Second(()) => continue,
                }
            } else {
                self.woken_only_for_words_in(self.socket.recv()).await
            };
            match received {
                Ok(chunk) if !chunk.is_empty() => self.check(&mut place, &chunk),
                Ok(_) => return self.check_end(place, 0),
                Err(error) => {
                    return self.check_end(place, error.raw_os_error().unwrap());
                }
            }
        }
    }

    fn check(&self, place: &mut usize, chunk: &Chunk) {
        for byte in &**chunk {
            assert_eq!(*byte, byte_at(self.number, *place), "foreign bytes");
            *place += 1;
        }
        assert!(*place <= self.world.borrow().connections[self.number].brought);
    }

    fn check_end(&self, place: usize, errno: i32) {
        let world = self.world.borrow();
        let connection = &world.connections[self.number];
        assert_eq!(connection.end, Some(errno));
        assert_eq!(place, connection.brought, "bytes are lost");
    }

    async fn woken_only_for_words_in<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut before = None;
        poll_fn(|cx| {
            let world = self.world.borrow();
            let words = world.connections[self.number].words_in;
            // One that the kernel does not have when it is cancelled ends without a word of it.
            let is_woken_for_nothing = before == Some(words) && !world.lacks_receive(self.number);
            drop(world);
            assert!(!is_woken_for_nothing, "woken for nothing");
            before = Some(words);
            let poll = work.as_mut().poll(cx);
            let connection = &mut self.world.borrow_mut().connections[self.number];
            connection.is_reading = poll.is_pending();
            poll
        })
        .await
    }

    async fn write(self) {
        let mut written = 0;
        for _ in 0..below(&self.world, 20) {
            if below(&self.world, 3) == 0 {
                let pause = below(&self.world, 10);
                turns(pause).await;
            }
            if below(&self.world, 10) == 0 {
                // The reader may wait meanwhile: it is woken, and asks again.
                self.socket.stop_receiving();
            }
            let length = 1 + below(&self.world, 60);
            let chunk = bytes_at(self.number, written, length);
            match self.patiently(self.socket.send(chunk)).await {
                Some(Ok(())) => written += length,
                Some(Err(_)) => return self.check_broken(),
                None => return,
            }
        }
        if below(&self.world, 3) == 0 {
            return;
        }
        match self.patiently(self.socket.flush()).await {
            Some(Ok(())) => {
                let sent = self.world.borrow().connections[self.number].sent;
                assert_eq!(sent, written, "flushed");
            }
            Some(Err(_)) => self.check_broken(),
            None => {}
        }
    }

    fn check_broken(&self) {
        let world = self.world.borrow();
        let connection = &world.connections[self.number];
        assert!(connection.is_broken);
        assert_eq!(self.socket.is_refused(), connection.is_refused);
    }

    /// Waits for a send for as long as this writer does.
    async fn patiently<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let is_deaf = self.world.borrow().connections[self.number].is_deaf;
        if is_deaf || below(&self.world, 3) == 0 {
            let patience = below(&self.world, 40);
            return match race(work, turns(patience)).await {
                Either::First(result) => Some(result),
                Either::Second(()) => None,
            };
        }
        let mut work = pin!(work);
        let mut before = None;
        let result = poll_fn(|cx| {
            let words = self.world.borrow().connections[self.number].words_out;
            assert_ne!(before, Some(words), "woken for nothing");
            before = Some(words);
            let poll = work.as_mut().poll(cx);
            let connection = &mut self.world.borrow_mut().connections[self.number];
            connection.is_writing = poll.is_pending();
            poll
        });
        Some(result.await)
    }
}
