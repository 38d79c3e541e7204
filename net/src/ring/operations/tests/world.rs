//! A kernel with sockets, and the peers behind them: it brings bytes, runs out of buffers and of room,
//! takes sends whole, in pieces or not at all, lets cancellations come late, and speaks of operations
//! that ended long ago. All by a seed.
//!
//! It looks into what it was lent only when it "works" on it, as the real one does: so memory that was
//! freed or filled with something else meanwhile shows. What else it is told is checked against what
//! it knows: each `assert` here is a rule that the back end must keep.
//!
//! What it does not do: touch a descriptor.

mod peers;

use std::{
    collections::{HashMap, VecDeque},
    rc::{Rc, Weak},
    task::Waker,
};

use super::Random;
use crate::ring::{
    Socket,
    kernel::{Completion, Request, Token, Wait},
};

/// All that the kernel and the peers know.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) connections: Vec<Connection>,
    /// Woken when nothing is under way any more.
    pub(super) when_quiet: Option<Waker>,
    /// The runtime ends: nobody waits for anything any more.
    pub(super) is_ending: bool,
    numbers: HashMap<*const Socket, usize>,
    pub(super) buffers: usize,
    /// How many receives in 40 find no buffer.
    hungry: usize,
    /// How many it takes before the next enter.
    room: usize,
    /// For which there was no room, in order. One that was cancelled since may count.
    turned_away: Vec<(Token, Work)>,
    /// Started since the last enter, in order.
    handed: Vec<Operation>,
    under_way: Vec<Operation>,
    told: VecDeque<(Subject, Completion)>,
    /// How many of those may be seen now.
    visible: usize,
    /// Ended for want of a buffer, in that order.
    starved: VecDeque<(Token, usize)>,
    fed: usize,
    /// Those that it was asked to end, whether it could or not.
    cancelled: Vec<Token>,
    /// Of operations that are over.
    spent: Vec<Token>,
}

/// One socket and its peer.
#[derive(Default)]
pub(super) struct Connection {
    pub(super) socket: Weak<Socket>,
    /// The peer sends nothing and does not go.
    pub(super) is_silent: bool,
    /// The peer takes nothing for which there is no room at once.
    pub(super) is_deaf: bool,
    /// Bytes that were received.
    pub(super) brought: usize,
    /// How the stream ended.
    pub(super) end: Option<i32>,
    /// Bytes that were sent.
    pub(super) sent: usize,
    pub(super) is_broken: bool,
    pub(super) is_refused: bool,
    /// Its reader waits for nothing else.
    pub(super) is_reading: bool,
    /// Its writer waits for nothing else.
    pub(super) is_writing: bool,
    /// Words so far about its receives, each of which wakes its reader.
    pub(super) words_in: usize,
    /// Words so far that a send is over.
    pub(super) words_out: usize,
    receive: Option<Token>,
    send: Option<Token>,
}

#[derive(Debug)]
struct Operation {
    token: Token,
    work: Work,
    /// Bytes of a send that are taken.
    taken: usize,
    /// It ends soon, whatever the peer does.
    must_end: bool,
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Receive(usize),
    Send(usize, *const u8, usize),
    Cancel(Token),
}

/// What a completion is about.
#[derive(Clone, Copy)]
enum Subject {
    Work(Work),
    Stale,
}

