//! Everybody's turn: who finds something at once again and again lets others have theirs.
//!
//! As long as any task is ready, the runtime neither looks at timers nor (under io_uring) at most of
//! what has completed; nothing but the end of a pause says that it did. Clients who connect faster
//! than they are accepted, or one that sends faster than its bytes are passed on, would have the
//! thread to themselves. So a pause is begun in time and must be over some turns later; nearly
//! always it is by then, and costs nothing.

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use crate::timer::sleep;

/// Turns that find something at once before the runtime must have looked around.
const IN_A_ROW_MAX: u32 = 64;

/// The shortest pause that a timer knows.
const BREATH: Duration = Duration::from_millis(1);

/// How long somebody has had his turn without a pause. For whoever sends what is always at hand, as a
/// file is: its sends may never have to wait. Receiving and accepting have theirs already.
#[derive(Default)]
pub struct Pace {
    /// Turns in a row.
    turns: Cell<u32>,
    breath: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>>,
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace").field("turns", &self.turns).finish()
    }
}

impl Pace {
    /// One more turn; waits if it is others' turn.
    pub async fn turn(&self) {
        poll_fn(|cx| self.poll_turn(cx)).await;
    }

    /// Does `work` as one more turn. If it has to wait, others have their turn meanwhile.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.turn().await;
        let mut work = pin!(work);
        let mut has_waited = false;
        let done = poll_fn(|cx| {
            let poll = work.as_mut().poll(cx);
            has_waited |= poll.is_pending();
            poll
        })
        .await;
        if has_waited && self.turns.replace(0) > IN_A_ROW_MAX / 2 {
            self.breath.take();
        }
        done
    }

    fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        let turns = self.turns.get();
        if turns >= IN_A_ROW_MAX / 2 {
            let mut place = self.breath.borrow_mut();
            let breath = place.get_or_insert_with(|| Box::pin(sleep(BREATH)));
            if breath.as_mut().poll(cx).is_ready() {
                *place = None;
                self.turns.set(0);
                return Poll::Ready(());
            }
            if turns >= IN_A_ROW_MAX {
                return Poll::Pending;
            }
        }
        self.turns.set(turns + 1);
        Poll::Ready(())
    }
}
