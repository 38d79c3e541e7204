//! A kernel that answers in any order, late and more than once, over thousands of operations that
//! are started, taken and abandoned at random. `crowd` does the same to sockets and their tasks.

mod crowd;
mod world;

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    fs::File,
    io,
    os::fd::OwnedFd,
    rc::Rc,
    thread,
};

use self::world::World;
use super::Operations;
use crate::ring::kernel::{Completion, Kernel, Request, Token, Wait};

/// What was started and has not ended, and what is to be told next.
#[derive(Default)]
struct Fake {
    under_way: Vec<Token>,
    told: VecDeque<Completion>,
    /// It takes no more now.
    is_full: bool,
    /// How the last turn was to wait.
    wait: Option<Wait>,
}

impl Kernel for Fake {
    #[expect(unsafe_code, reason = "nothing is kept of the request")]
    unsafe fn start(&mut self, token: Token, request: &Request) -> bool {
        if self.is_full {
            return false;
        }
        match request {
            Request::Cancel(other) => {
                // Cancelling takes hold sometimes; its own end is told in any case.
                if let Some(at) = self.under_way.iter().position(|one| one == other) {
                    let cancelled = self.under_way.swap_remove(at);
                    self.told.push_back(completion(cancelled, -libc::ECANCELED));
                }
                self.told.push_back(completion(token, 0));
            }
            _ => self.under_way.push(token),
        }
        true
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        self.wait = Some(wait);
        Ok(())
    }

    fn buffers(&self) -> usize {
        8
    }

    fn next(&mut self) -> Option<Completion> {
        self.told.pop_front()
    }
}

fn completion(token: Token, result: i32) -> Completion {
    Completion {
        token,
        result,
        more: false,
        data: None,
    }
}

