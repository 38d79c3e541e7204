//! Idle connections to the function's own server.
//!
//! The one used last is used next. None is kept for long: many servers close theirs after a few
//! seconds (gunicorn after 2, Node.js after 5), and a request that crosses such an end on its way
//! may have been executed or not; a new connection on the same machine costs some 50 µs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use net::Stream;

/// How long a connection is kept.
const IDLE_MAX: Duration = Duration::from_millis(1500);

/// How many are kept.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// How often those that are too old are looked for, while there are any.
const TIDY_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Idle {
    stream: Stream,
    since: Instant,
}

/// The idle connections. Cheap to clone: all clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    inner: Rc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    idle: RefCell<Vec<Idle>>,
    is_tidied: Cell<bool>,
}

impl Pool {
    /// Takes a connection that can be used, if there is one.
    ///
    /// Each is looked at first, which costs a system call: one that the server has closed would
    /// fail a POST that cannot be sent twice, and bytes that nobody has asked for would become the
    /// answer to somebody else's request.
    pub(super) fn take(&self) -> Option<Stream> {
        let mut idle = self.inner.idle.borrow_mut();
        while let Some(Idle { stream, .. }) = idle.pop() {
            if stream.is_quiet() {
                return Some(stream);
            }
        }
        None
    }

    /// Puts a connection back that is between two requests.
    pub(super) fn put(&self, stream: Stream) {
        let mut idle = self.inner.idle.borrow_mut();
        if idle.len() >= IDLE_CONNECTIONS_MAX {
            return;
        }
        let since = Instant::now();
        idle.push(Idle { stream, since });
        drop(idle);
        if !self.inner.is_tidied.replace(true) {
            net::spawn(tidy(self.clone()));
        }
    }

    /// Closes all of them.
    pub(super) fn clear(&self) {
        self.inner.idle.borrow_mut().clear();
    }
}

/// Closes what is too old or was closed by the other end, until nothing is left.
async fn tidy(pool: Pool) {
    loop {
        net::sleep(TIDY_EVERY).await;
        let now = Instant::now();
        let mut idle = pool.inner.idle.borrow_mut();
        idle.retain(|idle| now.duration_since(idle.since) < IDLE_MAX && idle.stream.is_quiet());
        if idle.is_empty() {
            pool.inner.is_tidied.set(false);
            return;
        }
    }
}
