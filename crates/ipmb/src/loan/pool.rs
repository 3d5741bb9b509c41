//! The memory that one endpoint lends.
//!
//! A *segment* is one shared-memory object; receivers map it once. It is cut into *chunks* of one
//! size, which are what is lent. A chunk is free when nobody in this process uses it and nobody it
//! was sent to has it.

use super::account::Account;
use crate::memory::Shared;
use ipmb_core::LoanRef;
use ipmb_lane::{BiasedMutex, LOAN_SLOTS, Memory};
use ipmb_sys::{OwnedObject, Purpose, create_memory, fork_generation};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// The smallest chunk is a page.
const SMALLEST: usize = 4 << 10;
/// From here on a chunk has a segment of its own.
const SEGMENT: usize = 256 << 10;
/// Further segments of the same chunks grow up to this.
const LARGEST_SEGMENT: usize = 16 << 20;
/// Memory that nobody has used for so many ticks is given back.
const KEEP: u64 = 5;
const TICK: Duration = Duration::from_secs(1);
/// After so many returns it is worth a look at the clock.
const LOOK_EVERY: u32 = 256;

/// The memory that one endpoint lends.
pub(crate) struct Pool {
    state: BiasedMutex<State>,
    fork_generation: u32,
}

/// One shared-memory object that receivers map.
pub(crate) struct Segment {
    pub(crate) slot: u32,
    pub(crate) epoch: u32,
    pub(crate) object: OwnedObject,
    memory: Shared,
}

/// The right to a chunk that is in use in this process. There is one for each chunk; it is kept
/// with the chunk while it is not in use.
pub(super) struct Lent {
    pool: Arc<Pool>,
    segment: Arc<Segment>,
    chunk: u32,
    offset: usize,
}

/// Which receiver, in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountId(usize);

/// What an endpoint has lent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoanStatistics {
    /// Buffers that somebody uses, here or where they were sent.
    pub lent: usize,
    /// Bytes of shared memory that the endpoint keeps for loans, lent or not.
    pub memory: usize,
}

#[derive(Default)]
struct State {
    chunks: Vec<Chunk>,
    segments: Vec<Slot>,
    /// Free chunks by size, the one that was used last on top: it is still in the cache.
    free: Vec<Vec<u32>>,
    /// Numbers of chunks whose segments were given back.
    vacant: Vec<u32>,
    accounts: Vec<Option<Account>>,
    returns: u32,
    tick: u64,
    ticked: Option<Instant>,
}

#[derive(Default)]
struct Slot {
    epoch: u32,
    segment: Option<Arc<Segment>>,
    class: usize,
    chunks: Vec<u32>,
    used: u64,
}

#[derive(Default)]
struct Chunk {
    slot: u32,
    offset: usize,
    /// Somebody in this process uses it.
    local: bool,
    /// So often it is at receivers.
    remote: u32,
    /// While nobody in this process uses it.
    token: Option<Arc<Lent>>,
}