fn descriptor() -> Rc<OwnedFd> {
    Rc::new(File::open("/dev/null").unwrap().into())
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

#[test]
fn whatever_the_order_each_waiter_gets_its_own_result_and_nothing_is_freed_early() {
    for seed in 1..=50 {
        simulate(&mut Random(seed));
    }
}

fn simulate(random: &mut Random) {
    let mut operations = Operations::new(Fake::default());
    let fd = descriptor();
    let mut awaited: Vec<(Token, u32)> = Vec::new();
    // What the kernel has said about each, before its waiter looked.
    let mut results: HashMap<(u32, u32), i32> = HashMap::new();
    let mut next_result = 0;
    for task in 1..2000 {
        operations.kernel.is_full ^= random.below(20) == 0;
        match random.below(4) {
            0 => {
                let token = operations.start(Request::Readable(Rc::clone(&fd)), task);
                awaited.push((token, task));
            }
            1 if !operations.kernel.under_way.is_empty() => {
                let at = random.below(operations.kernel.under_way.len());
                let token = operations.kernel.under_way.swap_remove(at);
                next_result += 1;
                results.insert((token.slot, token.generation), next_result);
                operations
                    .kernel
                    .told
                    .push_back(completion(token, next_result));
            }
            2 if !awaited.is_empty() => {
                let (token, _) = awaited.swap_remove(random.below(awaited.len()));
                operations.abandon(token);
            }
            _ => {
                let mut woken = Vec::new();
                operations.turn(Wait::No, |task| woken.push(task)).unwrap();
                awaited.retain(|(token, task)| match operations.take(*token, *task) {
                    Some(result) => {
                        let said = results.get(&(token.slot, token.generation));
                        assert_eq!(Some(&result), said, "another operation's result");
                        assert!(woken.contains(task));
                        false
                    }
                    None => true,
                });
            }
        }
        // The kernel may still use what it was lent.
        assert!(Rc::strong_count(&fd) > operations.kernel.under_way.len());
    }
    operations.kernel.is_full = false;
    operations.turn(Wait::No, |_| {}).unwrap();
    assert!(operations.waiting.is_empty());
    for (token, _) in awaited {
        operations.abandon(token);
    }
    assert!(operations.end());
    assert_eq!(Rc::strong_count(&fd), 1, "all is given back");
}

#[test]
fn a_late_word_about_an_earlier_operation_is_not_taken_for_one_about_this() {
    let mut operations = Operations::new(Fake::default());
    let fd = descriptor();
    let first = operations.start(Request::Readable(Rc::clone(&fd)), 1);
    operations.abandon(first);
    operations.turn(Wait::No, |_| {}).unwrap();
    let mut start = || operations.start(Request::Readable(Rc::clone(&fd)), 2);
    let others = [start(), start()];
    let second = others.into_iter().find(|other| other.slot == first.slot);
    let second = second.expect("the slot is used again");
    assert_ne!(second, first);
    operations.kernel.told.push_back(completion(first, 7));
    operations
        .turn(Wait::No, |_| panic!("nobody waits for that"))
        .unwrap();
    assert_eq!(operations.take(second, 2), None);
}

#[test]
fn what_finds_no_room_is_handed_over_in_its_turn_and_nobody_sleeps_before() {
    let mut operations = Operations::new(Fake::default());
    let fd = descriptor();
    operations.kernel.is_full = true;
    let start =
        |operations: &mut Operations<Fake>| operations.start(Request::Readable(Rc::clone(&fd)), 1);
    let early = [start(&mut operations), start(&mut operations)];
    operations.turn(Wait::Long, |_| {}).unwrap();
    assert_eq!(operations.kernel.wait, Some(Wait::No));
    operations.kernel.is_full = false;
    // There would be room for this one, but others were first.
    let late = start(&mut operations);
    assert_eq!(operations.kernel.under_way, []);
    operations.turn(Wait::Long, |_| {}).unwrap();
    assert_eq!(operations.kernel.under_way, [early[0], early[1], late]);
    assert_eq!(operations.kernel.wait, Some(Wait::Long));
}

#[test]
fn what_is_given_up_before_there_was_room_ends_at_once() {
    let mut operations = Operations::new(Fake::default());
    operations.kernel.is_full = true;
    let fd = descriptor();
    let token = operations.start(Request::Readable(Rc::clone(&fd)), 1);
    operations.abandon(token);
    assert_eq!((Rc::strong_count(&fd), operations.count()), (1, 0));
    operations.kernel.is_full = false;
    // The same slot, by another name.
    let other = operations.start(Request::Readable(fd), 2);
    operations.turn(Wait::Long, |_| {}).unwrap();
    assert_eq!(operations.kernel.under_way, [other]);
    assert_eq!(operations.kernel.wait, Some(Wait::Long));
}

#[test]
fn a_cancellation_that_finds_no_room_takes_hold_later() {
    let mut operations = Operations::new(Fake::default());
    let fd = descriptor();
    let token = operations.start(Request::Readable(Rc::clone(&fd)), 1);
    operations.turn(Wait::No, |_| {}).unwrap();
    operations.kernel.is_full = true;
    operations.abandon(token);
    operations.turn(Wait::Long, |_| {}).unwrap();
    assert_eq!(operations.kernel.under_way, [token]);
    operations.kernel.is_full = false;
    operations.turn(Wait::Long, |_| {}).unwrap();
    assert_eq!((Rc::strong_count(&fd), operations.count()), (1, 0));
}

/// The kernel's side of the world.
struct WorldKernel(Rc<RefCell<World>>);

impl Kernel for WorldKernel {
    #[expect(
        unsafe_code,
        reason = "the world keeps the address of what is to be sent"
    )]
    unsafe fn start(&mut self, token: Token, request: &Request) -> bool {
        self.0.borrow_mut().start(token, request)
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        // The first failure is the one to be read.
        if thread::panicking() {
            return Err(io::ErrorKind::Other.into());
        }
        self.0.borrow_mut().enter(wait);
        Ok(())
    }

    fn buffers(&self) -> usize {
        self.0.borrow().buffers
    }

    fn next(&mut self) -> Option<Completion> {
        self.0.borrow_mut().next()
    }
}

/// Reads what was lent to a [`WorldKernel`] by a send that has not ended, as late as the kernel may.
fn read_lent(at: *const u8, count: usize) -> Vec<u8> {
    // SAFETY: whoever started the send promised that its bytes live until its end, which is what is
    // tested, and the caller asks for no more than they are.
    #[expect(unsafe_code, reason = "what a kernel does")]
    let bytes = unsafe { std::slice::from_raw_parts(at, count) };
    bytes.to_vec()
}
