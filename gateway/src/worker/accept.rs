//! Takes connections from one listener and starts a task for each.

use std::{future::pending, io, rc::Rc, time::Duration};

use net::{Listener, race};

use super::{Worker, admission};

/// The pause when descriptors or memory have run out: long enough for some to come free, short
/// enough not to be noticed. The waiting connections stay in the kernel's backlog.
const OUT_OF_RESOURCES_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the worker drains.
pub(crate) async fn accept(worker: Rc<Worker>, listener: Listener) {
    let stopped = async {
        worker.drain.started().await;
        // Not by dropping the accept that is pending: the kernel may have completed it already.
        listener.stop();
        pending::<()>().await;
    };
    race(accept_all(&worker, &listener), stopped).await;
}

async fn accept_all(worker: &Rc<Worker>, listener: &Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                worker.cells.accepted.add_one();
                net::spawn(admission::admit(Rc::clone(worker), stream, peer));
            }
            Err(_) if worker.shared.is_draining() => return,
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                net::sleep(OUT_OF_RESOURCES_PAUSE).await;
            }
        }
    }
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
