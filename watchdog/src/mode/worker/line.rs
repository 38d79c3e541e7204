//! A line: who came first is served first, and who leaves takes nothing along.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Those who wait for a `T`.
#[derive(Debug)]
pub(super) struct Line<T> {
    seats: RefCell<VecDeque<Rc<Seat<T>>>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            seats: RefCell::default(),
        }
    }
}

#[derive(Debug)]
struct Seat<T> {
    given: RefCell<Option<T>>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Line<T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.seats.borrow().len()
    }

    /// Gives `thing` to the first in the line.
    ///
    /// # Errors
    /// `thing`, if nobody waits.
    pub(super) fn give(&self, thing: T) -> Result<(), T> {
        let Some(seat) = self.seats.borrow_mut().pop_front() else {
            return Err(thing);
        };
        *seat.given.borrow_mut() = Some(thing);
        if let Some(waker) = seat.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    /// Takes the last place. Who leaves it after having been given something gives that to
    /// `give_back`.
    pub(super) fn join<F: Fn(T)>(&self, give_back: F) -> Place<'_, T, F> {
        let seat = Rc::new(Seat {
            given: RefCell::new(None),
            waker: RefCell::new(None),
        });
        self.seats.borrow_mut().push_back(Rc::clone(&seat));
        Place {
            line: self,
            seat,
            give_back,
        }
    }
}

/// A place in a line.
pub(super) struct Place<'l, T, F: Fn(T)> {
    line: &'l Line<T>,
    seat: Rc<Seat<T>>,
    give_back: F,
}

impl<T, F: Fn(T)> Place<'_, T, F> {
    /// Waits until something is given.
    pub(super) async fn turn(&mut self) -> T {
        poll_fn(|cx| match self.seat.given.take() {
            Some(thing) => Poll::Ready(thing),
            None => {
                *self.seat.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl<T, F: Fn(T)> Drop for Place<'_, T, F> {
    fn drop(&mut self) {
        let mut seats = self.line.seats.borrow_mut();
        seats.retain(|seat| !Rc::ptr_eq(seat, &self.seat));
        drop(seats);
        if let Some(thing) = self.seat.given.take() {
            (self.give_back)(thing);
        }
    }
}

impl<T, F: Fn(T)> fmt::Debug for Place<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn who_came_first_is_served_first_and_who_leaves_gives_back() {
        let (line, returned) = (Line::default(), Cell::new(0));
        let back = |thing: i32| returned.set(thing);
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second, third) = (line.join(back), line.join(back), line.join(back));
        {
            let mut first = pin!(first.turn());
            let mut second = pin!(second.turn());
            assert!(second.as_mut().poll(&mut cx).is_pending());
            assert!(first.as_mut().poll(&mut cx).is_pending());
            line.give(1).unwrap();
            assert_eq!(first.as_mut().poll(&mut cx), Poll::Ready(1));
            assert!(second.as_mut().poll(&mut cx).is_pending());
            line.give(2).unwrap();
        }
        // The second was given it and has not looked yet.
        drop(second);
        assert_eq!(returned.get(), 2);
        drop(third);
        assert_eq!(line.give(3), Err(3));
    }
}
