//! An allocator that counts what one thread allocates, and remembers where the first of it came from.
//!
//! Why a thread and not the process: client and replica of these tests live in the same process
//! and may allocate as they like. A worker's thread is known by its kernel id, since nothing of
//! ours runs on it that could tell.
//!
//! What it does not do: count what is freed, or allocate: the system's allocator does.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    backtrace::Backtrace,
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering},
    },
};

use rustix::thread::gettid;

/// To be made the global allocator.
pub(crate) struct Counting;

/// Thread whose allocations count; 0 while nobody's do.
static COUNTED: AtomicI32 = AtomicI32::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Whether the place of the next one is to be kept.
static WANTS_PLACE: AtomicBool = AtomicBool::new(false);
static FIRST_PLACE: Mutex<Option<String>> = Mutex::new(None);

thread_local! {
    /// Set while this thread looks where it is, which allocates.
    static LOOKS: Cell<bool> = const { Cell::new(false) };
}

/// What was counted.
#[derive(Debug)]
pub(crate) struct Allocations {
    pub(crate) count: u64,
    /// The call stack of the first of them.
    pub(crate) first: Option<String>,
}

/// Counts what thread `id` allocates while `work` runs on this one.
pub(crate) fn allocations_of(id: i32, work: impl FnOnce()) -> Allocations {
    COUNT.store(0, Ordering::SeqCst);
    WANTS_PLACE.store(true, Ordering::SeqCst);
    COUNTED.store(id, Ordering::SeqCst);
    work();
    COUNTED.store(0, Ordering::SeqCst);
    let mut first = FIRST_PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    Allocations {
        count: COUNT.load(Ordering::SeqCst),
        first: first.take(),
    }
}

/// Notes an allocation of this thread.
fn note() {
    let counted = COUNTED.load(Ordering::Relaxed);
    if counted == 0 || gettid().as_raw_nonzero().get() != counted || LOOKS.get() {
        return;
    }
    COUNT.fetch_add(1, Ordering::Relaxed);
    if WANTS_PLACE.swap(false, Ordering::Relaxed) {
        LOOKS.set(true);
        let place = Backtrace::force_capture().to_string();
        *FIRST_PLACE.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        LOOKS.set(false);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came, and its answer back; what is
// done beside that neither touches the memory nor unwinds (an allocation for the call stack comes
// back here once and goes straight on).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note();
        // SAFETY: the memory came from `System` by one of these functions; the rest is the caller's
        // promise.
        unsafe { System.realloc(memory, layout, bytes) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory came from `System` by one of these functions.
        unsafe { System.dealloc(memory, layout) }
    }
}
