//! Slow work on replicas, in other threads, and never in all of them.
//!
//! Joining a control group, looking for processes in /proc and removing what a function left in
//! its directory may take from milliseconds to minutes. What makes a deploy durable waits in the
//! same small pool of threads; so each kind of such work may have a few of them at a time, and
//! the rest of it waits here.
//!
//! What it does not do: put what waits into an order, or end what takes too long.

use std::sync::Arc;

use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
};

/// Threads for each kind of work.
const THREADS_EACH: usize = 2;
/// Threads that are left for changes on the disk.
const THREADS_FOR_THE_DISK: usize = 2;
/// Threads that the runtime may have for all that blocks. More would only queue at the disk.
pub(crate) const BLOCKING_THREADS_MAX: usize = 2 * THREADS_EACH + THREADS_FOR_THE_DISK;

/// The kinds of work. Clones share their threads.
#[derive(Debug, Clone)]
pub(super) struct Chores {
    /// Control groups and processes: each takes milliseconds, and a replica waits for it.
    pub(super) fences: Chore,
    /// Removal of what replicas had, which may take long.
    pub(super) removals: Chore,
}

impl Chores {
    pub(super) fn new() -> Self {
        Self {
            fences: Chore::new(),
            removals: Chore::new(),
        }
    }
}

/// One kind of work.
#[derive(Debug, Clone)]
pub(super) struct Chore {
    free: Arc<Semaphore>,
}

impl Chore {
    fn new() -> Self {
        Self {
            free: Arc::new(Semaphore::new(THREADS_EACH)),
        }
    }

    /// Does it in another thread, as soon as one is free for this kind. What has begun is carried
    /// out even if nobody waits for it.
    ///
    /// # Errors
    /// If it panicked, or the runtime is being ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // It is never closed, so there is always a permit to come.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok();
        spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};
    use tokio::time::timeout;

    /// Goal: however much slow work there is, a change gets to the disk, and the other kind of
    /// work is done.
    /// Steps: in as many threads as the control plane has, begin more removals than that, which
    /// wait for the test; then do something else of each kind; let them end: all do.
    #[test]
    fn slow_work_leaves_threads_for_the_rest() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()
            .unwrap();
        runtime.block_on(async {
            let chores = Chores::new();
            let mut ends = Vec::new();
            let mut slow = Vec::new();
            for _ in 0..2 * BLOCKING_THREADS_MAX {
                let (end, ended) = mpsc::channel::<()>();
                ends.push(end);
                let removals = chores.removals.clone();
                slow.push(tokio::spawn(async move {
                    removals.run(move || ended.recv()).await.map(drop)
                }));
            }
            tokio::task::yield_now().await;
            let limit = Duration::from_secs(20);
            let other = timeout(limit, chores.fences.run(|| "joined")).await;
            assert_eq!(other.unwrap().unwrap(), "joined");
            let disk = timeout(limit, spawn_blocking(|| "on the disk")).await;
            assert_eq!(disk.unwrap().unwrap(), "on the disk");
            drop(ends);
            for task in slow {
                task.await.unwrap().unwrap();
            }
        });
    }
}
