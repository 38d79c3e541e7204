//! The operations under way: who waits for each, and what the kernel still needs for it.
//!
//! Invariants, each kept in this file:
//! - A request stays in its slot until the last completion of its operation, whoever waited for it
//!   and stopped waiting. So a buffer or a descriptor is never freed under the kernel's hands.
//! - A slot is used again only after that last completion, with the next generation. So a late
//!   completion is never taken for another operation's.
//! - Whoever stops waiting cancels, and does not wait for that. What was cancelled is not started
//!   again, whether the kernel found it or not.
//! - An operation for which there is no room waits here for its turn, and nobody overtakes it but
//!   receives that found no buffer, a few in each turn; the loop does not sleep meanwhile.
//!
//! What it does not do: run tasks. It says which one a completion wakes.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use super::{
    executor::TaskId,
    kernel::{Completion, Kernel, Request, Token, Wait},
};

/// How long the end of a thread waits for the kernel to let go of what it was lent.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// The operations of one thread.
pub(super) struct Operations<K> {
    kernel: K,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Those for which the kernel had no room, in the order in which they are to be handed over. One
    /// that was cancelled may still stand here.
    waiting: VecDeque<Token>,
    /// Receives that found no buffer, likewise.
    starved: VecDeque<Token>,
    /// Tasks to be woken in the next turn, whatever it brings.
    woken: Vec<TaskId>,
}

struct Slot {
    generation: u32,
    /// `None` in a slot that is free.
    request: Option<Request>,
    stage: Stage,
    /// It was cancelled: it may end as it was about to, but does not go on.
    is_cancelled: bool,
    state: State,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be handed over: it stands in `waiting`, unless it has just been made.
    Waiting,
    /// A receive that the kernel has ended for want of a buffer: it stands in `starved`.
    Starved,
    /// The kernel has it.
    HandedOver,
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
            waiting: VecDeque::new(),
            starved: VecDeque::new(),
            woken: Vec::new(),
        }
    }

    /// Starts an operation that `waiter` waits for.
    pub(super) fn start(&mut self, request: Request, waiter: TaskId) -> Token {
        self.start_as(request, State::Awaited(waiter))
    }

    /// Starts one that nobody waits for: a receive or a send tells its socket, a cancellation nobody.
    pub(super) fn start_unwatched(&mut self, request: Request) -> Token {
        self.start_as(request, State::Unwatched)
    }

    /// Has `waiter` woken at the end of an operation that tells its socket how it ended.
    pub(super) fn watch(&mut self, token: Token, waiter: TaskId) {
        if let Some(slot) = self.slot(token) {
            slot.state = State::Awaited(waiter);
        }
    }

    fn start_as(&mut self, request: Request, state: State) -> Token {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.grow(),
        };
        let slot = &mut self.slots[index as usize];
        let token = Token {
            slot: index,
            generation: slot.generation,
        };
        slot.state = state;
        slot.stage = Stage::Waiting;
        slot.is_cancelled = false;
        slot.request = Some(request);
        // Those who wait for room are first.
        if !self.waiting.is_empty() || !self.hand_over(token, Stage::Waiting) {
            if let Some(Request::Receive(socket)) = &self.slots[index as usize].request {
                socket.put_off();
            }
            self.waiting.push_back(token);
        }
        token
    }

    /// Makes room for one more operation.
    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.slots.len()).expect("each takes memory");
        self.slots.push(Slot {
            generation: 0,
            request: None,
            stage: Stage::Waiting,
            is_cancelled: false,
            state: State::Unwatched,
        });
        index
    }

    /// Gives an operation that is still at this stage to the kernel; false if that has no room.
    fn hand_over(&mut self, token: Token, from: Stage) -> bool {
        let Some(slot) = self.slots.get_mut(token.slot as usize) else {
            return true;
        };
        let is_its = slot.generation == token.generation && slot.stage == from;
        let Some(request) = slot.request.as_ref().filter(|_| is_its) else {
            // It was cancelled.
            return true;
        };
        // SAFETY: the request stays in its slot until the last completion: only `release` takes it
        // out, and that is called for an operation that is over, or that the kernel does not have.
        #[expect(unsafe_code, reason = "the invariant of this file")]
        let has_room = unsafe { self.kernel.start(token, request) };
        if has_room {
            slot.stage = Stage::HandedOver;
        }
        has_room
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
        if slot.stage != Stage::HandedOver {
            // The kernel knows nothing of it, and so has no word about its end.
            let woken = self.complete(Completion {
                token,
                result: -libc::ECANCELED,
                more: false,
                data: None,
            });
            self.woken.extend(woken);
            return;
        }
        // The kernel may not find it: a receive whose end for want of a buffer has not been seen yet
        // is over. It is then not started again.
        slot.is_cancelled = true;
        self.start_unwatched(Request::Cancel(token));
    }

    /// Hands over what was started, waits, and calls `wake` for each task that has something new.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn turn(&mut self, wait: Wait, mut wake: impl FnMut(TaskId)) -> io::Result<()> {
        self.feed_starved();
        self.start_waiting();
        let has_all = self.starved.is_empty() && self.waiting.is_empty();
        let wait = if has_all && self.woken.is_empty() {
            wait
        } else {
            // What is left has room after the kernel has taken what it has, and its words are heard.
            Wait::No
        };
        self.kernel.enter(wait)?;
        while let Some(completion) = self.kernel.next() {
            if let Some(task) = self.complete(completion) {
                wake(task);
            }
        }
        self.woken.drain(..).for_each(wake);
        Ok(())
    }

    /// Hands over those who wait for room, while there is some.
    fn start_waiting(&mut self) {
        while let Some(&token) = self.waiting.front() {
            if !self.hand_over(token, Stage::Waiting) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Lets receives that found no buffer try again, as many as there are buffers: all at once they
    /// would take the buffers from each other again and again. They are few, so they go before those
    /// who wait for room, of whom there may always be some.
    fn feed_starved(&mut self) {
        for _ in 0..self.kernel.buffers() {
            let Some(&token) = self.starved.front() else {
                return;
            };
            if !self.hand_over(token, Stage::Starved) {
                return;
            }
            self.starved.pop_front();
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
            (Some(Request::Receive(socket)), _)
                if !more && result == -libc::ENOBUFS && !slot.is_cancelled =>
            {
                slot.stage = Stage::Starved;
                socket.put_off();
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
            (Some(Request::Send(socket, chunk)), state) => {
                socket.sent(result, chunk.len());
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