impl Pool {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: BiasedMutex::default(),
            fork_generation: fork_generation(),
        })
    }

    /// A chunk of at least `len` bytes that nobody uses.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> io::Result<Arc<Lent>> {
        let size = len
            .max(SMALLEST)
            .checked_next_power_of_two()
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let class = (size / SMALLEST).trailing_zeros() as usize;
        let mut state = self.state.lock();
        if let Some(chunk) = state.pop(class) {
            return state.hand_out(self, chunk);
        }
        state.drain();
        if let Some(chunk) = state.pop(class) {
            return state.hand_out(self, chunk);
        }
        state.bury_the_dead();
        if state.free.get(class).is_none_or(Vec::is_empty) {
            state.grow(class, size)?;
        }
        let chunk = state.pop(class).ok_or(io::ErrorKind::OutOfMemory)?;
        state.hand_out(self, chunk)
    }

    /// Opens the account of a receiver. Returns what it needs to give back, too.
    pub(crate) fn open_account(&self) -> io::Result<(AccountId, OwnedObject)> {
        let (account, lease) = Account::open()?;
        let mut state = self.state.lock();
        let vacant = state.accounts.iter().position(Option::is_none);
        let index = vacant.unwrap_or(state.accounts.len());
        match vacant {
            Some(index) => state.accounts[index] = Some(account),
            None => state.accounts.push(Some(account)),
        }
        Ok((AccountId(index), lease))
    }

    /// The receiver gets no more: what it has not given back is its own until it dies.
    pub(crate) fn close_account(&self, AccountId(index): AccountId) {
        if let Some(Some(account)) = self.state.lock().accounts.get_mut(index) {
            account.closed = true;
        }
    }

    /// Notes that a receiver is going to have these. `false`: it has as many as it can have.
    #[inline]
    pub(crate) fn give(&self, id: AccountId, loans: &[LoanRef]) -> bool {
        let mut state = self.state.lock();
        if !state.has_room(id, loans.len()) {
            state.drain();
            if !state.has_room(id, loans.len()) {
                return false;
            }
        }
        for loan in loans {
            state.went_out(id, loan.loan);
        }
        true
    }

    /// A receiver is never going to have this after all.
    pub(crate) fn recall(&self, AccountId(index): AccountId, loan: u32) {
        let mut state = self.state.lock();
        let account = state.accounts.get_mut(index).and_then(Option::as_mut);
        if account.is_some_and(|account| account.take_back(loan)) {
            state.came_back(loan);
        }
    }

    /// The segment of a slot, as it is now.
    pub(crate) fn segment(&self, slot: u32) -> Option<Arc<Segment>> {
        let state = self.state.lock();
        state.segments.get(slot as usize)?.segment.clone()
    }

    pub(crate) fn statistics(&self) -> LoanStatistics {
        let mut state = self.state.lock();
        state.drain();
        state.bury_the_dead();
        let segments = state.segments.iter().filter_map(|it| it.segment.as_ref());
        LoanStatistics {
            memory: segments.map(|segment| segment.memory.len()).sum(),
            lent: state.chunks.iter().filter(|it| it.is_used()).count(),
        }
    }

    /// How many loans a receiver has.
    pub(crate) fn given(&self, AccountId(index): AccountId) -> usize {
        let mut state = self.state.lock();
        state.drain();
        let account = state.accounts.get(index).and_then(Option::as_ref);
        account.map_or(0, Account::count)
    }

    /// The endpoint is gone: what is still lent goes when nobody uses it any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        let taken = std::mem::take(&mut *state);
        drop(state);
        drop(taken);
    }

    /// Nobody in this process uses a chunk any more.
    fn put_back(&self, token: Arc<Lent>) {
        let mut state = self.state.lock();
        let number = token.chunk;
        if let Some(chunk) = state.chunks.get_mut(number as usize) {
            chunk.token = Some(token);
            chunk.local = false;
            state.free_if_unused(number);
        }
    }
}

impl Segment {
    /// Where a chunk of it begins.
    fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset < self.memory.len());
        // SAFETY: chunks lie within their segment.
        unsafe { self.memory.as_ptr().add(offset) }
    }
}

impl Lent {
    /// Gives up one share of the right; with the last one, the chunk.
    #[inline]
    pub(super) fn release(token: Arc<Self>) {
        // A forked child has copies of what its parent counts.
        if token.pool.fork_generation != fork_generation() {
            return;
        }
        // There are no weak ones; `get_mut` would find that out with an atomic that waits for what was just sent.
        if Arc::strong_count(&token) == 1 {
            let pool = Arc::clone(&token.pool);
            pool.put_back(token);
        } else if let Some(last) = Arc::into_inner(token) {
            // Two let go at the same time.
            let pool = Arc::clone(&last.pool);
            pool.put_back(Arc::new(last));
        }
    }

    /// The first byte.
    pub(super) fn data(&self) -> *mut u8 {
        self.segment.at(self.offset)
    }

    /// Which pool it belongs to.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// How a message refers to bytes of it.
    pub(super) fn reference(&self, position: u32, start: *const u8, len: usize) -> LoanRef {
        let offset = start.addr() - self.segment.memory.as_ptr().addr();
        LoanRef {
            position,
            loan: self.chunk,
            slot: self.segment.slot,
            epoch: self.segment.epoch,
            offset: offset as u64,
            len: len as u64,
        }
    }
}

impl Chunk {
    fn is_used(&self) -> bool {
        self.local || self.remote > 0
    }
}

impl State {
    fn pop(&mut self, class: usize) -> Option<u32> {
        self.free.get_mut(class)?.pop()
    }

