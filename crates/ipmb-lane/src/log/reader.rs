use super::{Areas, GENERATION, MAGIC, MAGIC_VALUE, STATE, State};
use crate::lane::Corrupt;
use crate::memory::{LaneError, Memory};
use crate::sync::{Ordering, fence};

/// What [`LogReader::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogRead {
    /// Nothing new.
    Unchanged,
    /// Records that were added since.
    Delta,
    /// All records: what was read before does not count any more.
    Snapshot,
}

/// How often a copy is begun anew because the log was replaced meanwhile.
const ATTEMPTS: usize = 64;

/// So much of the memory for copies is kept, in bytes.
const KEPT: usize = 4 << 10;

/// A reading side of a log. There may be any number. It only reads: a read-only mapping is enough.
pub struct LogReader<M: Memory> {
    areas: Areas<M>,
    generation: u64,
    last: Option<State>,
    copy: Vec<u8>,
}

impl<M: Memory> LogReader<M> {
    /// Takes a reading side.
    ///
    /// # Errors
    ///
    /// [`LaneError`]: this is not a log.
    pub fn attach(mem: M) -> Result<Self, LaneError> {
        let areas = Areas::new(mem)?;
        let magic = areas.region.peek(MAGIC);
        fence(Ordering::Acquire);
        if magic != MAGIC_VALUE {
            return Err(LaneError::BadHeader);
        }
        let generation = areas.region.peek(GENERATION);
        Ok(Self {
            areas,
            generation,
            last: None,
            copy: Vec::new(),
        })
    }

    /// What the writer said at [`LogWriter::create`](crate::LogWriter::create).
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there is anything to read, or nothing has been read yet: one load and a comparison.
    #[inline]
    pub fn changed(&self) -> bool {
        Some(self.state()) != self.last
    }

    /// Puts the records that are new in `out`, which is cleared. The first time, and after the log was replaced, they
    /// are all that there are.
    ///
    /// # Errors
    ///
    /// [`Corrupt`]: the writer broke the layout, or replaces the log as fast as it is read.
    pub fn read(&mut self, out: &mut Vec<Vec<u8>>) -> Result<LogRead, Corrupt> {
        out.clear();
        for _ in 0..ATTEMPTS {
            let state = self.state();
            fence(Ordering::Acquire);
            if Some(state) == self.last {
                return Ok(LogRead::Unchanged);
            }
            let from = self.known_of(state);
            if !self.copy(state, from.unwrap_or(0))? {
                continue;
            }
            split_records(&self.copy, out)?;
            // All records are read once, and after that a few at a time.
            self.copy.clear();
            self.copy.shrink_to(KEPT);
            self.last = Some(state);
            return Ok(match from {
                Some(_) => LogRead::Delta,
                None => LogRead::Snapshot,
            });
        }
        Err(Corrupt)
    }

    /// How much of this state has been read before, if it is a continuation of what has been read.
    fn known_of(&self, state: State) -> Option<u64> {
        let last = self
            .last
            .filter(|last| last.replacements() == state.replacements())?;
        Some(last.len())
    }

    /// Copies what follows `from`. False: it was replaced meanwhile.
    fn copy(&mut self, state: State, from: u64) -> Result<bool, Corrupt> {
        let len = state.len().checked_sub(from).ok_or(Corrupt)?;
        if state.len() > self.areas.len as u64 {
            return Err(Corrupt);
        }
        let start = self.areas.start(state.replacements()) + from as usize;
        self.copy.clear();
        self.areas
            .region
            .copy_out(start, len as usize, &mut self.copy);
        // Against the fence in `LogWriter::replace`.
        fence(Ordering::Acquire);
        Ok(self.state().replacements() == state.replacements())
    }

    #[inline]
    fn state(&self) -> State {
        State(self.areas.region.peek(STATE))
    }
}

fn split_records(mut bytes: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), Corrupt> {
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk().ok_or(Corrupt)?;
        let len = u32::from_le_bytes(*len) as usize;
        let (record, rest) = rest.split_at_checked(len).ok_or(Corrupt)?;
        out.push(record.to_vec());
        bytes = rest;
    }
    Ok(())
}
