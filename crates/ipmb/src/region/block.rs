//! The shared block behind memory regions, and who holds it.
//!
//! The block starts with a header: its id and size, and a cell for every holder in any process.
//!
//! In a *watched* block, that of a registry, a cell also names the process slot of its holder; the
//! slot is an advisory lock on the block's memory object which the kernel drops when the process
//! dies. So a holder that was killed can be told from one that lives, without process ids, which mean
//! nothing across containers. Nobody asks that of other blocks, whose holders are spared the price
//! (a descriptor and six system calls each).
//!
//! A hold on its way in a message is its sender's until the receiver takes it over, and a sender that
//! has died loses it although the message may yet be read. Then the block is *in doubt*: it is never
//! handed out again, so that whoever reads the message finds what was sent.

use super::unique;
use crate::{Object, memory::Shared};
use ipmb_core::{RegionId, RegionRef};
use ipmb_lane::{Cells, Memory, Word};
use ipmb_sys::{Access, Claim, Purpose, create_memory, follow_forks, fork_generation, map_memory};
use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, Mutex, PoisonError},
};

const MAGIC: u64 = u64::from_le_bytes(*b"ipmb-mr1");
const HEADER_LEN: usize = 16 << 10;
const CELLS_OFFSET: usize = 256;
/// Leaves room for what `Cells` keeps beside the cells themselves.
const CELL_COUNT: usize = (HEADER_LEN - CELLS_OFFSET - 256) / 8;
const PROCESS_SLOTS: u16 = 1024;
/// In the nonce of a hold on its way.
const ON_ITS_WAY: u64 = 1 << 47;

/// One process's view of a block of shared memory.
pub(crate) struct Block {
    id: RegionId,
    size: usize,
    memory: Shared,
    cells: Cells<Shared>,
    doubt: Word<Shared>,
    object: Object,
    /// If it is watched.
    claim: Option<Claim>,
    nonce: Mutex<u64>,
    fork_generation: u32,
}

impl Block {
    pub(crate) fn create(size: usize, watched: bool) -> io::Result<Arc<Self>> {
        let len = HEADER_LEN
            .checked_add(size)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let (object, mapping) = create_memory(Purpose::Shared, len, false)?;
        let memory = Shared::new(mapping);
        let id = unique::number()?.to_le_bytes();
        let [magic, low, high, length, claims, _] = words(&memory)?;
        low.store(u64::from_le_bytes(first_half(&id)));
        high.store(u64::from_le_bytes(second_half(&id)));
        length.store(size as u64);
        claims.store(watched.into());
        magic.store(MAGIC);
        let object = object.into();
        let prepared = Prepared::new(RegionId(id), size, memory, watched, &object)?;
        Ok(Self::assemble(prepared, object))
    }

    /// Opens a block that somebody else made. `expected`: the id and size that its sender named.
    ///
    /// # Errors
    ///
    /// The object comes back: it may be that it can be opened when there are free descriptors.
    pub(crate) fn open(
        object: Object,
        expected: Option<(RegionId, u64)>,
    ) -> Result<Arc<Self>, (io::Error, Object)> {
        match Self::prepare(&object, expected) {
            Ok(prepared) => Ok(Self::assemble(prepared, object)),
            Err(error) => Err((error, object)),
        }
    }

