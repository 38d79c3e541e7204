//! Tasks of one thread, run as completions come.
//!
//! A task waits for an operation by its number, not by a `Waker`: a completion says which operation
//! has ended, the operation says which task waits, and the task is polled. Wakers exist too, for
//! code that knows nothing of this (a channel, a timer); they work on this thread only, as all
//! else here does.
//!
//! One turn of the loop polls what is ready, hands all that it started to the kernel in one system
//! call, waits in the same call if nothing is ready, and looks what has come.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use super::{
    kernel::{Request, Token, Wait},
    operations::Operations,
    timers::Timers,
    uring::{Size, Uring},
};

/// Number of a task.
pub(super) type TaskId = u32;

/// The task that `block_on` was given.
const MAIN: TaskId = 0;

/// The kernel of a thread.
#[cfg(not(test))]
type Machine = Uring;
/// The same where a test may put another one in its place.
#[cfg(test)]
type Machine = Box<dyn super::kernel::Kernel>;

thread_local! {
    static CORE: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

/// What the tasks of a thread share.
pub(super) struct Core {
    operations: RefCell<Operations<Machine>>,
    /// To be cancelled at the next turn.
    cancelled: RefCell<Vec<Token>>,
    tasks: RefCell<Tasks>,
    ready: RefCell<VecDeque<TaskId>>,
    timers: RefCell<Timers>,
    current: Cell<TaskId>,
    /// When this turn began.
    now: Cell<Instant>,
}

#[derive(Default)]
struct Tasks {
    /// By number; number 0 is the main task, which lives elsewhere.
    slots: Vec<Task>,
    free: Vec<TaskId>,
}

struct Task {
    /// Not there while it is polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Behind an `Rc`, since a poll needs a copy, and a copy of a `Waker` is counted atomically.
    waker: Rc<Waker>,
    /// It stands in the queue already.
    is_ready: bool,
}

/// Puts a task into the queue of this thread.
struct TaskWaker(TaskId);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // On another thread, or when the thread is ending, there is nobody to wake: futures of
        // this back end stay where they were made.
        CORE.try_with(|core| {
            if let Some(core) = &*core.borrow() {
                core.wake(self.0);
            }
        })
        .ok();
    }
}

impl Core {
    /// Calls `f` with the core of this thread.
    ///
    /// # Panics
    /// Outside [`RingRuntime::block_on`].
    pub(super) fn with<T>(f: impl FnOnce(&Self) -> T) -> T {
        CORE.with(|core| match &*core.borrow() {
            Some(core) => f(core),
            None => panic!("a socket, timer or task outside of Runtime::block_on"),
        })
    }

    /// Whether this thread has one.
    pub(super) fn is_here() -> bool {
        CORE.try_with(|core| core.borrow().is_some())
            .unwrap_or(false)
    }

    /// The same for those who are being dropped, perhaps after the runtime.
    pub(super) fn if_there(f: impl FnOnce(&Self)) {
        CORE.try_with(|core| {
            if let Some(core) = &*core.borrow() {
                f(core);
            }
        })
        .ok();
    }

    /// The task that is being polled.
    pub(super) fn current_task() -> TaskId {
        Self::with(|core| core.current.get())
    }

    pub(super) fn operations(&self) -> RefMut<'_, Operations<Machine>> {
        self.operations.borrow_mut()
    }

    pub(super) fn timers(&self) -> RefMut<'_, Timers> {
        self.timers.borrow_mut()
    }

    /// When this turn of the loop began: what is a moment old, and costs nothing.
    pub(super) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Cancels an operation at the next turn: for those who are called from within one.
    pub(super) fn cancel_later(&self, token: Token) {
        self.cancelled.borrow_mut().push(token);
    }

    /// Runs an operation to its end, which is a count, or an errno below zero; dropping the future
    /// cancels it.
    pub(super) async fn run(request: Request) -> i32 {
        let token = Self::with(|core| {
            let task = core.current.get();
            core.operations().start(request, task)
        });
        let mut started = Started { token: Some(token) };
        poll_fn(|_| started.poll()).await
    }

    fn wake(&self, task: TaskId) {
        let mut tasks = self.tasks.borrow_mut();
        if let Some(slot) = tasks.slots.get_mut(task as usize)
            && !std::mem::replace(&mut slot.is_ready, true)
        {
            drop(tasks);
            self.ready.borrow_mut().push_back(task);
        }
    }

    /// Starts a task.
    pub(super) fn spawn(&self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let mut tasks = self.tasks.borrow_mut();
        let id = match tasks.free.pop() {
            Some(id) => id,
            None => tasks.grow(),
        };
        let slot = &mut tasks.slots[id as usize];
        slot.future = Some(future);
        slot.is_ready = true;
        drop(tasks);
        self.ready.borrow_mut().push_back(id);
    }

    /// Polls a task; one that ends leaves its number to another.
    fn poll(&self, id: TaskId) {
        let (mut future, waker) = {
            let mut tasks = self.tasks.borrow_mut();
            let slot = &mut tasks.slots[id as usize];
            slot.is_ready = false;
            match slot.future.take() {
                Some(future) => (future, Rc::clone(&slot.waker)),
                // It has ended since it was woken.
                None => return,
            }
        };
        self.current.set(id);
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        match poll {
            Poll::Pending => {
                let mut tasks = self.tasks.borrow_mut();
                tasks.slots[id as usize].future = Some(future);
            }
            Poll::Ready(()) => {
                // What it held may wake or spawn others: not while the tasks are borrowed.
                drop(future);
                self.tasks.borrow_mut().free.push(id);
            }
        }
    }

    /// One turn: hands over, waits if nothing is ready, and looks what has come.
    fn turn(&self) -> io::Result<()> {
        let now = self.now.get();
        let next = self.timers.borrow_mut().fire(now, |task| self.wake(task));
        let wait = match next {
            _ if !self.ready.borrow().is_empty() => Wait::No,
            Some(next) => Wait::Within(next.saturating_duration_since(now)),
            None => Wait::Long,
        };
        let mut operations = self.operations.borrow_mut();
        for token in self.cancelled.borrow_mut().drain(..) {
            operations.cancel(token);
        }
        operations.turn(wait, |task| self.wake(task))?;
        self.now.set(Instant::now());
        Ok(())
    }
}

