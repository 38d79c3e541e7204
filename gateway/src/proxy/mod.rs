//! The far side of a request: a connection to the replica, the request on its way there, the
//! answer on its way back, both at the same time.
//!
//! `call` is what is known of the request, `head` writes both heads anew, `connect` gets a
//! connection, `relay` runs the two directions (`upload` and `answer`), `retry` says whether a
//! failure may be tried again. Bodies, and a tunnel after a switch of protocols, are in `conduit`.

mod answer;
mod call;
mod connect;
mod head;
mod relay;
mod retry;
mod upload;

use conduit::{Pump, Reframe};
use net::{Chunk, ChunkMut};
use wire::encode::CONTINUE;

use crate::{
    failure::Failure,
    pool::Upstream,
    snapshot::{Function, InFlight},
    worker::{Client, Next, Worker},
};

pub(crate) use call::Call;
use call::CallId;
use relay::{Far, Request};
use retry::Sent;
pub(crate) use retry::{Attempt, Failed};

/// The request was answered by the replica.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The replica's status.
    pub(crate) status: u16,
    /// What becomes of the client's connection.
    pub(crate) next: Next,
}

/// Sends the request to the replica and its answer to the client.
///
/// `rest` is what has been read behind the head.
pub(crate) async fn forward(
    worker: &Worker,
    client: &mut Client,
    call: &Call<'_>,
    (function, flight): (&Function, &InFlight<'_>),
    mut rest: Chunk,
) -> Result<Answered, Failed> {
    let replica = flight.replica();
    let may_be_repeated = call.head.method.is_idempotent() && call.is_whole(&rest);
    let mut upstream = connect::checkout(worker, replica, may_be_repeated)
        .await
        .map_err(Failed::before_sending)?;

    // Asked for only now: a client that waits for it has sent nothing to a dead replica.
    if call.head.expect_continue && rest.is_empty() {
        let limit = worker.limits.body_timeout;
        let sent = client.send(Chunk::copied(CONTINUE), limit).await;
        sent.map_err(|_gone| Failed::before_sending(Failure::ClientGone))?;
    }

    let mut pump = Pump::new(
        call.head.framing,
        Reframe::Keep,
        function.limits.body_bytes_max(&worker.limits),
    );
    let mut out = ChunkMut::new();
    head::encode_request(&mut out, call, client, replica);
    let first = pump
        .take(&mut rest)
        .map_err(|error| Failed::before_sending(error.into()))?;
    let whole_in_one_write = first.len() <= out.room();
    if whole_in_one_write {
        out.extend_from_slice(&first);
    }
    let Upstream { stream, timer, .. } = &mut upstream;
    let limit = worker.limits.body_timeout;
    let began = stream.sender.send_within(out.freeze(), timer, limit).await;
    if let Err(error) = began {
        let is_refused = stream.sender.is_refused();
        return Err(Failed::on_first_write(error, is_refused, upstream.reused));
    }
    let first = if whole_in_one_write {
        Chunk::default()
    } else {
        first
    };

    let far = Far {
        upstream,
        replica,
        first_byte_limit: function.limits.first_byte_timeout(&worker.limits),
        silence_limit: call.silence_limit(&worker.limits),
    };
    relay::relay(worker, client, call, far, Request { pump, first, rest }).await
}
