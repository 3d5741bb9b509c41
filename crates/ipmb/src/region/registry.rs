//! A pool that recycles memory regions.

use super::{Block, MemoryRegion};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a region that nobody uses is kept for reuse.
const KEEP: Duration = Duration::from_secs(5);
/// So many regions that are still held are looked at before a new one is made.
const LOOKS: usize = 16;
/// After this time it is worth a look at all of them, on the way to a new one.
const MAINTAIN: Duration = Duration::from_secs(1);

/// A pool of memory regions: a region that no process holds any more is handed out again, which
/// costs neither a system call nor a page fault, and receivers that have seen it know it already.
///
/// ```
/// let mut registry = ipmb::MemoryRegistry::default();
/// let mut frame = registry.alloc(8 << 20, Some("camera"));
/// frame.map(..)?[0] = 1;
/// drop(frame); // or send it: it comes back when the last receiver has dropped it
/// let again = registry.alloc(8 << 20, Some("camera"));
/// assert_eq!(again.ref_count(), 2); // the registry holds it too
/// # Ok::<(), ipmb::MapError>(())
/// ```
#[derive(Default)]
pub struct MemoryRegistry {
    entries: Vec<Entry>,
    /// Where to look first: behind the one that was handed out last. What was handed out longest
    /// ago is free first.
    next: usize,
    maintained: Option<Instant>,
}

impl MemoryRegistry {
    /// A region of at least `min_size` bytes (less than twice as many), reused if one with the
    /// same `tag` is free. Its content is whatever the last user left. If the memory could not be
    /// had, [`MemoryRegion::map`] says so.
    pub fn alloc(&mut self, min_size: usize, tag: Option<&str>) -> MemoryRegion {
        self.try_alloc(min_size, tag)
            .unwrap_or_else(MemoryRegion::missing)
    }

    /// As [`alloc`](Self::alloc). `free` runs exactly once: when the registry notices that no
    /// process holds the region any more (in any `alloc` or in [`maintain`](Self::maintain)), or
    /// when the registry is dropped, or at once if the memory could not be had.
    ///
    /// ```
    /// let mut registry = ipmb::MemoryRegistry::default();
    /// let region = registry.alloc_with_free(1024, None, || println!("free"));
    /// drop(region);
    /// registry.maintain(); // prints "free"
    /// ```
    pub fn alloc_with_free(
        &mut self,
        min_size: usize,
        tag: Option<&str>,
        free: impl FnOnce() + 'static,
    ) -> MemoryRegion {
        self.try_alloc_with_free(min_size, tag, free)
            .unwrap_or_else(MemoryRegion::missing)
    }

    /// As [`alloc`](Self::alloc).
    ///
    /// # Errors
    ///
    /// If the memory could not be had.
    ///
    /// ```
    /// let mut registry = ipmb::MemoryRegistry::default();
    /// assert!(registry.try_alloc(1 << 40, None).is_err());
    /// ```
    pub fn try_alloc(&mut self, min_size: usize, tag: Option<&str>) -> io::Result<MemoryRegion> {
        self.take(min_size, tag, Free(None))
    }

    /// As [`alloc_with_free`](Self::alloc_with_free).
    ///
    /// # Errors
    ///
    /// If the memory could not be had; `free` has run then.
    pub fn try_alloc_with_free(
        &mut self,
        min_size: usize,
        tag: Option<&str>,
        free: impl FnOnce() + 'static,
    ) -> io::Result<MemoryRegion> {
        self.take(min_size, tag, Free(Some(Box::new(free))))
    }

    /// Runs the `free` of regions that nobody holds any more, forgets holders that were killed,
    /// and gives memory back that has not been used for 5 seconds.
    pub fn maintain(&mut self) {
        let now = Instant::now();
        self.maintained = Some(now);
        self.entries.retain_mut(|entry| {
            if entry.is_held() {
                entry.bury_the_dead();
            }
            if !entry.is_held() {
                entry.free.run();
                return entry.is_free() && now.duration_since(entry.last_use) < KEEP;
            }
            true
        });
    }

    /// Returns the registry itself.
    #[deprecated(since = "0.9.0", note = "there is nothing to unwrap")]
    #[must_use]
    pub fn unwrap(self) -> Self {
        self
    }

    /// Returns the registry itself.
    #[deprecated(since = "0.9.0", note = "there is nothing to unwrap")]
    #[must_use]
    pub fn expect(self, _message: &str) -> Self {
        self
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn take(&mut self, min_size: usize, tag: Option<&str>, free: Free) -> io::Result<MemoryRegion> {
        let now = Instant::now();
        if let Some(index) = self.find(min_size, tag, now) {
            let entry = &mut self.entries[index];
            let region = entry.region.clone()?;
            entry.free.run();
            entry.free = free;
            entry.last_use = now;
            return Ok(region);
        }
        let region = MemoryRegion::try_new_watched(min_size)?;
        let entry = Entry {
            region: region.clone()?,
            tag: tag.map(str::to_owned),
            last_use: now,
            free,
        };
        self.entries
            .insert(self.next.min(self.entries.len()), entry);
        self.next += 1;
        Ok(region)
    }

    fn find(&mut self, min_size: usize, tag: Option<&str>, now: Instant) -> Option<usize> {
        let start = self.next;
        if let Some(index) = self.look(min_size, tag, Entry::is_free) {
            return Some(index);
        }
        // Only now, on the way to new memory, is it worth asking the kernel who has died.
        let due = |at| now.duration_since(at) > MAINTAIN;
        if self.maintained.is_none_or(due) {
            self.maintain();
        }
        self.next = start;
        self.look(min_size, tag, |entry| {
            entry.bury_the_dead();
            entry.is_free()
        })
    }

    /// Looks at some of those that would do.
    fn look(
        &mut self,
        min_size: usize,
        tag: Option<&str>,
        is_free: impl Fn(&Entry) -> bool,
    ) -> Option<usize> {
        let (start, count) = (self.next, self.entries.len());
        let order = (0..count).map(|step| (start + step) % count);
        let fitting = order.filter(|&index| self.entries[index].fits(min_size, tag));
        let mut last = start;
        let found = fitting.take(LOOKS).find(|&index| {
            last = index + 1;
            is_free(&self.entries[index])
        });
        self.next = last;
        found
    }
}

struct Entry {
    region: MemoryRegion,
    tag: Option<String>,
    last_use: Instant,
    free: Free,
}

impl Entry {
    fn is_held(&self) -> bool {
        self.region.ref_count() > 1
    }

    /// Whether it can be handed out again.
    fn is_free(&self) -> bool {
        let in_doubt = |block: &Arc<Block>| block.is_in_doubt();
        !self.is_held() && !self.region.block().is_ok_and(in_doubt)
    }

    fn fits(&self, min_size: usize, tag: Option<&str>) -> bool {
        let size = self.region.buffer_size();
        let min_size = min_size as u64;
        self.tag.as_deref() == tag && size >= min_size && size <= min_size.saturating_mul(2)
    }

    fn bury_the_dead(&self) {
        if let Ok(block) = self.region.block() {
            block.bury_the_dead();
        }
    }
}

/// Runs once, at the latest when dropped.
struct Free(Option<Box<dyn FnOnce()>>);

impl Free {
    fn run(&mut self) {
        if let Some(free) = self.0.take() {
            free();
        }
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        self.run();
    }
}
