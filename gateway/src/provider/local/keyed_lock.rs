//! One thing at a time for each function, while others go on: a deploy waits for the disk, and
//! the next one of the same function must find its outcome.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::provider::FunctionId;

/// Locks by function, which exist as long as somebody holds or wants them.
#[derive(Debug, Default)]
pub(crate) struct KeyedLock {
    locks: RefCell<BTreeMap<FunctionId, Weak<Mutex<()>>>>,
}

impl KeyedLock {
    /// Waits for its turn; dropping the guard ends it.
    pub(crate) async fn lock(&self, id: &FunctionId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.borrow_mut();
            locks.retain(|_, lock| lock.strong_count() > 0);
            match locks.get(id).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    locks.insert(id.clone(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_function_waits_and_another_does_not() {
        let locks = KeyedLock::default();
        let (a, b) = (
            FunctionId::new("a", "").unwrap(),
            FunctionId::new("b", "").unwrap(),
        );
        let held = locks.lock(&a).await;
        let _other = locks.lock(&b).await;
        let mut again = std::pin::pin!(locks.lock(&a));
        assert!(futures_poll(again.as_mut()).await.is_pending());
        drop(held);
        drop(again.await);
        let _last = locks.lock(&b);
    }

    async fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        let mut future = Some(future);
        std::future::poll_fn(|context| {
            let future = future.take().expect("polled once");
            std::task::Poll::Ready(future.poll(context))
        })
        .await
    }
}