impl Tasks {
    /// Makes room for one more task.
    fn grow(&mut self) -> TaskId {
        let id = TaskId::try_from(self.slots.len()).expect("fewer tasks than descriptors");
        self.slots.push(Task {
            future: None,
            waker: Rc::new(Waker::from(Arc::new(TaskWaker(id)))),
            is_ready: false,
        });
        id
    }
}

/// An operation that somebody waits for.
struct Started {
    token: Option<Token>,
}

impl Started {
    fn poll(&mut self) -> Poll<i32> {
        let Some(token) = self.token else {
            return Poll::Pending;
        };
        let taken = Core::with(|core| {
            let task = core.current.get();
            core.operations().take(token, task)
        });
        match taken {
            Some(result) => {
                self.token = None;
                Poll::Ready(result)
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            Core::if_there(|core| core.operations().abandon(token));
        }
    }
}

/// The executor of one thread.
pub(crate) struct RingRuntime {
    core: Rc<Core>,
}

impl RingRuntime {
    /// Makes the ring for this thread.
    ///
    /// # Errors
    /// What io_uring_setup(2) answered: ENOMEM where less memory may be locked than it takes.
    pub(crate) fn of_size(size: Size) -> io::Result<Self> {
        let kernel = Uring::new(size)?;
        #[cfg(test)]
        let kernel = Box::new(kernel);
        Ok(Self::on(kernel))
    }

    /// An executor on this kernel.
    pub(super) fn on(kernel: Machine) -> Self {
        let mut tasks = Tasks::default();
        tasks.grow();
        Self {
            core: Rc::new(Core {
                operations: RefCell::new(Operations::new(kernel)),
                cancelled: RefCell::default(),
                tasks: RefCell::new(tasks),
                ready: RefCell::default(),
                timers: RefCell::default(),
                current: Cell::new(MAIN),
                now: Cell::new(Instant::now()),
            }),
        }
    }

    /// Runs `main` and the tasks that it spawns until `main` ends.
    pub(crate) fn block_on<F: Future>(&mut self, main: F) -> F::Output {
        let _entered = Entered::new(Rc::clone(&self.core));
        let core = &*self.core;
        let mut main = pin!(main);
        let waker = Rc::clone(&core.tasks.borrow().slots[MAIN as usize].waker);
        core.wake(MAIN);
        loop {
            // Those that are ready now; what they make ready comes after the next turn.
            let count = core.ready.borrow().len();
            for _ in 0..count {
                let Some(task) = core.ready.borrow_mut().pop_front() else {
                    break;
                };
                if task != MAIN {
                    core.poll(task);
                    continue;
                }
                core.tasks.borrow_mut().slots[MAIN as usize].is_ready = false;
                core.current.set(MAIN);
                let poll = main.as_mut().poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(output) = poll {
                    return output;
                }
            }
            if let Err(error) = core.turn() {
                // Not memory or a bad request of ours: those are told to who asked.
                panic!("io_uring_enter: {error}");
            }
        }
    }
}

/// This thread has a core as long as this is there. At its end all tasks are dropped, and the
/// kernel lets go of what it was lent.
struct Entered {
    core: Rc<Core>,
}

impl Entered {
    fn new(core: Rc<Core>) -> Self {
        CORE.with(|current| {
            let before = current.replace(Some(Rc::clone(&core)));
            assert!(before.is_none(), "a runtime within a runtime");
        });
        Self { core }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Tasks may spawn or wake others as they are dropped.
        loop {
            let futures: Vec<_> = {
                let mut tasks = self.core.tasks.borrow_mut();
                let slots = tasks.slots.iter_mut();
                slots.filter_map(|slot| slot.future.take()).collect()
            };
            if futures.is_empty() {
                break;
            }
        }
        if !self.core.operations().end() {
            // What the kernel still holds must stay where it is.
            std::mem::forget(Rc::clone(&self.core));
        }
        CORE.set(None);
    }
}
