//! Waiting for one of two futures, without an allocation and without a macro.
//!
//! What it does not do: spawn. The loser is dropped where the caller's future lives.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// Which of two futures ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first one.
    First(A),
    /// The second one.
    Second(B),
}

/// Waits for `first` or `second`; when both are ready, `first` wins. The other one is dropped.
///
/// Dropping a [`crate::Receiver::recv`] that has not ended may lose bytes that had arrived: race
/// it only against something after which the connection is not read any more.
pub async fn race<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
