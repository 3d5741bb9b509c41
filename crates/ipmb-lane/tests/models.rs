//! The log, the cells, the ready set, the epoch and the word against plain models.
#![cfg(not(loom))]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ipmb_lane::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum LogOp {
    Append(Vec<u8>),
    Replace(Vec<Vec<u8>>),
    Read,
}

fn log_ops() -> impl Strategy<Value = Vec<LogOp>> {
    let record = || vec(any::<u8>(), 0..40);
    let op = prop_oneof![
        4 => record().prop_map(LogOp::Append),
        1 => vec(record(), 0..12).prop_map(LogOp::Replace),
        2 => Just(LogOp::Read),
    ];
    vec(op, 1..200)
}

#[derive(Clone, Debug)]
enum CellOp {
    Claim(u16, u64),
    Transfer(u32, u16, u64),
    Release(u32),
}

fn cell_ops() -> impl Strategy<Value = Vec<CellOp>> {
    let nonce = || prop_oneof![0..4u64, Just((1 << 48) - 1), Just(1 << 48)];
    let op = prop_oneof![
        3 => (any::<u16>(), nonce()).prop_map(|(owner, nonce)| CellOp::Claim(owner, nonce)),
        1 => (0..12u32, any::<u16>(), nonce()).prop_map(|(cell, owner, nonce)| CellOp::Transfer(cell, owner, nonce)),
        2 => (0..12u32).prop_map(CellOp::Release),
    ];
    vec(op, 1..200)
}

proptest! {
    #[test]
    fn a_log_is_a_list(ops in log_ops()) {
        let memory = HeapMemory::new(4096 + 2 * 300);
        let mut writer = LogWriter::create(memory.clone(), 9).unwrap();
        let mut reader = LogReader::attach(memory).unwrap();
        prop_assert_eq!(reader.generation(), 9);
        let (mut written, mut read, mut new) = (Vec::<Vec<u8>>::new(), Vec::new(), Vec::new());
        let (mut changed, mut replaced) = (true, true);
        let size = |records: &[Vec<u8>]| records.iter().map(|record| record.len() + 4).sum::<usize>();
        for op in ops.into_iter().chain([LogOp::Read]) {
            match op {
                LogOp::Append(record) => {
                    let fits = size(&written) + record.len() + 4 <= writer.area_len();
                    prop_assert_eq!(writer.append(&record).is_ok(), fits);
                    if fits {
                        written.push(record);
                        changed = true;
                    }
                }
                LogOp::Replace(records) => {
                    let fits = size(&records) <= writer.area_len();
                    prop_assert_eq!(writer.replace(records.iter().map(Vec::as_slice)).is_ok(), fits);
                    if fits {
                        written = records;
                        (changed, replaced) = (true, true);
                    }
                }
                LogOp::Read => {
                    prop_assert_eq!(reader.changed(), changed);
                    let expected = match (changed, replaced) {
                        (false, _) => LogRead::Unchanged,
                        (true, false) => LogRead::Delta,
                        (true, true) => LogRead::Snapshot,
                    };
                    prop_assert_eq!(reader.read(&mut new), Ok(expected));
                    if expected == LogRead::Snapshot {
                        read.clear();
                    }
                    read.append(&mut new);
                    prop_assert_eq!(&read, &written);
                    (changed, replaced) = (false, false);
                }
            }
            prop_assert_eq!(writer.used(), size(&written));
        }
    }

    #[test]
    fn cells_are_a_map(ops in cell_ops()) {
        let cells = Cells::new(HeapMemory::new(64 + 12 * 8), 64, 12).unwrap();
        let mut held = BTreeMap::<u32, (u16, u64)>::new();
        let valid = |nonce: u64| nonce != 0 && nonce < 1 << 48;
        for op in ops {
            match op {
                CellOp::Claim(owner, nonce) => {
                    let free = (0..10).find(|cell| !held.contains_key(cell));
                    let free = free.filter(|_| valid(nonce));
                    prop_assert_eq!(cells.claim(owner, nonce), free);
                    if let Some(cell) = free {
                        held.insert(cell, (owner, nonce));
                    }
                }
                CellOp::Transfer(cell, owner, nonce) => {
                    let from = held.get(&cell).copied();
                    let works = from.is_some() && valid(nonce);
                    prop_assert!(!cells.transfer(cell, (from.unwrap_or((1, 1)).0, 5), (owner, nonce)));
                    prop_assert_eq!(cells.transfer(cell, from.unwrap_or((1, 1)), (owner, nonce)), works);
                    if works {
                        held.insert(cell, (owner, nonce));
                    }
                }
                CellOp::Release(cell) => {
                    let (owner, nonce) = held.get(&cell).copied().unwrap_or((1, 1));
                    prop_assert!(!cells.release(cell, owner, 5));
                    prop_assert_eq!(cells.release(cell, owner, nonce), held.remove(&cell).is_some());
                    prop_assert!(!cells.release(cell, owner, nonce));
                }
            }
            prop_assert_eq!(cells.count() as usize, held.len());
            let owners: Vec<_> = held.iter().map(|(&cell, &(owner, nonce))| (cell, owner, nonce)).collect();
            prop_assert_eq!(cells.owners(), owners);
        }
    }

    #[test]
    fn a_ready_set_is_a_set(ops in vec((any::<bool>(), any::<u32>()), 1..200)) {
        let memory = HeapMemory::new(READY_LEN);
        let (setting, taking) = (ReadySet::new(memory.clone()).unwrap(), ReadySet::new(memory).unwrap());
        let words = ReadySet::<HeapMemory>::words();
        let mut set = BTreeSet::new();
        for (take, slot) in ops {
            if !take {
                setting.set(slot);
                set.insert(slot % READY_SLOTS);
                continue;
            }
            let word = slot as usize % (words + 1);
            let bits = taking.take(word);
            for bit in 0..64 {
                prop_assert_eq!(bits >> bit & 1 == 1, set.remove(&(word as u32 * 64 + bit)));
            }
        }
    }
}

