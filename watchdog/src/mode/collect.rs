//! A request's body, received within the time that the client has for it.
//!
//! What it does not do: tell the client what is wrong; the modes have words of their own.

use std::pin::pin;

use conduit::Pump;
use net::{Chunk, Either, race};

use crate::input::{Input, InputError};
use crate::timers::Timers;

/// Why no further piece of a body could be had.
#[derive(Debug)]
pub(crate) enum BodyTrouble {
    /// It did not come in time.
    ReadTimeout,
    /// It cannot be had.
    BadInput(InputError),
}

/// The next piece of the body; none at its end.
pub(crate) async fn receive(
    input: &mut Input,
    body: &mut Pump,
    timers: &Timers,
) -> Result<Option<Chunk>, BodyTrouble> {
    let more = pin!(input.body(body));
    match race(more, timers.read.expired()).await {
        Either::First(Ok(piece)) => Ok(piece),
        Either::First(Err(error)) => Err(BodyTrouble::BadInput(error)),
        Either::Second(()) => Err(BodyTrouble::ReadTimeout),
    }
}

/// The whole body. One that came in one piece is not copied.
pub(crate) async fn collect(
    input: &mut Input,
    body: &mut Pump,
    timers: &Timers,
) -> Result<Chunk, BodyTrouble> {
    let mut whole = Chunk::default();
    while let Some(piece) = receive(input, body, timers).await? {
        whole = Chunk::joined(whole, piece);
    }
    Ok(whole)
}
