//! The smaller structures in shared memory: cells, returns, the ready set, who sleeps, words.

use std::collections::{BTreeMap, VecDeque};

use arbitrary::{Arbitrary, Unstructured};
use ipmb_lane::{
    Borrower, Cells, HeapMemory, LOAN_SLOTS, LOANS_LEN, Lender, MOST_LOANS, READY_LEN, READY_SLOTS,
    ReadySet, Sleeper, Waker, Word,
};

use crate::meter;

#[derive(Debug, Arbitrary)]
enum Which {
    Cells,
    Returns,
    Ready,
    Sleep,
}

/// Each structure does what it says as long as all keep to the layout. If not, nobody reads or writes beyond the memory,
/// takes memory, or goes on for ever.
pub fn shared(data: &[u8]) {
    let mut data = Unstructured::new(data);
    // What is left when the bytes are at their end has been done.
    let _ = match Which::arbitrary(&mut data) {
        Ok(Which::Cells) => cells(&mut data),
        Ok(Which::Returns) => returns(&mut data),
        Ok(Which::Ready) => ready(&mut data),
        Ok(Which::Sleep) => sleep(&mut data),
        Err(_) => Ok(()),
    };
}

fn poke(memory: &HeapMemory, at: usize, value: u64) {
    let word = Word::new(memory.clone(), at).expect("it is in there");
    word.store(value);
}

/// Ten cells behind two words.
const CELLS: usize = 10;
const WORDS: usize = CELLS + 2;
const NONCE: u64 = (1 << 48) - 1;

#[derive(Debug, Arbitrary)]
enum CellOp {
    Claim(u16, u64),
    Transfer(u8, (u16, u64), (u16, u64)),
    Release(u8, u16, u64),
    ReleaseHeld(u8),
    Poke(u8, u64),
}

fn cells(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let memory = HeapMemory::new(WORDS * 8);
    let cells = Cells::new(memory.clone(), 0, WORDS).expect("there is room");
    let mut model: Option<BTreeMap<u32, (u16, u64)>> = Some(BTreeMap::new());
    while !data.is_empty() {
        match CellOp::arbitrary(data)? {
            CellOp::Claim(owner, nonce) => {
                let claimed = cells.claim(owner, nonce);
                assert!(claimed.is_none_or(|cell| (cell as usize) < CELLS));
                let sound = (1..=NONCE).contains(&nonce);
                assert!(sound || claimed.is_none());
                if let Some(model) = &mut model {
                    assert_eq!(claimed.is_some(), sound && model.len() < CELLS);
                    if let Some(cell) = claimed {
                        assert_eq!(model.insert(cell, (owner, nonce)), None);
                    }
                }
            }
            CellOp::Transfer(cell, from, to) => {
                let done = cells.transfer(cell.into(), from, to);
                if let Some(model) = &mut model {
                    let held = model.get_mut(&cell.into()).filter(|it| **it == from);
                    let expected = held.is_some() && (1..=NONCE).contains(&to.1);
                    assert_eq!(done, expected);
                    if let Some(held) = held.filter(|_| expected) {
                        *held = to;
                    }
                }
            }
            CellOp::Release(cell, owner, nonce) => {
                let done = cells.release(cell.into(), owner, nonce);
                if let Some(model) = &mut model {
                    let expected = model.get(&cell.into()) == Some(&(owner, nonce));
                    assert_eq!(done, expected);
                    if expected {
                        model.remove(&cell.into());
                    }
                }
            }
            CellOp::ReleaseHeld(which) => {
                if let Some(&(cell, owner, nonce)) = cells.owners().get(usize::from(which) % CELLS)
                {
                    // A nonce of 0 is nobody's.
                    assert_eq!(cells.release(cell, owner, nonce), nonce != 0);
                    if let Some(model) = &mut model {
                        model.remove(&cell);
                    }
                }
            }
            CellOp::Poke(word, value) => {
                poke(&memory, usize::from(word) % WORDS * 8, value);
                model = None;
            }
        }
        let (owners, count) = (cells.owners(), cells.count() as usize);
        assert!(owners.len() <= CELLS && count <= CELLS);
        if let Some(model) = &model {
            let expected: Vec<_> = (model.iter())
                .map(|(&cell, &(owner, nonce))| (cell, owner, nonce))
                .collect();
            assert_eq!(owners, expected);
            assert_eq!(count, expected.len());
        }
    }
    Ok(())
}

#[derive(Debug, Arbitrary)]
enum LoanOp {
    GiveBack(u64),
    Next,
    Retire(u16, u64),
    IsRetired(u16, u64),
    HasChanged,
    /// How much has come back, and how often slots were retired.
    PokeTail(u64),
    PokeAhead(u16),
    PokeChanges(u64),
    PokeEntry(u16, u64),
}

