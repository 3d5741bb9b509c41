//! How much memory a piece of code takes: an allocator that counts, for each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(change: isize) {
    // A thread that ends has no counters any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get().wrapping_add(change));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while it moves.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Runs `work`, and says how many bytes more than before it had allocated at its peak.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let value = work();
    let peak = PEAK.get().wrapping_sub(before);
    (value, usize::try_from(peak).unwrap_or(0))
}

/// Drops a value, and says how many bytes that freed.
pub fn held<T>(value: T) -> usize {
    let before = LIVE.get();
    drop(value);
    usize::try_from(before.wrapping_sub(LIVE.get())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_counted() {
        let (vector, peak) = super::peak(|| {
            drop(Vec::<u8>::with_capacity(5000));
            Vec::<u8>::with_capacity(1000)
        });
        assert_eq!(peak, 5000);
        assert_eq!(super::held(vector), 1000);
    }
}
