//! Orderings that can be taken away, to see that loom misses them.

use loom::sync::atomic::{self, Ordering};
use std::cell::Cell;

/// A part of the orderings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weak {
    /// Stores to shared memory release nothing.
    Stores,
    /// Loads from shared memory acquire nothing.
    Loads,
    /// Read-modify-writes of shared memory do neither.
    Exchanges,
    /// There are no fences.
    Fences,
}

thread_local!(static WEAK: Cell<Option<Weak>> = const { Cell::new(None) });

/// Takes them away in the models of this thread, until dropped. (All threads of a model are in one thread.)
#[must_use]
pub struct Weakened(());

/// Begins it.
pub fn weaken(what: Weak) -> Weakened {
    WEAK.set(Some(what));
    Weakened(())
}

impl Drop for Weakened {
    fn drop(&mut self) {
        WEAK.set(None);
    }
}

/// What is left of an ordering.
fn order(what: Weak, ordering: Ordering) -> Ordering {
    match WEAK.get() == Some(what) {
        true => Ordering::Relaxed,
        false => ordering,
    }
}

pub(crate) fn fence(ordering: Ordering) {
    if WEAK.get() != Some(Weak::Fences) {
        atomic::fence(ordering);
    }
}

/// Loom's, with orderings that can be taken away.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn load(&self, ordering: Ordering) -> u64 {
        self.0.load(order(Weak::Loads, ordering))
    }

    pub(crate) fn store(&self, value: u64, ordering: Ordering) {
        self.0.store(value, order(Weak::Stores, ordering));
    }

    pub(crate) fn swap(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.swap(value, order(Weak::Exchanges, ordering))
    }

    pub(crate) fn fetch_or(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.fetch_or(value, order(Weak::Exchanges, ordering))
    }

    pub(crate) fn fetch_max(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.fetch_max(value, order(Weak::Exchanges, ordering))
    }

    pub(crate) fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.fetch_add(value, order(Weak::Exchanges, ordering))
    }

    pub(crate) fn compare_exchange(
        &self,
        from: u64,
        to: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let success = order(Weak::Exchanges, success);
        self.0.compare_exchange(from, to, success, failure)
    }
}
