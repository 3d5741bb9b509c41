use crate::memory::{LaneError, Memory};
use crate::region::Region;
use crate::sync::Ordering;

/// Written by the borrower: how much it has given back.
const TAIL: usize = 0;
/// Written by the lender: how often it has changed the table of slots.
const CHANGES: usize = 128;
const HEADER_LEN: usize = 256;

/// So many loans one borrower can have at a time.
pub const MOST_LOANS: usize = if cfg!(loom) { 2 } else { 8192 };
/// So many slots there are.
pub const LOAN_SLOTS: usize = if cfg!(loom) { 1 } else { 1024 };
/// How much memory [`Lender`] and [`Borrower`] take.
pub const LOANS_LEN: usize = HEADER_LEN + (MOST_LOANS + LOAN_SLOTS) * 8;

/// The side that lends: it reads what has come back. Each word of the memory has one writer, so that nothing here is a
/// read-modify-write, and eight returns travel in a cache line.
///
/// What a borrower claims to give back may never have been lent to it: the caller has to keep count.
pub struct Lender<M: Memory> {
    region: Region<M>,
    head: u64,
    /// What TAIL was when it was read last.
    tail: u64,
    changes: u64,
}

/// The side that borrows: it writes what it gives back. One thread at a time.
pub struct Borrower<M: Memory> {
    region: Region<M>,
    tail: u64,
    changes: u64,
}

impl<M: Memory> Lender<M> {
    /// Takes zeroed memory of [`LOANS_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`LaneError::BadSize`]: there is less.
    pub fn new(memory: M) -> Result<Self, LaneError> {
        Ok(Self {
            region: Region::new(memory, LOANS_LEN)?,
            head: 0,
            tail: 0,
            changes: 0,
        })
    }

    /// The next loan that has come back, by its number. All that the borrower did with it is done.
    #[inline]
    pub fn next_return(&mut self) -> Option<u64> {
        if self.head == self.tail {
            let tail = self.region.word(TAIL).load(Ordering::Acquire);
            // More than have ever been out: a lie.
            if tail.wrapping_sub(self.head) > MOST_LOANS as u64 {
                return None;
            }
            self.tail = tail;
            if self.head == tail {
                return None;
            }
        }
        let number = self.region.word(entry(self.head)).load(Ordering::Relaxed);
        self.head = self.head.wrapping_add(1);
        Some(number)
    }

    /// Says that a slot has nothing of an epoch below this one any more.
    pub fn retire(&mut self, slot: u32, epoch: u64) {
        if slot as usize >= LOAN_SLOTS {
            return;
        }
        self.region
            .word(table(slot))
            .store(epoch, Ordering::Relaxed);
        self.changes += 1;
        self.region
            .word(CHANGES)
            .store(self.changes, Ordering::Release);
    }
}

impl<M: Memory> Borrower<M> {
    /// Takes memory of which somebody else has made a [`Lender`].
    ///
    /// # Errors
    ///
    /// [`LaneError::BadSize`]: it has less than [`LOANS_LEN`] bytes.
    pub fn new(memory: M) -> Result<Self, LaneError> {
        Ok(Self {
            region: Region::new(memory, LOANS_LEN)?,
            tail: 0,
            changes: 0,
        })
    }

    /// Gives a loan back. There must have been one: an honest borrower has no more than [`MOST_LOANS`].
    #[inline]
    pub fn give_back(&mut self, number: u64) {
        self.region
            .word(entry(self.tail))
            .store(number, Ordering::Relaxed);
        self.tail = self.tail.wrapping_add(1);
        self.region.word(TAIL).store(self.tail, Ordering::Release);
    }

    /// Whether the lender has retired slots since this was asked last.
    pub fn has_changed(&mut self) -> bool {
        let changes = self.region.word(CHANGES).load(Ordering::Acquire);
        std::mem::replace(&mut self.changes, changes) != changes
    }

    /// Whether what a slot had in this epoch is not used any more.
    pub fn is_retired(&self, slot: u32, epoch: u64) -> bool {
        (slot as usize) < LOAN_SLOTS
            && self.region.word(table(slot)).load(Ordering::Relaxed) > epoch
    }
}

fn entry(position: u64) -> usize {
    HEADER_LEN + (position % MOST_LOANS as u64) as usize * 8
}

fn table(slot: u32) -> usize {
    HEADER_LEN + (MOST_LOANS + slot as usize) * 8
}