    fn hand_out(&mut self, pool: &Arc<Pool>, number: u32) -> io::Result<Arc<Lent>> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let chunk = self.chunks.get_mut(number as usize).ok_or_else(gone)?;
        let slot = self.segments.get_mut(chunk.slot as usize);
        let slot = slot.ok_or_else(gone)?;
        slot.used = self.tick;
        chunk.local = true;
        if let Some(token) = chunk.token.take() {
            return Ok(token);
        }
        Ok(Arc::new(Lent {
            pool: Arc::clone(pool),
            segment: slot.segment.clone().ok_or_else(gone)?,
            chunk: number,
            offset: chunk.offset,
        }))
    }

    /// Takes what receivers have given back.
    fn drain(&mut self) {
        for index in 0..self.accounts.len() {
            while let Some(loan) = self.accounts[index].as_mut().and_then(Account::next_return) {
                self.came_back(loan);
            }
        }
        if self.returns >= LOOK_EVERY {
            self.returns = 0;
            let now = Instant::now();
            if self.ticked.is_none_or(|at| now.duration_since(at) >= TICK) {
                self.ticked = Some(now);
                self.tick += 1;
                self.trim();
            }
        }
    }

    fn has_room(&self, AccountId(index): AccountId, count: usize) -> bool {
        let account = self.accounts.get(index).and_then(Option::as_ref);
        account.is_some_and(|account| account.has_room_for(count))
    }

    fn went_out(&mut self, AccountId(index): AccountId, number: u32) {
        if let Some(Some(account)) = self.accounts.get_mut(index)
            && let Some(chunk) = self.chunks.get_mut(number as usize)
        {
            account.give(number);
            chunk.remote += 1;
        }
    }

    fn came_back(&mut self, number: u32) {
        self.returns = self.returns.saturating_add(1);
        if let Some(chunk) = self.chunks.get_mut(number as usize) {
            chunk.remote = chunk.remote.saturating_sub(1);
            self.free_if_unused(number);
        }
    }

    fn free_if_unused(&mut self, number: u32) {
        let Some(chunk) = self.chunks.get(number as usize) else {
            return;
        };
        if !chunk.is_used()
            && let Some(slot) = self.segments.get(chunk.slot as usize)
            && let Some(free) = self.free.get_mut(slot.class)
        {
            free.push(number);
        }
    }

    /// Takes back what those had who have died.
    fn bury_the_dead(&mut self) {
        for index in 0..self.accounts.len() {
            if let Some(account) = &mut self.accounts[index]
                && account.is_over()
            {
                let left = account.all();
                self.accounts[index] = None;
                left.for_each(|loan| self.came_back(loan));
            }
        }
    }

    /// Adds a segment with free chunks of a class.
    fn grow(&mut self, class: usize, size: usize) -> io::Result<()> {
        let vacant = (self.segments.iter()).position(|slot| slot.segment.is_none());
        let index = vacant.unwrap_or(self.segments.len());
        if index >= LOAN_SLOTS {
            let why = "an endpoint cannot lend that many buffers of this size at a time";
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, why));
        }
        let same = self.segments.iter().filter(|it| it.class == class);
        let there: usize = same.map(|it| it.chunks.len() * size).sum();
        let len = size.max(there.clamp(SEGMENT, LARGEST_SEGMENT));
        // Read-only for all but us: what is lent cannot be written where it is received.
        let (object, mapping) = create_memory(Purpose::Published, len, false)?;
        if vacant.is_none() {
            self.segments.push(Slot::default());
        }
        let slot = &mut self.segments[index];
        slot.epoch += 1;
        slot.class = class;
        slot.used = self.tick;
        slot.segment = Some(Arc::new(Segment {
            slot: index as u32,
            epoch: slot.epoch,
            object,
            memory: Shared::new(mapping),
        }));
        if self.free.len() <= class {
            self.free.resize_with(class + 1, Vec::new);
        }
        for offset in (0..=len - size).step_by(size) {
            let chunk = Chunk {
                slot: index as u32,
                offset,
                ..Chunk::default()
            };
            let number = match self.vacant.pop() {
                Some(number) => {
                    self.chunks[number as usize] = chunk;
                    number
                }
                None => {
                    self.chunks.push(chunk);
                    self.chunks.len() as u32 - 1
                }
            };
            self.segments[index].chunks.push(number);
            self.free[class].push(number);
        }
        Ok(())
    }

    /// Gives memory back that has not been used for a while.
    fn trim(&mut self) {
        for index in 0..self.segments.len() {
            let slot = &self.segments[index];
            let is_used = |number: &u32| self.chunks[*number as usize].is_used();
            if slot.segment.is_none()
                || slot.used + KEEP > self.tick
                || slot.chunks.iter().any(is_used)
            {
                continue;
            }
            let slot = &mut self.segments[index];
            let numbers = std::mem::take(&mut slot.chunks);
            slot.segment = None;
            let epoch = slot.epoch + 1;
            self.free[slot.class].retain(|number| !numbers.contains(number));
            for &number in &numbers {
                self.chunks[number as usize].token = None;
            }
            self.vacant.extend(numbers);
            for account in self.accounts.iter_mut().flatten() {
                account.retire(index as u32, epoch);
            }
        }
    }
}