impl World {
    pub(super) fn new(mut random: Random) -> Self {
        Self {
            buffers: 1 + random.below(4),
            hungry: random.below(25),
            random,
            connections: Vec::new(),
            when_quiet: None,
            is_ending: false,
            numbers: HashMap::new(),
            room: 3,
            turned_away: Vec::new(),
            handed: Vec::new(),
            under_way: Vec::new(),
            told: VecDeque::new(),
            visible: 0,
            starved: VecDeque::new(),
            fed: 0,
            cancelled: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// A peer for this socket. Tells its number.
    pub(super) fn meet(&mut self, socket: &Rc<Socket>) -> usize {
        let number = self.connections.len();
        self.numbers.insert(Rc::as_ptr(socket), number);
        self.connections.push(Connection {
            socket: Rc::downgrade(socket),
            is_silent: self.random.below(6) == 0,
            is_deaf: self.random.below(6) == 0,
            ..Connection::default()
        });
        number
    }

    /// Nothing is under way, and nothing is to be told.
    pub(super) fn is_quiet(&self) -> bool {
        self.holds_nothing() && self.told.is_empty()
    }

    /// Nothing is lent to it.
    pub(super) fn holds_nothing(&self) -> bool {
        self.handed.is_empty() && self.under_way.is_empty()
    }

    /// Whether it does not have the receive of this connection: there was none yet, or no buffer or no
    /// room for it.
    pub(super) fn lacks_receive(&self, number: usize) -> bool {
        let is_starved = self.starved.iter().any(|(_, one)| *one == number);
        is_starved || self.connections[number].receive.is_none()
    }

    fn number(&self, socket: &Rc<Socket>) -> usize {
        self.numbers[&Rc::as_ptr(socket)]
    }

    /// An operation is handed over, if there is room.
    pub(super) fn start(&mut self, token: Token, request: &Request) -> bool {
        let work = match request {
            Request::Receive(socket) => Work::Receive(self.number(socket)),
            Request::Send(socket, chunk) => {
                Work::Send(self.number(socket), chunk.as_ptr(), chunk.len())
            }
            Request::Cancel(other) => Work::Cancel(*other),
            _ => unreachable!("not part of this"),
        };
        if let Work::Cancel(other) = work {
            let is_known = !self.turned_away.iter().any(|(one, _)| *one == other);
            assert!(is_known, "what the kernel does not have is cancelled");
            self.cancelled.push(other);
        }
        assert!(!self.spent.contains(&token), "a token is used twice");
        let is_starved = self.starved.iter().any(|(one, _)| *one == token);
        let before = self.turned_away.iter().position(|(one, _)| *one == token);
        let Some(room) = self.room.checked_sub(1) else {
            if before.is_none() && !is_starved {
                self.turned_away.push((token, work));
            }
            return false;
        };
        self.room = room;
        if is_starved {
            self.feed(token);
        } else {
            // Those before it were cancelled, or they would have been first.
            let count = before.unwrap_or(self.turned_away.len());
            let skipped = self.turned_away.drain(..count);
            self.spent.extend(skipped.map(|(token, _)| token));
            self.turned_away.retain(|(one, _)| *one != token);
            self.begin(token, work);
        }
        self.handed.push(Operation {
            token,
            work,
            taken: 0,
            must_end: false,
        });
        true
    }

    /// A receive tries again.
    fn feed(&mut self, token: Token) {
        let is_wanted = !self.cancelled.contains(&token);
        assert!(is_wanted, "what was cancelled is started again");
        while let Some((skipped, number)) = self.starved.pop_front() {
            if skipped == token {
                break;
            }
            // It was cancelled, or it would have been first.
            self.connections[number].receive = None;
            self.connections[number].words_in += 1;
            self.spent.push(skipped);
        }
        self.fed += 1;
        assert!(self.fed <= self.buffers, "more than there are buffers for");
    }

    fn begin(&mut self, token: Token, work: Work) {
        match work {
            Work::Receive(number) => {
                let connection = &mut self.connections[number];
                assert_eq!(connection.end, None, "nothing comes after the end");
                if let Some(before) = connection.receive.replace(token) {
                    let at = self.starved.iter().position(|(one, _)| *one == before);
                    let at = at.expect("one receive at a time");
                    self.starved.remove(at);
                    self.spent.push(before);
                }
            }
            Work::Send(number, ..) => {
                let connection = &mut self.connections[number];
                assert!(!connection.is_broken, "nothing is sent after a failure");
                assert_eq!(connection.send.replace(token), None, "one send at a time");
            }
            Work::Cancel(_) => {}
        }
    }

    /// Whether somebody waits for what it has no room or no buffer for.
    fn is_called_for(&self, work: Work) -> bool {
        match work {
            Work::Receive(number) => self.connections[number].is_reading,
            Work::Send(number, ..) => self.connections[number].is_writing,
            Work::Cancel(_) => true,
        }
    }

    /// Works on what was handed over, and goes on with what is under way.
    pub(super) fn enter(&mut self, wait: Wait) {
        if !self.is_ending && wait != Wait::No {
            let starved = self.starved.iter().map(|one| Work::Receive(one.1));
            let turned_away = self.turned_away.iter().map(|one| one.1);
            let mut all = starved.chain(turned_away);
            let forgotten = all.find(|work| self.is_called_for(*work));
            assert!(forgotten.is_none(), "a long wait in spite of {forgotten:?}");
        }
        self.fed = 0;
        self.room = match self.random.below(8) {
            0 => 0,
            1 | 2 => self.random.below(6),
            _ => usize::MAX,
        };
        for operation in self.handed.iter().chain(&self.under_way) {
            if let Work::Receive(number) | Work::Send(number, ..) = operation.work {
                let is_there = self.connections[number].socket.strong_count() > 0;
                assert!(is_there, "a socket is gone that the kernel was lent");
            }
        }
        self.take_over();
        for _ in 0..self.random.below(8) {
            if !self.under_way.is_empty() {
                let at = self.random.below(self.under_way.len());
                self.happen(at);
            }
        }
        if self.random.below(4) == 0 {
            self.repeat();
        }
        if wait != Wait::No && self.told.is_empty() {
            for at in (0..self.under_way.len()).rev() {
                self.happen(at);
            }
            let is_over = self.when_quiet.is_some() && self.under_way.is_empty();
            assert!(
                is_over || !self.told.is_empty(),
                "all wait, and nothing will come: {:?}",
                self.under_way
            );
        }
        let least = usize::from(wait != Wait::No).min(self.told.len());
        self.visible = least + self.random.below(self.told.len() - least + 1);
        if self.is_quiet()
            && let Some(waker) = self.when_quiet.take()
        {
            waker.wake();
        }
    }

    /// The next word that may be seen.
    pub(super) fn next(&mut self) -> Option<Completion> {
        self.visible = self.visible.checked_sub(1)?;
        let (subject, completion) = self.told.pop_front()?;
        if let Subject::Work(work) = subject {
            self.seen(work, &completion);
        }
        Some(completion)
    }

    /// What follows from a completion that the other side has seen.
    fn seen(&mut self, work: Work, completion: &Completion) {
        let Completion { token, result, .. } = *completion;
        let is_cancelled = self.cancelled.contains(&token);
        match work {
            Work::Receive(number) => {
                self.connections[number].words_in += 1;
                if completion.more {
                    return;
                }
                if result == -libc::ENOBUFS && !is_cancelled {
                    self.starved.push_back((token, number));
                    return;
                }
                self.connections[number].receive = None;
            }
            Work::Send(number, _, length) => {
                let connection = &mut self.connections[number];
                connection.words_out += 1;
                connection.send = None;
                connection.is_broken |= usize::try_from(result) != Ok(length);
                connection.is_refused |= result < 0;
            }
            Work::Cancel(_) => {}
        }
        self.spent.push(token);
    }
}
