use super::{Areas, GENERATION, MAGIC, MAGIC_VALUE, STATE, State};
use crate::memory::{LaneError, Memory};
use crate::sync::{Ordering, fence};

/// The area is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log is full: replace it by what still counts, or use more memory")]
pub struct LogFull;

/// The writing side of a log. There is one.
pub struct LogWriter<M: Memory> {
    areas: Areas<M>,
    replacements: u64,
    used: usize,
}

impl<M: Memory> LogWriter<M> {
    /// Makes an empty log of the memory. `generation` says which writer it is.
    ///
    /// # Errors
    ///
    /// [`LaneError`]: the memory is less than a page and something.
    pub fn create(mem: M, generation: u64) -> Result<Self, LaneError> {
        let areas = Areas::new(mem)?;
        let log = Self {
            areas,
            replacements: 0,
            used: 0,
        };
        log.store(GENERATION, generation);
        log.publish();
        log.store(MAGIC, MAGIC_VALUE);
        Ok(log)
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// [`LogFull`]: nothing has changed.
    pub fn append(&mut self, record: &[u8]) -> Result<(), LogFull> {
        self.used = self.write(self.replacements, self.used, record)?;
        self.publish();
        Ok(())
    }

    /// Puts these records in place of all.
    ///
    /// # Errors
    ///
    /// [`LogFull`]: nothing has changed.
    pub fn replace<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> Result<(), LogFull> {
        // Readers may still copy the area of the replacement before this one: whoever sees what we write now also
        // sees that STATE has moved on since.
        fence(Ordering::Release);
        let next = self.replacements.wrapping_add(1);
        let mut used = 0;
        for record in records {
            used = self.write(next, used, record)?;
        }
        (self.replacements, self.used) = (next, used);
        self.publish();
        Ok(())
    }

    /// Bytes that the records take, four for each of them included.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes that records may take.
    pub fn area_len(&self) -> usize {
        self.areas.len
    }

    /// Writes a record, which no reader sees yet, and says where it ends.
    fn write(&self, replacements: u64, at: usize, record: &[u8]) -> Result<usize, LogFull> {
        let len = u32::try_from(record.len()).map_err(|_| LogFull)?;
        let end = (at + 4).checked_add(record.len()).ok_or(LogFull)?;
        if end > self.areas.len {
            return Err(LogFull);
        }
        let start = self.areas.start(replacements) + at;
        self.areas.region.copy_in(start, &len.to_le_bytes());
        self.areas.region.copy_in(start + 4, record);
        Ok(end)
    }

    fn publish(&self) {
        self.store(STATE, State::new(self.replacements, self.used).0);
    }

    fn store(&self, word: usize, value: u64) {
        self.areas.region.word(word).store(value, Ordering::Release);
    }
}
