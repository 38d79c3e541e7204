//! What the peers of the world do, at random: they send, take, fail and go.
//!
//! What it does not do: judge the back end; that is done where it asks and where it is told.

use super::{Operation, Subject, Work, World};
use crate::{
    Chunk,
    ring::{
        kernel::{Completion, Token},
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

    /// Takes over what was started: a send ends as it is handed over, if there is room for all of it.
    pub(super) fn take_over(&mut self) {
        for mut operation in std::mem::take(&mut self.handed) {
            match operation.work {
                Work::Send(..) => {
                    if !self.send(&mut operation) {
                        self.under_way.push(operation);
                    }
                }
                Work::Cancel(other) => {
                    let at = self.under_way.iter().position(|one| one.token == other);
                    self.tell(operation.token, operation.work, 0);
                    if let Some(at) = at {
                        self.under_way[at].must_end = true;
                        if self.random.below(8) > 0 {
                            let cancelled = self.under_way.swap_remove(at);
                            self.give_up(cancelled);
                        }
                    }
                }
                Work::Receive(_) => {
                    // The peer may go at any time.
                    operation.must_end |= self.random.below(500) == 0;
                    self.under_way.push(operation);
                }
            }
        }
    }

    /// Goes on with a send; tells whether it is over.
    fn send(&mut self, send: &mut Operation) -> bool {
        let Work::Send(_, _, length) = send.work else {
            unreachable!();
        };
        let left = length - send.taken;
        match self.random.below(8) {
            0 => {
                let errno = [libc::ECONNRESET, libc::EPIPE][self.random.below(2)];
                self.end_send(send, errno);
            }
            1..=3 => {
                let part = self.random.below(left);
                self.take_bytes(send, part);
                return false;
            }
            _ => {
                self.take_bytes(send, left);
                self.end_send(send, 0);
            }
        }
        true
    }

    /// Tells how a send has ended: of an error only if nothing of it was taken.
    fn end_send(&mut self, send: &Operation, errno: i32) {
        let result = match send.taken {
            0 => -errno,
            taken => i32::try_from(taken).unwrap(),
        };
        self.tell(send.token, send.work, result);
    }

    /// Reads what was lent, as late as the kernel may.
    fn take_bytes(&mut self, send: &mut Operation, count: usize) {
        let Work::Send(number, at, length) = send.work else {
            unreachable!();
        };
        assert!(send.taken + count <= length);
        let bytes = read_lent(at.wrapping_add(send.taken), count);
        send.taken += count;
        let connection = &mut self.connections[number];
        for byte in &bytes {
            assert_eq!(*byte, byte_at(number, connection.sent), "foreign bytes");
            connection.sent += 1;
        }
    }

    /// Ends what was cancelled.
    fn give_up(&mut self, mut operation: Operation) {
        if let Work::Send(_, _, length) = operation.work {
            let part = self.random.below(length - operation.taken + 1);
            if self.random.below(2) == 0 {
                self.take_bytes(&mut operation, part);
            }
            self.end_send(&operation, libc::ECANCELED);
        } else {
            self.tell(operation.token, operation.work, -libc::ECANCELED);
        }
    }

    /// Something happens to an operation, if it is one to which something may happen.
    pub(super) fn happen(&mut self, at: usize) {
        let mut operation = self.under_way.swap_remove(at);
        let goes_on = match operation.work {
            _ if operation.must_end => return self.give_up(operation),
            Work::Receive(number) if !self.connections[number].is_silent => {
                self.bring(operation.token, number)
            }
            Work::Send(number, ..) if !self.connections[number].is_deaf => {
                !self.send(&mut operation)
            }
            _ => true,
        };
        if goes_on {
            self.under_way.push(operation);
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
