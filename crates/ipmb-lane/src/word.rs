use crate::memory::{LaneError, Memory};
use crate::region::Region;
use crate::sync::{Ordering, fence};

/// One number in shared memory. Safe to share between threads.
pub struct Word<M: Memory> {
    region: Region<M>,
    offset: usize,
}

impl<M: Memory> Word<M> {
    /// The eight bytes at `offset`, a multiple of eight.
    ///
    /// # Errors
    ///
    /// [`LaneError::BadSize`]: the memory ends before them, or `offset` is not a multiple of eight.
    pub fn new(mem: M, offset: usize) -> Result<Self, LaneError> {
        let needed = offset.saturating_add(8);
        let region = Region::new(mem, needed)?;
        if !offset.is_multiple_of(8) {
            return Err(LaneError::BadSize {
                needed,
                actual: region.len(),
            });
        }
        Ok(Self { region, offset })
    }

    /// The number, and all that was written before it was stored. Works in a read-only mapping.
    #[inline]
    pub fn load(&self) -> u64 {
        let value = self.region.peek(self.offset);
        fence(Ordering::Acquire);
        value
    }

    /// Stores the number behind all that was written before. Needs a writable mapping.
    #[inline]
    pub fn store(&self, value: u64) {
        self.region
            .word(self.offset)
            .store(value, Ordering::Release);
    }

    /// Makes the number at least `to`, and gives what it was. Needs a writable mapping.
    pub fn raise(&self, to: u64) -> u64 {
        self.region
            .word(self.offset)
            .fetch_max(to, Ordering::AcqRel)
    }
}
