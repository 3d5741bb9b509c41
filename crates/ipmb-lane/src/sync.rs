//! The atomics of this crate: std's, or loom's, which try every order that the memory model allows.

#[cfg(loom)]
pub(crate) use crate::weak::{AtomicU64, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(any(loom, tsan)))]
pub(crate) use std::sync::atomic::fence;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

/// A fence that ThreadSanitizer, which knows none, understands: what is before it is before what is behind each later
/// one. That is more than a fence says, so some races behind fences are not found; loom looks for those.
#[cfg(all(tsan, not(loom)))]
pub(crate) fn fence(ordering: Ordering) {
    static ALL: AtomicU64 = AtomicU64::new(0);
    ALL.fetch_add(1, Ordering::AcqRel);
    std::sync::atomic::fence(ordering);
}

/// A number that no other living thread has, and not 0.
#[cfg(not(loom))]
#[inline]
pub(crate) fn this_thread() -> usize {
    // Somewhere in the thread's own memory: cheaper than `std::thread::current().id()`.
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// As above. Loom's threads share the thread-local variables of one thread of the system.
#[cfg(loom)]
pub(crate) fn this_thread() -> usize {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    loom::thread::current().id().hash(&mut hasher);
    hasher.finish() as usize | 1
}

/// A full fence that follows a read-modify-write with at least acquire ordering.
///
/// On x86 such an operation is a full fence already, and the compiler moves no later access before it. (Linux calls
/// this `smp_mb__after_atomic`.)
pub(crate) fn fence_after_swap() {
    #[cfg(any(loom, not(any(target_arch = "x86", target_arch = "x86_64"))))]
    fence(Ordering::SeqCst);
}
