//! Fences for races between a side that runs for every message and one that runs rarely.
//!
//! Two threads each write a word and then read the other's. Each needs a full fence in between, lest neither sees
//! what the other wrote. The fence costs the frequent side more than all the rest of a small message: it waits until
//! the cache lines that were just written, and that the other side is reading, have come back. But if the rare side
//! can have *all* threads pass a full fence (Linux: membarrier(2), some microseconds), then the frequent side need
//! only keep the compiler from reordering. Such pairs of fences are called asymmetric: D. Dice, H. Huang, M. Yang,
//! "Asymmetric Dekker Synchronization" (2001); P. McKenney, "Expedited membarrier" (2015).

use crate::sync::{Ordering, fence};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering as StdOrdering};

/// Has every thread of every process that takes part pass a full fence.
static BARRIER: OnceLock<fn()> = OnceLock::new();
/// This process takes part.
static TAKES_PART: AtomicBool = AtomicBool::new(false);

/// From now on, `barrier` has every thread of every process that takes part pass a full fence, and the caller too.
/// To be called, if at all, before anything of this crate is made. The first call counts.
pub fn set_process_barrier(barrier: fn()) {
    let _ = BARRIER.set(barrier);
}

/// From now on, this process takes part in the barriers of others, and in its own if it has any.
pub fn take_part_in_barriers() {
    TAKES_PART.store(has_heavy(), StdOrdering::Release);
}

/// Whether the rare side's fence, if it is taken in this process, reaches all.
pub(crate) fn has_heavy() -> bool {
    BARRIER.get().is_some()
}

/// Whether another's [`heavy`] fence reaches this process.
#[inline]
pub(crate) fn is_reached() -> bool {
    cfg!(loom) || TAKES_PART.load(StdOrdering::Relaxed)
}

/// The rare side's fence.
pub(crate) fn heavy() {
    fence(Ordering::SeqCst);
    if let Some(barrier) = BARRIER.get() {
        barrier();
        fence(Ordering::SeqCst);
    }
}

/// The frequent side's fence. `rare_is_heavy`: the other side's is [`heavy`], and does reach all that take part.
#[inline]
pub(crate) fn light(rare_is_heavy: bool) {
    if cfg!(any(loom, tsan)) || !rare_is_heavy || !is_reached() {
        fence(Ordering::SeqCst);
    } else {
        std::sync::atomic::compiler_fence(StdOrdering::SeqCst);
    }
}