    fn prepare(object: &Object, expected: Option<(RegionId, u64)>) -> io::Result<Prepared> {
        let mapping = map_memory(object.as_fd(), Access::ReadWrite, HEADER_LEN..=usize::MAX)?;
        let memory = Shared::new(mapping);
        let [magic, low, high, length, claims, _] = words(&memory)?;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&low.load().to_le_bytes());
        id[8..].copy_from_slice(&high.load().to_le_bytes());
        let (id, size) = (RegionId(id), length.load());
        let fits = magic.load() == MAGIC && size <= (memory.len() - HEADER_LEN) as u64;
        if !fits || expected.is_some_and(|expected| expected != (id, size)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the object is no memory region of ipmb",
            ));
        }
        let watched = claims.load() != 0;
        Prepared::new(id, size as usize, memory, watched, object)
    }

    fn assemble(prepared: Prepared, object: Object) -> Arc<Self> {
        Arc::new(Self {
            id: prepared.id,
            size: prepared.size,
            memory: prepared.memory,
            cells: prepared.cells,
            doubt: prepared.doubt,
            object,
            claim: prepared.claim,
            nonce: Mutex::new(prepared.nonce),
            fork_generation: follow_forks(),
        })
    }

    pub(crate) fn id(&self) -> RegionId {
        self.id
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    pub(crate) fn data(&self) -> *mut u8 {
        // SAFETY: the mapping is at least as long as the header: both constructors saw to it.
        unsafe { self.memory.as_ptr().add(HEADER_LEN) }
    }

    pub(crate) fn holders(&self) -> u32 {
        self.cells.count()
    }

    /// Frees the cells of holders whose process has died, if the block is watched.
    pub(crate) fn bury_the_dead(&self) {
        let Some(claim) = &self.claim else { return };
        bury(&self.cells, &self.doubt, |owner| !claim.is_held(owner));
    }

    /// Whether a message may refer to it that does not hold it. Ask after [`holders`](Self::holders).
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.load() != 0
    }

    /// From now on a message may refer to it that does not hold it.
    pub(crate) fn put_in_doubt(&self) {
        self.doubt.store(1);
    }

    /// What our cells name as their owner.
    fn slot(&self) -> u16 {
        self.claim.as_ref().map_or(0, Claim::slot)
    }

    fn next_nonce(&self) -> u64 {
        let mut nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner);
        *nonce = nonce.wrapping_add(1);
        (*nonce & (ON_ITS_WAY - 1)).max(1)
    }

    fn claim_cell(&self, nonce: u64) -> io::Result<u32> {
        self.cells.claim(self.slot(), nonce).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::QuotaExceeded,
                format!("the memory region has {CELL_COUNT} holders, the most that it can have"),
            )
        })
    }

    fn release(&self, cell: u32, nonce: u64) {
        // A forked child has copies of handles that its parent counts.
        if self.fork_generation == fork_generation() {
            self.cells.release(cell, self.slot(), nonce);
        }
    }
}

/// All that a view of a block takes but its object.
struct Prepared {
    id: RegionId,
    size: usize,
    memory: Shared,
    cells: Cells<Shared>,
    doubt: Word<Shared>,
    claim: Option<Claim>,
    nonce: u64,
}

impl Prepared {
    fn new(
        id: RegionId,
        size: usize,
        memory: Shared,
        watched: bool,
        object: &Object,
    ) -> io::Result<Self> {
        let cells =
            Cells::new(memory.clone(), CELLS_OFFSET, CELL_COUNT).map_err(io::Error::other)?;
        let [.., doubt] = words(&memory)?;
        let claim = match watched {
            true => Some(claim(object, &cells, &doubt)?),
            false => None,
        };
        Ok(Self {
            id,
            size,
            memory,
            cells,
            doubt,
            claim,
            // Owners of unwatched blocks differ in nothing else.
            nonce: unique::scattered()?,
        })
    }
}

fn claim(object: &Object, cells: &Cells<Shared>, doubt: &Word<Shared>) -> io::Result<Claim> {
    let claim = Claim::take(object.as_fd(), PROCESS_SLOTS)?;
    // Cells under the slot's number are those of an earlier owner of the slot, which is dead.
    bury(cells, doubt, |owner| owner == claim.slot());
    Ok(claim)
}

/// Frees the cells of those that are dead.
fn bury(cells: &Cells<Shared>, doubt: &Word<Shared>, is_dead: impl Fn(u16) -> bool) {
    for (cell, owner, nonce) in cells.owners() {
        if is_dead(owner) {
            // Before: whoever sees that nobody holds the block sees this, too.
            if nonce & ON_ITS_WAY != 0 {
                doubt.store(1);
            }
            cells.release(cell, owner, nonce);
        }
    }
}

/// One holder: a cell of the block, freed on drop.
pub(crate) struct Hold {
    block: Arc<Block>,
    cell: u32,
    nonce: u64,
}

impl Hold {
    pub(super) fn new(block: &Arc<Block>) -> io::Result<Self> {
        let nonce = block.next_nonce();
        Ok(Self {
            cell: block.claim_cell(nonce)?,
            block: Arc::clone(block),
            nonce,
        })
    }

