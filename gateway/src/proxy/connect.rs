//! A connection to a replica: a warm one from the pool, else a new one.

use std::{io, sync::Arc, time::Instant};

use net::{Either, Stream, race};
use nix::errno::Errno;

use crate::{failure::Failure, pool::Upstream, snapshot::Replica, worker::Worker};

/// Gets a connection on which nothing of this request has been sent. One for a request that
/// cannot be repeated is surely open.
pub(crate) async fn checkout(
    worker: &Worker,
    replica: &Arc<Replica>,
    may_be_repeated: bool,
) -> Result<Upstream, Failure> {
    if let Some(upstream) = worker.pool.take(replica, !may_be_repeated) {
        return Ok(upstream);
    }
    let limit = worker.limits.connect_timeout;
    let failure = match race(Stream::connect(&replica.endpoint), net::sleep(limit)).await {
        Either::First(Ok(stream)) => {
            replica.outlier.connected();
            return Ok(Upstream::new(stream, &worker.cells));
        }
        Either::First(Err(error)) if is_ours(&error) => return Err(Failure::ConnectFailed(error)),
        Either::First(Err(error)) => Failure::ConnectFailed(error),
        Either::Second(()) => Failure::ConnectTimeout(limit),
    };
    if replica.outlier.failed(Instant::now()) {
        worker.cells.left_out.add_one();
        tracing::warn!(endpoint = %replica.endpoint, %failure, "a replica is left out for a while");
    }
    Err(failure)
}

/// connect(2), socket(2): errors that say nothing about the replica, since this process or machine
/// has run out of descriptors, ports or memory.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRNOTAVAIL)
    )
}
