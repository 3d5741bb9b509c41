//! Who holds a memory region.

use super::common::*;
use ipmb_lane::*;

#[test]
fn a_cell_is_transferred_or_released_but_not_both() {
    explore(3, || {
        let memory = HeapMemory::new(3 * 8);
        let cells = Cells::new(memory.clone(), 0, 3).unwrap();
        let cell = cells.claim(1, 11).unwrap();
        let other = thread::spawn(move || {
            let cells = Cells::new(memory, 0, 3).unwrap();
            cells.transfer(cell, (1, 11), (2, 22))
        });
        let released = cells.release(cell, 1, 11);
        let transferred = other.join().unwrap();
        assert!(released != transferred);
        let left = if transferred {
            vec![(cell, 2, 22)]
        } else {
            vec![]
        };
        assert_eq!(cells.owners(), left);
    });
}

#[test]
fn a_region_that_is_always_held_never_counts_as_free() {
    explore(3, || {
        let memory = HeapMemory::new(5 * 8);
        let cells = Cells::new(memory.clone(), 0, 5).unwrap();
        assert_eq!((cells.claim(1, 1), cells.claim(1, 2)), (Some(0), Some(1)));
        assert!(cells.release(0, 1, 1));
        let holder = thread::spawn(move || {
            let cells = Cells::new(memory, 0, 5).unwrap();
            let cell = cells.claim(1, 3).unwrap();
            assert!(cells.release(1, 1, 2));
            cell
        });
        assert!(cells.count() > 0);
        assert_eq!((holder.join().unwrap(), cells.count()), (0, 1));
    });
}

/// What is done with a region before it is released is visible to who finds it free.
fn write_into_what_is_free() {
    let memory = HeapMemory::new(3 * 8);
    let cells = Cells::new(memory.clone(), 0, 3).unwrap();
    let cell = cells.claim(1, 1).unwrap();
    let region = Arc::new(loom::cell::UnsafeCell::new(0));
    let theirs = Arc::clone(&region);
    let holder = thread::spawn(move || {
        let cells = Cells::new(memory, 0, 3).unwrap();
        // SAFETY: loom checks that nobody else does anything with it meanwhile.
        theirs.with_mut(|value| unsafe { *value = 1 });
        assert!(cells.release(cell, 1, 1));
    });
    if cells.count() == 0 {
        // SAFETY: as above.
        region.with_mut(|value| unsafe { *value = 2 });
    }
    holder.join().unwrap();
}

#[test]
fn what_is_free_is_used_by_nobody() {
    explore(3, write_into_what_is_free);
}

#[test]
#[should_panic]
fn loom_finds_a_region_that_is_released_too_early() {
    explore_weakened(Weak::Exchanges, 3, write_into_what_is_free);
}

#[test]
fn who_dies_while_it_hands_a_region_over_leaves_one_holder() {
    explore(3, || {
        let memory = HeapMemory::new(4 * 8);
        let cells = Cells::new(memory.clone(), 0, 4).unwrap();
        assert_eq!(cells.claim(1, 1), Some(0));
        let giver = thread::spawn(move || {
            let cells = Cells::new(memory, 0, 4).unwrap();
            let cell = cells.claim(1, 2).unwrap();
            assert!(cells.transfer(cell, (1, 2), (2, 3)));
        });
        for _ in 0..2 {
            let others = cells.owners().into_iter().filter(|owner| owner.0 != 0);
            let others: Vec<_> = others.map(|(_, owner, nonce)| (owner, nonce)).collect();
            assert!(matches!(others[..], [] | [(1, 2)] | [(2, 3)]), "{others:?}");
        }
        giver.join().unwrap();
        assert_eq!(cells.owners(), [(0, 1, 1), (1, 2, 3)]);
    });
}
