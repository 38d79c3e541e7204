//! Where the state of an exchange lives while there is one.
//!
//! It takes some KiB, of which a connection that waits for its next request needs nothing; with
//! thousands of idle connections that is most of their memory. So a connection that has something to
//! read takes a desk, and gives it back when all of it is answered. Desks are used again and again: in
//! the long run no request allocates one.

use std::{
    cell::RefCell,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use net::Chunk;
use pin_project_lite::pin_project;

use super::{
    Client, Worker,
    connection::{Rest, converse},
};

/// Desks that are kept while nobody needs them: some 4 MB.
const FREE_MAX: usize = 1024;

/// What a conversation begins with: the client, what has come from it, and how many requests came before.
type Start = (Client, Chunk, u64);

/// A place for the state of one conversation.
trait Desk {
    fn sit_down(self: Pin<&mut Self>, worker: &Rc<Worker>, start: Start);
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rest>;
    fn clear(self: Pin<&mut Self>);
}

pin_project! {
    /// A desk for the futures that `make` makes, whose type has no name.
    struct DeskFor<M, F> {
        make: M,
        #[pin]
        conversation: Option<F>,
    }
}

impl<M, F> Desk for DeskFor<M, F>
where
    M: Fn(Rc<Worker>, Start) -> F,
    F: Future<Output = Rest>,
{
    fn sit_down(self: Pin<&mut Self>, worker: &Rc<Worker>, start: Start) {
        let mut this = self.project();
        let conversation = (this.make)(Rc::clone(worker), start);
        this.conversation.set(Some(conversation));
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rest> {
        match self.project().conversation.as_pin_mut() {
            Some(conversation) => conversation.poll(cx),
            None => Poll::Pending,
        }
    }

    fn clear(self: Pin<&mut Self>) {
        self.project().conversation.set(None);
    }
}

/// The desks of a worker that are free.
#[derive(Default)]
pub(crate) struct Desks {
    free: RefCell<Vec<Pin<Box<dyn Desk>>>>,
}

impl fmt::Debug for Desks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.free.borrow().len();
        f.debug_struct("Desks").field("free", &free).finish()
    }
}

/// Answers what has come from a client and what follows it without a pause. Tells what is left.
pub(super) async fn at_desk(worker: &Rc<Worker>, start: Start) -> Rest {
    let mut taken = Taken::new(worker, start);
    poll_fn(|cx| taken.desk().poll(cx)).await
}

/// A desk in use.
struct Taken<'w> {
    worker: &'w Worker,
    /// There until it is dropped.
    desk: Option<Pin<Box<dyn Desk>>>,
}

impl<'w> Taken<'w> {
    fn new(worker: &'w Rc<Worker>, start: Start) -> Self {
        let free = worker.desks.free.borrow_mut().pop();
        let mut desk = free.unwrap_or_else(|| {
            Box::pin(DeskFor {
                make: converse,
                conversation: None,
            })
        });
        desk.as_mut().sit_down(worker, start);
        Self {
            worker,
            desk: Some(desk),
        }
    }

    fn desk(&mut self) -> Pin<&mut dyn Desk> {
        let desk = self.desk.as_mut();
        desk.expect("there until it is dropped").as_mut()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(mut desk) = self.desk.take() else {
            return;
        };
        desk.as_mut().clear();
        let mut free = self.worker.desks.free.borrow_mut();
        if free.len() < FREE_MAX {
            free.push(desk);
        }
    }
}
