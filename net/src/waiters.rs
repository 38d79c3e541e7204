//! Tasks that wait for something to change, on one thread.
//!
//! Whoever changes it calls [`Waiters::wake_all`]; each waiter then looks at its own condition. A
//! waiter that is dropped leaves nothing behind, so that a long life with many waiters costs nothing.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    task::{Poll, Waker},
};

/// The tasks that wait.
#[derive(Debug, Default)]
pub struct Waiters {
    wakers: RefCell<BTreeMap<u64, Waker>>,
    next: Cell<u64>,
}

impl Waiters {
    /// Lets all of them look at their conditions.
    pub fn wake_all(&self) {
        for waker in std::mem::take(&mut *self.wakers.borrow_mut()).into_values() {
            waker.wake();
        }
    }

    /// Waits until `condition` holds; only looked at when somebody has been told to look.
    pub async fn until(&self, condition: impl Fn() -> bool) {
        if condition() {
            return;
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let place = Place {
            waiters: self,
            number,
        };
        poll_fn(|cx| {
            if condition() {
                return Poll::Ready(());
            }
            let mut wakers = self.wakers.borrow_mut();
            wakers.insert(place.number, cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A waiter's place, given back when it waits no more.
struct Place<'w> {
    waiters: &'w Waiters,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiters.wakers.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

    #[test]
    fn a_waiter_sees_the_change_and_one_that_leaves_is_forgotten() {
        let (waiters, open) = (Waiters::default(), Cell::new(false));
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut waiting = pin!(waiters.until(|| open.get()));
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            let mut leaving = Box::pin(waiters.until(|| false));
            assert!(leaving.as_mut().poll(&mut cx).is_pending());
            assert_eq!(waiters.wakers.borrow().len(), 2);
            drop(leaving);
            assert_eq!(waiters.wakers.borrow().len(), 1);
            open.set(true);
            waiters.wake_all();
            assert!(waiting.as_mut().poll(&mut cx).is_ready());
        }
        assert!(waiters.wakers.borrow().is_empty());
    }
}
