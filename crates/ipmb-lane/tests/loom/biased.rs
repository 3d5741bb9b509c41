//! The biased lock.

use super::common::*;
use ipmb_lane::*;

/// Adds one; loom sees it if another thread does so at the same time.
fn add_one(value: &loom::cell::UnsafeCell<u32>) {
    // SAFETY: the lock under test is held.
    value.with_mut(|value| unsafe { *value += 1 });
}

fn lock_from_two_sides() {
    let lock = Arc::new(BiasedMutex::new(loom::cell::UnsafeCell::new(0)));
    let other = lock.clone();
    let owner = thread::spawn(move || {
        for _ in 0..4 {
            add_one(&other.lock());
        }
    });
    add_one(&lock.lock());
    add_one(&lock.lock());
    owner.join().unwrap();
    // SAFETY: nobody else is left.
    assert_eq!(lock.lock().with(|value| unsafe { *value }), 6);
}

#[test]
fn a_biased_lock_is_a_lock() {
    explore(3, lock_from_two_sides);
}

#[test]
#[should_panic]
fn loom_finds_two_who_have_the_lock_without_fences() {
    explore_weakened(Weak::Fences, 3, lock_from_two_sides);
}

#[test]
fn a_biased_lock_is_tried_without_waiting() {
    explore(3, || {
        let lock = Arc::new(BiasedMutex::new(loom::cell::UnsafeCell::new(0)));
        let other = lock.clone();
        let owner = thread::spawn(move || {
            for _ in 0..3 {
                add_one(&other.lock());
            }
        });
        let mut tried = 0;
        for _ in 0..2 {
            if let Some(value) = lock.try_lock() {
                add_one(&value);
                tried += 1;
            }
        }
        owner.join().unwrap();
        // SAFETY: nobody else is left.
        assert_eq!(lock.lock().with(|value| unsafe { *value }), 3 + tried);
    });
}
