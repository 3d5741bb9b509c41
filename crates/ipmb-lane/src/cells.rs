use crate::memory::{LaneError, Memory};
use crate::region::Region;
use crate::sync::{AtomicU64, Ordering};

/// Words in front of the cells: how many cells have ever been used at most, and how many claims there have been.
const HEADER_WORDS: usize = 2;
const USED: usize = 0;
const CLAIMS: usize = 1;
const NONCE_BITS: u32 = 48;
/// How often a count is begun anew because something was claimed meanwhile.
const ATTEMPTS: usize = 16;

/// Who holds a memory region: an array of cells, each free or with its owner (a process's number) and a nonce that
/// tells one holding of it from the next. Safe to share between threads and processes.
///
/// A holder that wants another to hold the region too claims a second cell and transfers it; no moment passes in
/// which nobody holds it. A hostile member can say that nobody does: it could write the region itself as well.
pub struct Cells<M: Memory> {
    region: Region<M>,
    offset: usize,
    count: usize,
}

impl<M: Memory> Cells<M> {
    /// The `count` words of eight bytes at `offset`, a multiple of eight. Two are for bookkeeping, the others are
    /// cells. Zeroed memory is all free.
    ///
    /// # Errors
    ///
    /// [`LaneError::BadSize`]: the memory ends before them, there are less than three, or `offset` is not a multiple
    /// of eight.
    pub fn new(mem: M, offset: usize, count: usize) -> Result<Self, LaneError> {
        let words = count.max(HEADER_WORDS + 1);
        let needed = offset.saturating_add(words.saturating_mul(8));
        let region = Region::new(mem, needed)?;
        if count < words || !offset.is_multiple_of(8) || u32::try_from(count).is_err() {
            return Err(LaneError::BadSize {
                needed,
                actual: region.len(),
            });
        }
        Ok(Self {
            region,
            offset,
            count: count - HEADER_WORDS,
        })
    }

    /// Takes a free cell. None: all are taken, or the nonce is 0 or longer than 48 bits.
    pub fn claim(&self, owner: u16, nonce: u64) -> Option<u32> {
        let value = pack(owner, nonce)?;
        for cell in 0..self.count as u32 {
            let word = self.cell(cell)?;
            if word.load(Ordering::Relaxed) != 0 {
                continue;
            }
            // First: if we die in between, the cell is in the range that is looked at.
            let (used, needed) = (self.word(USED), u64::from(cell) + 1);
            if used.load(Ordering::Acquire) < needed {
                used.fetch_max(needed, Ordering::AcqRel);
            }
            if exchange(word, 0, value) {
                // Afterwards: see `count`.
                self.word(CLAIMS).fetch_add(1, Ordering::AcqRel);
                return Some(cell);
            }
        }
        None
    }

    /// Hands a cell over: owner and nonce, of the one who holds it and of the one who will. False: it was not held so,
    /// and nothing has changed.
    pub fn transfer(&self, cell: u32, from: (u16, u64), to: (u16, u64)) -> bool {
        let change = || Some((self.cell(cell)?, pack(from.0, from.1)?, pack(to.0, to.1)?));
        change().is_some_and(|(word, from, to)| exchange(word, from, to))
    }

    /// Frees a cell. False: it was not held so, and nothing has changed.
    pub fn release(&self, cell: u32, owner: u16, nonce: u64) -> bool {
        let change = || Some((self.cell(cell)?, pack(owner, nonce)?));
        change().is_some_and(|(word, from)| exchange(word, from, 0))
    }

    /// How many cells are held. If it is 0, then nobody held one at some moment during the call, and all that was
    /// done before they were released is visible.
    pub fn count(&self) -> u32 {
        // A holder may claim a cell that we have passed and release one that we have not reached. But it has counted
        // its claim before it released, so that we see that.
        let mut held = 0;
        for _ in 0..ATTEMPTS {
            let claims = self.word(CLAIMS).load(Ordering::Acquire);
            held = self.held().count() as u32;
            if held > 0 || self.word(CLAIMS).load(Ordering::Acquire) == claims {
                return held;
            }
        }
        held.max(1)
    }

    /// The cells that are held: cell, owner, nonce.
    pub fn owners(&self) -> Vec<(u32, u16, u64)> {
        self.held()
            .map(|(cell, value)| (cell, (value >> NONCE_BITS) as u16, value & NONCE_MASK))
            .collect()
    }

    fn held(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let used = self
            .word(USED)
            .load(Ordering::Acquire)
            .min(self.count as u64);
        (0..used as u32).filter_map(|cell| {
            let value = self.cell(cell)?.load(Ordering::Acquire);
            (value != 0).then_some((cell, value))
        })
    }

    fn cell(&self, cell: u32) -> Option<&AtomicU64> {
        let cell = cell as usize;
        (cell < self.count).then(|| self.word(HEADER_WORDS + cell))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        self.region.word(self.offset + index * 8)
    }
}

const NONCE_MASK: u64 = (1 << NONCE_BITS) - 1;

fn pack(owner: u16, nonce: u64) -> Option<u64> {
    (nonce != 0 && nonce <= NONCE_MASK).then_some(u64::from(owner) << NONCE_BITS | nonce)
}

/// Releases what was done with the region before, and acquires what the cell's last holder did.
fn exchange(word: &AtomicU64, from: u64, to: u64) -> bool {
    word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}