#[test]
fn a_sender_rings_once_per_sleep() {
    let page = HeapMemory::new(64);
    let mut sleeper = Sleeper::new(page.clone()).unwrap();
    let waker = Waker::new(page).unwrap();
    let (mut one, mut other) = (0, 0);
    assert!(!waker.should_ring(&mut one));
    let first = sleeper.arm();
    assert!(sleeper.is_armed());
    assert!(waker.should_ring(&mut one) && waker.should_ring(&mut other));
    assert!(!waker.should_ring(&mut one));
    sleeper.disarm();
    sleeper.disarm();
    assert!(!sleeper.is_armed() && !waker.should_ring(&mut one));
    assert!(sleeper.arm() > first);
    assert!(waker.should_ring(&mut one));
}

#[test]
fn a_word_is_a_number() {
    let memory = HeapMemory::new(16);
    let word = Word::new(memory.clone(), 8).unwrap();
    word.store(5);
    assert_eq!((word.raise(3), word.load()), (5, 5));
    assert_eq!((word.raise(7), word.load()), (5, 7));
    for offset in [4, 16, usize::MAX] {
        assert!(Word::new(memory.clone(), offset).is_err());
    }
}

#[test]
fn cells_need_room_and_an_even_place() {
    for (offset, count) in [(0, 2), (4, 3), (0, 5), (usize::MAX, 3), (0, usize::MAX)] {
        assert!(Cells::new(HeapMemory::new(32), offset, count).is_err());
    }
    assert!(Cells::new(HeapMemory::new(32), 0, 4).is_ok());
}

#[derive(Clone, Debug)]
enum LoanOp {
    Lend(u64),
    GiveBack,
    Take,
    Retire(u32, u64),
    Look,
}

fn loan_ops() -> impl Strategy<Value = Vec<LoanOp>> {
    let op = prop_oneof![
        4 => any::<u64>().prop_map(LoanOp::Lend),
        4 => Just(LoanOp::GiveBack),
        4 => Just(LoanOp::Take),
        1 => (0..3_u32, any::<u64>()).prop_map(|(slot, epoch)| LoanOp::Retire(slot, epoch)),
        1 => Just(LoanOp::Look),
    ];
    vec(op, 1..300)
}

proptest! {
    #[test]
    fn loans_come_back_in_order(ops in loan_ops()) {
        let memory = HeapMemory::new(LOANS_LEN);
        let mut lender = Lender::new(memory.clone()).unwrap();
        let mut borrower = Borrower::new(memory).unwrap();
        let (mut lent, mut back) = (VecDeque::new(), VecDeque::new());
        let mut slots = BTreeMap::new();
        let mut changed = false;
        for op in ops {
            match op {
                LoanOp::Lend(number) => lent.push_back(number),
                LoanOp::GiveBack => {
                    if let Some(number) = lent.pop_front() {
                        borrower.give_back(number);
                        back.push_back(number);
                    }
                }
                LoanOp::Take => prop_assert_eq!(lender.next_return(), back.pop_front()),
                LoanOp::Retire(slot, epoch) => {
                    lender.retire(slot, epoch);
                    slots.insert(slot, epoch);
                    changed = true;
                }
                LoanOp::Look => {
                    prop_assert_eq!(borrower.has_changed(), std::mem::take(&mut changed));
                    for (&slot, &epoch) in &slots {
                        prop_assert!(!borrower.is_retired(slot, epoch));
                        prop_assert_eq!(borrower.is_retired(slot, epoch.saturating_sub(1)), epoch > 0);
                    }
                }
            }
        }
    }
}

#[test]
fn as_many_loans_come_back_as_there_can_be() {
    let memory = HeapMemory::new(LOANS_LEN);
    let mut lender = Lender::new(memory.clone()).unwrap();
    let mut borrower = Borrower::new(memory).unwrap();
    for _ in 0..3 {
        (0..MOST_LOANS as u64).for_each(|number| borrower.give_back(number));
        assert!((0..MOST_LOANS as u64).eq(std::iter::from_fn(|| lender.next_return())));
    }
    // One more than there can be is a lie, and not looked at.
    (0..=MOST_LOANS as u64).for_each(|number| borrower.give_back(number));
    assert_eq!(lender.next_return(), None);
    lender.retire(LOAN_SLOTS as u32, 1);
    assert!(!borrower.has_changed() && !borrower.is_retired(LOAN_SLOTS as u32, 0));
    assert!(Lender::new(HeapMemory::new(LOANS_LEN - 1)).is_err());
    assert!(Borrower::new(HeapMemory::new(LOANS_LEN - 1)).is_err());
}