fn returns(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let memory = HeapMemory::new(LOANS_LEN);
    let mut lender = Lender::new(memory.clone()).expect("there is room");
    let mut borrower = Borrower::new(memory.clone()).expect("there is room");
    let mut out = VecDeque::new();
    let mut retired = BTreeMap::new();
    let (mut honest, mut changed) = (true, false);
    while !data.is_empty() {
        match LoanOp::arbitrary(data)? {
            LoanOp::GiveBack(number) => {
                if out.len() < MOST_LOANS {
                    out.push_back(number);
                    borrower.give_back(number);
                }
            }
            LoanOp::Next => {
                let next = lender.next_return();
                let expected = out.pop_front();
                assert!(!honest || next == expected, "{next:?}, not {expected:?}");
            }
            LoanOp::Retire(slot, epoch) => {
                lender.retire(slot.into(), epoch);
                if usize::from(slot) < LOAN_SLOTS {
                    retired.insert(slot, epoch);
                    changed = true;
                }
            }
            LoanOp::IsRetired(slot, epoch) => {
                let is = borrower.is_retired(slot.into(), epoch);
                let expected = retired.get(&slot).is_some_and(|it| *it > epoch);
                assert!(!honest || is == expected);
            }
            LoanOp::HasChanged => {
                let has = borrower.has_changed();
                assert!(!honest || has == changed);
                changed = false;
            }
            LoanOp::PokeTail(value) => (honest, _) = (false, poke(&memory, 0, value)),
            LoanOp::PokeAhead(by) => {
                let tail = Word::new(memory.clone(), 0).expect("it is in there");
                tail.store(tail.load().wrapping_add(by.into()));
                honest = false;
            }
            LoanOp::PokeChanges(value) => (honest, _) = (false, poke(&memory, 128, value)),
            LoanOp::PokeEntry(word, value) => {
                let at = 256 + usize::from(word) * 8 % (LOANS_LEN - 256);
                (honest, _) = (false, poke(&memory, at, value));
            }
        }
    }
    // Nobody moves on, so there is an end.
    let mut left = 0;
    while let Some(number) = lender.next_return() {
        left += 1;
        // What it knew of, and as much as a lie can add.
        assert!(left <= 2 * MOST_LOANS, "this goes on for ever");
        assert!(!honest || out.pop_front() == Some(number));
    }
    assert!(!honest || out.is_empty());
    Ok(())
}

#[derive(Debug, Arbitrary)]
enum ReadyOp {
    Set(u32),
    PutBack(u32),
    Take(u8),
    Poke(u8, u64),
}

fn ready(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let memory = HeapMemory::new(READY_LEN);
    let set = ReadySet::new(memory.clone()).expect("there is room");
    let mut model = vec![0_u64; ReadySet::<HeapMemory>::words()];
    while !data.is_empty() {
        match ReadyOp::arbitrary(data)? {
            ReadyOp::Set(slot) => {
                set.set(slot);
                let slot = slot % READY_SLOTS;
                model[slot as usize / 64] |= 1 << (slot % 64);
            }
            ReadyOp::PutBack(slot) => {
                set.put_back(slot);
                let slot = slot % READY_SLOTS;
                model[slot as usize / 64] |= 1 << (slot % 64);
            }
            ReadyOp::Take(word) => {
                let word = usize::from(word);
                let expected = model.get_mut(word).map_or(0, std::mem::take);
                assert_eq!(set.take(word), expected);
            }
            // Whatever a peer writes, it is bits.
            ReadyOp::Poke(word, value) => {
                let word = usize::from(word) % model.len();
                poke(&memory, word * 8, value);
                model[word] = value;
            }
        }
        for (word, bits) in model.iter().enumerate() {
            assert_eq!(set.peek(word), *bits);
        }
    }
    Ok(())
}

#[derive(Debug, Arbitrary)]
enum SleepOp {
    Arm,
    Disarm,
    Ask,
    Poke(u64),
    Raise(u64),
}

fn sleep(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let memory = HeapMemory::new(128);
    let mut sleeper = Sleeper::new(memory.clone()).expect("there is room");
    let waker = Waker::new(memory.clone()).expect("there is room");
    let beacon = Word::new(memory.clone(), 64).expect("there is room");
    let (mut last_rung, mut asleep, mut rung, mut honest, mut highest) = (0, false, false, true, 0);
    while !data.is_empty() {
        let (next, peak) = meter::peak(|| SleepOp::arbitrary(data));
        assert_eq!(peak, 0);
        match next? {
            SleepOp::Arm => {
                assert!(sleeper.arm() % 2 == 1 && sleeper.is_armed());
                // Armed twice is a new sleep.
                rung = false;
                asleep = true;
            }
            SleepOp::Disarm => {
                sleeper.disarm();
                assert!(!sleeper.is_armed());
                asleep = false;
            }
            SleepOp::Ask => {
                waker.fence();
                let ring = waker.should_ring(&mut last_rung);
                assert!(!honest || ring == (asleep && !rung));
                assert!(
                    !waker.should_ring(&mut last_rung),
                    "it rings twice for one sleep"
                );
                rung |= ring;
            }
            SleepOp::Poke(value) => {
                poke(&memory, 0, value);
                honest = false;
            }
            SleepOp::Raise(to) => {
                assert_eq!(beacon.raise(to), highest);
                highest = highest.max(to);
                assert_eq!(beacon.load(), highest);
            }
        }
    }
    Ok(())
}
