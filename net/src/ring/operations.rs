//! The operations under way: who waits for each, and what the kernel still needs for it.
//!
//! Invariants, each kept in this file:
//! - A request stays in its slot until the last completion of its operation, whoever waited for it
//!   and stopped waiting. So a buffer or a descriptor is never freed under the kernel's hands.
//! - A slot is used again only after that last completion, with the next generation. So a late
//!   completion is never taken for another operation's.
//! - Whoever stops waiting cancels, and does not wait for that. What was cancelled is not started
//!   again, whether the kernel found it or not.
//!
//! What it does not do: run tasks. It says which one a completion wakes.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use super::{
    executor::TaskId,
    kernel::{Completion, Kernel, Request, Sending, Token, Wait},
};

/// How long the end of a thread waits for the kernel to let go of what it was lent.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// The operations of one thread.
pub(super) struct Operations<K> {
    kernel: K,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Receives that found no buffer, in the order in which they are to try again. One that was
    /// cancelled may still stand here.
    starved: VecDeque<Token>,
    /// Tasks to be woken in the next turn, whatever it brings.
    woken: Vec<TaskId>,
}

struct Slot {
    generation: u32,
    /// `None` in a slot that is free.
    request: Option<Request>,
    /// It is a receive that the kernel has ended for want of a buffer.
    is_starved: bool,
    /// It was cancelled: it may end as it was about to, but does not go on.
    is_cancelled: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Under way, and this task is to be woken.
    Awaited(TaskId),
    /// Under way, and nobody waits for it: its end frees the slot.
    Unwatched,
    /// Over, and whoever waits has not looked yet.
    Over(i32),
}

impl<K: Kernel> Operations<K> {
    pub(super) fn new(kernel: K) -> Self {
        Self {
            kernel,
            slots: Vec::new(),
            free: Vec::new(),
            starved: VecDeque::new(),
            woken: Vec::new(),
        }
    }

    /// Starts an operation that `waiter` waits for.
    ///
    /// # Errors
    /// When the kernel takes no more.
    pub(super) fn start(&mut self, request: Request, waiter: TaskId) -> io::Result<Token> {
        self.start_as(request, State::Awaited(waiter))
    }

    /// Starts one that nobody waits for: a receive or a send tells its socket, a cancellation nobody.
    ///
    /// # Errors
    /// When the kernel takes no more.
    pub(super) fn start_unwatched(&mut self, request: Request) -> io::Result<Token> {
        self.start_as(request, State::Unwatched)
    }

    /// Has `waiter` woken at the end of an operation that tells its socket how it ended.
    pub(super) fn watch(&mut self, token: Token, waiter: TaskId) {
        if let Some(slot) = self.slot(token) {
            slot.state = State::Awaited(waiter);
        }
    }

