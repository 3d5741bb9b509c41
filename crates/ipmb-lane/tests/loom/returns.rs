//! Loans that come back.

use super::common::*;
use ipmb_lane::*;

fn lend_and_take_back() {
    let memory = HeapMemory::new(LOANS_LEN);
    let mut lender = Lender::new(memory.clone()).unwrap();
    // What is lent: its reader does not use it any more when it has come back.
    let lent = Arc::new(loom::cell::UnsafeCell::new(1));
    let theirs = Arc::clone(&lent);
    let reader = thread::spawn(move || {
        let mut borrower = Borrower::new(memory).unwrap();
        // SAFETY: loom checks that nobody writes meanwhile.
        assert_eq!(theirs.with(|value| unsafe { *value }), 1);
        borrower.give_back(7);
    });
    if let Some(number) = lender.next_return() {
        assert_eq!(number, 7);
        // SAFETY: loom checks that nobody reads meanwhile.
        lent.with_mut(|value| unsafe { *value = 2 });
    }
    reader.join().unwrap();
}

#[test]
fn what_comes_back_is_done_with() {
    explore(3, lend_and_take_back);
}

#[test]
#[should_panic]
fn loom_finds_what_comes_back_too_early() {
    explore_weakened(Weak::Stores, 3, lend_and_take_back);
}

#[test]
fn a_borrower_that_dies_has_given_back_whole_numbers_in_order() {
    explore(3, || {
        let memory = HeapMemory::new(LOANS_LEN);
        let mut lender = Lender::new(memory.clone()).unwrap();
        let reader = thread::spawn(move || {
            let mut borrower = Borrower::new(memory).unwrap();
            borrower.give_back(7);
            borrower.give_back(8);
        });
        let back: Vec<u64> = (0..3).filter_map(|_| lender.next_return()).collect();
        assert_eq!(back, [7, 8][..back.len()]);
        reader.join().unwrap();
    });
}
