//! The atomics of this crate: std's, or loom's, which try every order that the memory model allows.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};

/// A full fence that follows a read-modify-write with at least acquire ordering.
///
/// On x86 such an operation is a full fence already, and the compiler moves no later access before it. (Linux calls
/// this `smp_mb__after_atomic`.)
pub(crate) fn fence_after_swap() {
    #[cfg(any(loom, not(any(target_arch = "x86", target_arch = "x86_64"))))]
    fence(Ordering::SeqCst);
}
