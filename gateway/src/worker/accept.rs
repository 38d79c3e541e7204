//! Takes connections from one listener and starts a task for each.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use net::{Listener, Stream, race};

use super::{Worker, admission};

/// The pause when descriptors or memory have run out: long enough for some to come free, short
/// enough not to be noticed. The waiting connections stay in the kernel's backlog.
const OUT_OF_RESOURCES_PAUSE: Duration = Duration::from_millis(50);

/// Connections accepted in a row that show that a shortage is over.
const OVER_AFTER: u32 = 8;

/// How many of the connections that wait in the backlog are still taken when the worker drains:
/// more than a backlog holds, so all of them, unless clients keep coming.
const BACKLOG_MAX: usize = 2 * net::BACKLOG as usize;

/// Accepts until the worker drains, then what waits in the backlog, then closes the listener. A
/// drain waits for it.
///
/// Closing resets what is left in a backlog. Where another gateway has the same socket (see
/// `handover`) nothing is reset, and who of the two accepts a connection does not matter.
pub(super) fn begin(worker: &Rc<Worker>, listener: Listener) {
    let worker = Rc::clone(worker);
    let open = worker.drain.open_listener();
    net::spawn(async move {
        race(accept_all(&worker, &listener), worker.drain.started()).await;
        accept_waiting(&worker, &listener).await;
        drop(listener);
        drop(open);
    });
}

async fn accept_all(worker: &Rc<Worker>, listener: &Listener) {
    let mut shortage = Shortage::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                shortage.accepted();
                serve(worker, stream, peer);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                shortage.met(&error);
                net::sleep(OUT_OF_RESOURCES_PAUSE).await;
            }
        }
    }
}

/// A time in which nothing could be accepted: told when it begins and when it is over, not with
/// each of twenty tries a second.
#[derive(Debug, Default)]
struct Shortage {
    /// When it began, while it lasts or was over a moment ago.
    since: Option<Instant>,
    /// Connections that were accepted since the last one that could not be.
    accepted: u32,
}

impl Shortage {
    fn met(&mut self, error: &io::Error) {
        self.accepted = 0;
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(
                %error,
                "cannot accept connections, which wait meanwhile; if descriptors are short, raise ulimit -n"
            );
        }
    }

    /// One that comes free is taken at once by the next who waits: that is not the end of it.
    fn accepted(&mut self) {
        let Some(since) = self.since else {
            return;
        };
        self.accepted += 1;
        if self.accepted > OVER_AFTER {
            let seconds = since.elapsed().as_secs_f32();
            tracing::info!(seconds, "accepts connections again");
            *self = Self::default();
        }
    }
}

async fn accept_waiting(worker: &Rc<Worker>, listener: &Listener) {
    for _ in 0..BACKLOG_MAX {
        match listener.accept_waiting().await {
            Ok(Some((stream, peer))) => serve(worker, stream, peer),
            Ok(None) => return,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connections that wait cannot be accepted any more");
                return;
            }
        }
    }
}

fn serve(worker: &Rc<Worker>, stream: Stream, peer: Option<SocketAddr>) {
    worker.cells.accepted.add_one();
    // Here and not in the task, which has not begun yet: a drain must know of it from now on.
    let seat = worker.drain.seat(&stream.receiver);
    net::spawn(admission::admit(Rc::clone(worker), stream, peer, seat));
}

/// accept(2): errors that the new connection brought with it, not the listener.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::Interrupted
    )
}