    fn start_as(&mut self, request: Request, state: State) -> io::Result<Token> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.slots.len())
                    .map_err(|_too_many| io::Error::from(io::ErrorKind::OutOfMemory))?;
                self.slots.push(Slot {
                    generation: 0,
                    request: None,
                    is_starved: false,
                    is_cancelled: false,
                    state: State::Unwatched,
                });
                index
            }
        };
        let slot = &mut self.slots[index as usize];
        let token = Token {
            slot: index,
            generation: slot.generation,
        };
        slot.state = state;
        slot.is_cancelled = false;
        let request = slot.request.insert(request);
        // SAFETY: the request stays in its slot until the last completion: only `release` takes it
        // out, and that is called for an operation that is over, or that never began.
        #[expect(unsafe_code, reason = "the invariant of this file")]
        let started = unsafe { self.kernel.start(token, request) };
        if let Err(error) = started {
            self.release(token);
            return Err(error);
        }
        Ok(token)
    }

    /// How an operation ended, once it has; then its slot is free. `waiter` is woken otherwise.
    pub(super) fn take(&mut self, token: Token, waiter: TaskId) -> Option<i32> {
        let slot = self.slot(token)?;
        match slot.state {
            State::Over(result) => {
                self.release(token);
                Some(result)
            }
            State::Awaited(_) => {
                slot.state = State::Awaited(waiter);
                None
            }
            State::Unwatched => None,
        }
    }

    /// Nobody waits for it any more: it is cancelled if it is under way.
    pub(super) fn abandon(&mut self, token: Token) {
        let Some(slot) = self.slot(token) else {
            return;
        };
        match slot.state {
            State::Over(_) => self.release(token),
            State::Awaited(_) | State::Unwatched => {
                slot.state = State::Unwatched;
                self.cancel(token);
            }
        }
    }

    /// Asks the kernel to end an operation, whose own completion then says so.
    pub(super) fn cancel(&mut self, token: Token) {
        let Some(slot) = self.slot(token) else {
            return;
        };
        if slot.is_starved {
            self.end_receive(token, -libc::ECANCELED);
            return;
        }
        // The kernel may not find it: a send that ends as it is handed over, or a receive whose end
        // for want of a buffer has not been seen yet. Neither is then started again.
        slot.is_cancelled = true;
        // Without room for the request it ends by itself, or with its descriptor.
        self.start_unwatched(Request::Cancel(token)).ok();
    }

    /// Hands over what was started, waits, and calls `wake` for each task that has something new.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn turn(&mut self, wait: Wait, mut wake: impl FnMut(TaskId)) -> io::Result<()> {
        let is_more_to_do = self.feed_starved() || !self.woken.is_empty();
        let wait = if is_more_to_do { Wait::No } else { wait };
        self.kernel.enter(wait)?;
        while let Some(completion) = self.kernel.next() {
            if let Some(task) = self.complete(completion) {
                wake(task);
            }
        }
        self.woken.drain(..).for_each(wake);
        Ok(())
    }

    /// Lets receives that found no buffer try again, as many as there are buffers: all at once they
    /// would take the buffers from each other again and again. Tells whether some are left.
    fn feed_starved(&mut self) -> bool {
        for _ in 0..self.kernel.buffers() {
            let Some(token) = self.starved.pop_front() else {
                break;
            };
            let Some(slot) = self.slots.get_mut(token.slot as usize) else {
                continue;
            };
            let is_its = slot.generation == token.generation && slot.is_starved;
            let Some(request) = slot.request.as_ref().filter(|_| is_its) else {
                continue;
            };
            slot.is_starved = false;
            // SAFETY: as in `start_as`.
            #[expect(unsafe_code, reason = "the invariant of this file")]
            let started = unsafe { self.kernel.start(token, request) };
            if let Err(error) = started {
                self.end_receive(token, -error.raw_os_error().unwrap_or(libc::EIO));
            }
        }
        !self.starved.is_empty()
    }

    /// Ends a receive that the kernel knows nothing of any more.
    fn end_receive(&mut self, token: Token, result: i32) {
        if let Some(slot) = self.slot(token)
            && let Some(Request::Receive(socket)) = &slot.request
        {
            slot.is_starved = false;
            let reader = socket.received(result, None, false);
            self.woken.extend(reader);
            self.release(token);
        }
    }

    fn complete(&mut self, completion: Completion) -> Option<TaskId> {
        let Completion {
            token,
            result,
            more,
            data,
        } = completion;
        let slot = self.slot(token)?;
        match (&mut slot.request, slot.state) {
            (Some(Request::Receive(_)), _)
                if !more && result == -libc::ENOBUFS && !slot.is_cancelled =>
            {
                slot.is_starved = true;
                if let Some(Request::Receive(socket)) = &slot.request {
                    socket.starved();
                }
                self.starved.push_back(token);
                None
            }
            (Some(Request::Receive(socket)), _) => {
                let woken = socket.received(result, data, more);
                if !more {
                    self.release(token);
                }
                woken
            }
            (Some(Request::Send(..)), state) => {
                if self.go_on_sending(token, result) {
                    return None;
                }
                self.release(token);
                match state {
                    State::Awaited(task) => Some(task),
                    State::Unwatched | State::Over(_) => None,
                }
            }
            (_, State::Awaited(task)) => {
                slot.state = State::Over(result);
                Some(task)
            }
            (_, State::Unwatched | State::Over(_)) => {
                self.release(token);
                None
            }
        }
    }

    /// Judges the end of a send. Of one that found no room for all of it, the rest is sent as soon as
    /// there is some.
    fn go_on_sending(&mut self, token: Token, result: i32) -> bool {
        let Some(slot) = self.slots.get_mut(token.slot as usize) else {
            return false;
        };
        let Some(request) = &mut slot.request else {
            return false;
        };
        let Request::Send(socket, chunk, how) = request else {
            return false;
        };
        let count = usize::try_from(result).unwrap_or(0);
        let found_no_room = count < chunk.len() && (result > 0 || result == -libc::EAGAIN);
        if *how == Sending::Patient || !found_no_room || slot.is_cancelled {
            socket.sent(result, chunk.len(), *how);
            return false;
        }
        *how = Sending::Patient;
        chunk.advance(count);
        // SAFETY: as in `start_as`.
        #[expect(unsafe_code, reason = "the invariant of this file")]
        let started = unsafe { self.kernel.start(token, request) };
        if let Err(error) = started
            && let Some(Request::Send(socket, chunk, how)) = &slot.request
        {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            socket.sent(-errno, chunk.len(), *how);
            return false;
        }
        true
    }

    /// Operations under way or not looked at.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Cancels everything and waits until the kernel has let go of all that it was lent. If it has
    /// not after a while, this must be leaked: better than memory that two write to.
    pub(super) fn end(&mut self) -> bool {
        let give_up = Instant::now() + LET_GO_WITHIN;
        let under_way: Vec<Token> = (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.request.is_some())
            .map(|(index, slot)| Token {
                slot: index,
                generation: slot.generation,
            })
            .collect();
        for token in under_way {
            self.abandon(token);
        }
        while self.count() > 0 {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() || self.turn(Wait::Within(left), |_| {}).is_err() {
                return false;
            }
        }
        true
    }

    /// The slot of an operation, if it is still that operation's.
    fn slot(&mut self, token: Token) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token.slot as usize)?;
        (slot.generation == token.generation && slot.request.is_some()).then_some(slot)
    }

    fn release(&mut self, token: Token) {
        if let Some(slot) = self.slot(token) {
            slot.generation = slot.generation.wrapping_add(1);
            let request = slot.request.take();
            self.free.push(token.slot);
            // Last, since it may close a descriptor.
            drop(request);
        }
    }
}

#[cfg(test)]
mod tests;