    /// Takes over the sender's cell. If it was freed because the sender has died meanwhile, a new one is
    /// taken.
    ///
    /// # Errors
    ///
    /// `NotFound` if the sender has taken the region back, and it may be somebody else's by now.
    pub(super) fn adopt(block: &Arc<Block>, reference: &RegionRef) -> io::Result<Self> {
        let nonce = block.next_nonce();
        let from = (reference.owner, reference.nonce);
        if block
            .cells
            .transfer(reference.cell, from, (block.slot(), nonce))
        {
            return Ok(Self {
                block: Arc::clone(block),
                cell: reference.cell,
                nonce,
            });
        }
        let hold = Self::new(block)?;
        match block.claim.is_none() || block.is_in_doubt() {
            true => Ok(hold),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn block(&self) -> &Arc<Block> {
        &self.block
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.block.release(self.cell, self.nonce);
    }
}

/// A hold that travels in a message. It belongs to whoever receives the message; only if nobody
/// ever will, it is recalled.
pub(crate) struct Flight {
    block: Arc<Block>,
    cell: u32,
    nonce: u64,
}

impl Flight {
    pub(super) fn new(block: &Arc<Block>) -> io::Result<Self> {
        let nonce = block.next_nonce() | ON_ITS_WAY;
        Ok(Self {
            cell: block.claim_cell(nonce)?,
            block: Arc::clone(block),
            nonce,
        })
    }

    pub(crate) fn reference(&self, with_object: bool) -> RegionRef {
        RegionRef {
            id: self.block.id,
            size: self.block.size as u64,
            cell: self.cell,
            owner: self.block.slot(),
            nonce: self.nonce,
            with_object,
        }
    }

    pub(crate) fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// Frees the cell: nobody has the message, or whoever has it has taken the cell over.
    pub(crate) fn recall(self) {
        self.block.release(self.cell, self.nonce);
    }

    /// As [`recall`](Self::recall), though somebody may yet read the message.
    pub(crate) fn give_up(self) {
        self.block.put_in_doubt();
        self.recall();
    }
}

fn words(memory: &Shared) -> io::Result<[Word<Shared>; 6]> {
    let word = |index: usize| Word::new(memory.clone(), index * 8).map_err(io::Error::other);
    Ok([word(0)?, word(1)?, word(2)?, word(3)?, word(4)?, word(5)?])
}

fn first_half(id: &[u8; 16]) -> [u8; 8] {
    std::array::from_fn(|i| id[i])
}

fn second_half(id: &[u8; 16]) -> [u8; 8] {
    std::array::from_fn(|i| id[8 + i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryRegion, MemoryRegistry};

    /// A registry, a region of it that is on its way, and what its receiver knows of it.
    fn on_its_way() -> (MemoryRegistry, Flight, RegionRef, Arc<Block>) {
        let mut registry = MemoryRegistry::default();
        let mut region = registry.alloc(4096, None);
        region.map(..1).expect("memory")[0] = 42;
        let flight = region.flight().expect("a cell");
        let reference = flight.reference(true);
        let expected = Some((reference.id, reference.size));
        let object = region.object().clone().expect("a descriptor");
        let theirs = Block::open(object, expected).map_err(|(error, _)| error);
        (registry, flight, reference, theirs.expect("a region"))
    }

    #[test]
    fn what_was_given_up_is_not_handed_out_again_and_can_yet_be_read() {
        let (mut registry, flight, reference, theirs) = on_its_way();
        flight.give_up();
        registry.alloc(4096, None).map(..1).expect("memory")[0] = 7;
        let mut read = MemoryRegion::adopt(&theirs, &reference);
        assert_eq!(read.map(..1).expect("memory"), [42]);
    }

    #[test]
    fn what_was_taken_back_is_handed_out_again_and_cannot_be_read() {
        let (mut registry, flight, reference, theirs) = on_its_way();
        flight.recall();
        let mut next = registry.alloc(4096, None);
        assert_eq!(next.map(..1).expect("memory"), [42], "the same one");
        assert!(MemoryRegion::adopt(&theirs, &reference).map(..).is_err());
    }

    #[test]
    fn what_is_in_doubt_is_let_go_when_nobody_holds_it() {
        let (mut registry, flight, _, theirs) = on_its_way();
        flight.give_up();
        drop(theirs);
        assert_eq!(registry.len(), 1);
        registry.maintain();
        assert_eq!(registry.len(), 0);
    }
}
