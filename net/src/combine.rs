//! Waiting for one of two futures, without an allocation and without a macro.
//!
//! What it does not do: spawn. The loser is dropped where the caller's future lives.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

/// Which of two futures ended first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first one.
    First(A),
    /// The second one.
    Second(B),
}

pin_project! {
    /// What [`race`] makes. Not an `async fn`: that would keep each future twice, as an argument and
    /// where it is pinned, and with races in races a connection would take several times the memory.
    #[derive(Debug)]
    #[must_use = "a race is run by awaiting it"]
    pub struct Race<A, B> {
        #[pin]
        first: A,
        #[pin]
        second: B,
    }
}

/// Waits for `first` or `second`; when both are ready, `first` wins. The other one is dropped.
///
/// Dropping a [`crate::Receiver::recv`] that has not ended may lose bytes that had arrived: race
/// it only against something after which the connection is not read any more.
pub const fn race<A: Future, B: Future>(first: A, second: B) -> Race<A, B> {
    Race { first, second }
}

impl<A: Future, B: Future> Future for Race<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.first.poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        this.second.poll(cx).map(Either::Second)
    }
}
