//! What the peers of the world do, at random: they send, take, fail and go.
//!
//! What it does not do: judge the back end; that is done where it asks and where it is told.

use super::{Operation, Subject, Work, World};
use crate::{
    Chunk,
    ring::{
        kernel::{Completion, Sending, Token},
        operations::tests::{
            completion,
            crowd::{byte_at, bytes_at},
            read_lent,
        },
    },
};

impl World {
    fn tell(&mut self, token: Token, work: Work, result: i32) {
        self.told
            .push_back((Subject::Work(work), completion(token, result)));
    }

    /// Takes over what was started: a send ends as it is handed over, if it is to.
    pub(super) fn take_over(&mut self) {
        for mut operation in std::mem::take(&mut self.handed) {
            match operation.work {
                Work::Send(_, _, _, Sending::AtOnce) => self.send_at_once(&operation),
                Work::Cancel(other) => {
                    let at = self.under_way.iter().position(|one| one.token == other);
                    self.tell(operation.token, operation.work, 0);
                    if let Some(at) = at {
                        self.under_way[at].must_end = true;
                        if self.random.below(8) > 0 {
                            let cancelled = self.under_way.swap_remove(at);
                            self.give_up(&cancelled);
                        }
                    }
                }
                _ => {
                    // The peer may go at any time.
                    operation.must_end |= self.random.below(500) == 0;
                    self.under_way.push(operation);
                }
            }
        }
    }

    fn send_at_once(&mut self, send: &Operation) {
        let Work::Send(_, _, length, _) = send.work else {
            unreachable!();
        };
        let part = 1 + self.random.below(length);
        let result = match self.random.below(8) {
            0 => -libc::ECONNRESET,
            1 | 2 => -libc::EAGAIN,
            3 | 4 => self.take_bytes(send.work, part),
            _ => self.take_bytes(send.work, length),
        };
        self.tell(send.token, send.work, result);
    }

    /// Reads what was lent, as late as the kernel may.
    fn take_bytes(&mut self, work: Work, count: usize) -> i32 {
        let Work::Send(number, at, length, _) = work else {
            unreachable!();
        };
        assert!(count <= length);
        let bytes = read_lent(at, count);
        let connection = &mut self.connections[number];
        for byte in &bytes {
            assert_eq!(*byte, byte_at(number, connection.sent), "foreign bytes");
            connection.sent += 1;
        }
        i32::try_from(count).unwrap()
    }

    /// Ends what was cancelled.
    fn give_up(&mut self, operation: &Operation) {
        let result = match operation.work {
            Work::Send(_, _, length, _) if self.random.below(2) == 0 => {
                let part = self.random.below(length + 1);
                self.take_bytes(operation.work, part)
            }
            _ => -libc::ECANCELED,
        };
        self.tell(operation.token, operation.work, result);
    }

    /// Something happens to an operation, if it is one to which something may happen.
    pub(super) fn happen(&mut self, at: usize) {
        let Operation {
            token,
            work,
            must_end,
        } = self.under_way[at];
        match work {
            _ if must_end => {
                let operation = self.under_way.swap_remove(at);
                self.give_up(&operation);
            }
            Work::Receive(number) if !self.connections[number].is_silent => {
                let goes_on = self.bring(token, number);
                if !goes_on {
                    self.under_way.swap_remove(at);
                }
            }
            Work::Send(number, _, length, _) if !self.connections[number].is_deaf => {
                let part = self.random.below(length);
                let result = match self.random.below(8) {
                    0 => -libc::EPIPE,
                    1 => self.take_bytes(work, part),
                    _ => self.take_bytes(work, length),
                };
                self.under_way.swap_remove(at);
                self.tell(token, work, result);
            }
            _ => {}
        }
    }

    /// Lets a receive bring something; tells whether it goes on.
    fn bring(&mut self, token: Token, number: usize) -> bool {
        let work = Work::Receive(number);
        let end = match self.random.below(40) {
            0 => Some(-libc::EINTR),
            1 => Some(0),
            2 => Some(-libc::ECONNRESET),
            chance if chance < 3 + self.hungry => Some(-libc::ENOBUFS),
            _ => None,
        };
        let connection = &mut self.connections[number];
        if let Some(result) = end {
            if matches!(-result, 0 | libc::ECONNRESET) {
                connection.end = Some(-result);
            }
            self.tell(token, work, result);
            return false;
        }
        let count = 1 + self.random.below(40);
        let more = self.random.below(10) > 0;
        let completion = Completion {
            token,
            result: i32::try_from(count).unwrap(),
            more,
            data: Some(bytes_at(number, connection.brought, count)),
        };
        connection.brought += count;
        self.told.push_back((Subject::Work(work), completion));
        more
    }

    /// A word about what ended long ago.
    pub(super) fn repeat(&mut self) {
        if self.spent.is_empty() {
            return;
        }
        let token = self.spent[self.random.below(self.spent.len())];
        let completion = Completion {
            token,
            result: [1, 0, -libc::ENOBUFS, -libc::EAGAIN][self.random.below(4)],
            more: self.random.below(2) == 0,
            data: Some(Chunk::copied(b"?")),
        };
        self.told.push_back((Subject::Stale, completion));
    }
}
