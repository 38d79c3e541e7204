//! A connection to a replica: a warm one from the pool, else a new one.

use std::sync::Arc;

use net::{Either, Stream, race};

use crate::{failure::Failure, pool::Upstream, snapshot::Replica, worker::Worker};

/// Gets a connection on which nothing of this request has been sent.
pub(crate) async fn checkout(worker: &Worker, replica: &Arc<Replica>) -> Result<Upstream, Failure> {
    if let Some(upstream) = worker.pool.take(replica) {
        return Ok(upstream);
    }
    let limit = worker.limits.connect_timeout;
    match race(Stream::connect(&replica.endpoint), net::sleep(limit)).await {
        Either::First(Ok(stream)) => Ok(Upstream::new(stream, &worker.cells)),
        Either::First(Err(error)) => Err(Failure::ConnectFailed(error)),
        Either::Second(()) => Err(Failure::ConnectTimeout(limit)),
    }
}
