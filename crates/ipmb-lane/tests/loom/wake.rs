//! Sleeping and waking, and the ready set.

use super::common::*;
use ipmb_lane::*;
use loom::sync::atomic::{AtomicUsize, Ordering};

/// Senders, each with a lane, and a receiver that sleeps whenever it finds nothing. `fence`: whether senders obey.
fn sleep_and_wake(senders: u32, messages: u64, fence: bool) {
    let (set, page) = (HeapMemory::new(READY_LEN), HeapMemory::new(64));
    let ready = ReadySet::new(set.clone()).unwrap();
    let mut sleeper = Sleeper::new(page.clone()).unwrap();
    let doorbell = Doorbell::new();
    let mut threads = Vec::new();
    let mut lanes = Vec::new();
    for slot in 0..senders {
        let (mut producer, consumer) = lane(false);
        let ready = ReadySet::new(set.clone()).unwrap();
        let waker = Waker::new(page.clone()).unwrap();
        let doorbell = doorbell.clone();
        lanes.push(consumer);
        threads.push(thread::spawn(move || {
            let mut last_rung = 0;
            for number in 0..messages {
                push(&mut producer, number).unwrap();
                if fence {
                    waker.fence();
                }
                ready.set(slot);
                if waker.should_ring(&mut last_rung) {
                    doorbell.ring();
                }
            }
        }));
    }
    let mut left = u64::from(senders) * messages;
    while left > 0 {
        let mut bits = ready.take(0);
        if bits == 0 {
            sleeper.arm();
            // Not the set: its bits are set behind the sender's fence, and may be cleared by anybody.
            for (slot, lane) in lanes.iter().enumerate() {
                bits |= u64::from(lane.has_news()) << slot;
            }
            if bits == 0 {
                doorbell.sleep();
            }
            sleeper.disarm();
        }
        for (slot, lane) in lanes.iter_mut().enumerate() {
            while bits & 1 << slot != 0 && pop(lane).is_some() {
                left -= 1;
            }
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn no_wake_up_is_lost_with_one_sender() {
    explore(3, || sleep_and_wake(1, 2, true));
}

#[test]
fn no_wake_up_is_lost_with_two_senders() {
    explore(2, || sleep_and_wake(2, 1, true));
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_wake_up_that_is_lost_without_the_fence() {
    explore(3, || sleep_and_wake(1, 2, false));
}

/// A place where threads may switch. Loom looks at the last access to a word only, and so takes a load that is followed
/// by the same thread's write for one that no other thread's load could have come between.
fn may_switch(tick: &AtomicUsize) {
    tick.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn the_ready_set_loses_nothing_while_the_receiver_is_busy() {
    explore(3, || {
        let set = HeapMemory::new(READY_LEN);
        let ready = ReadySet::new(set.clone()).unwrap();
        let (mut producer, mut consumer) = lane(false);
        let tick = Arc::new(AtomicUsize::new(0));
        let ticking = tick.clone();
        let sender = thread::spawn(move || {
            let ready = ReadySet::new(set).unwrap();
            let waker = Waker::new(HeapMemory::new(64)).unwrap();
            for number in 0..2 {
                push(&mut producer, number).unwrap();
                waker.fence();
                may_switch(&ticking);
                ready.set(70);
                may_switch(&ticking);
            }
        });
        for _ in 0..2 {
            may_switch(&tick);
            let bits = ready.take(1);
            may_switch(&tick);
            while bits == 1 << 6 && pop(&mut consumer).is_some() {}
        }
        sender.join().unwrap();
        assert!(!consumer.has_news() || ready.take(1) == 1 << 6);
    });
}

/// A sender that dies behind its message, without ringing, and one that lives.
#[test]
fn a_sender_that_dies_before_it_rings_does_not_keep_others_from_waking() {
    explore(3, || {
        let (set, page) = (HeapMemory::new(READY_LEN), HeapMemory::new(64));
        let mut sleeper = Sleeper::new(page.clone()).unwrap();
        let doorbell = Doorbell::new();
        let (mut dying, mut first) = lane(false);
        let (mut living, mut second) = lane(false);
        let (their_set, their_page) = (set.clone(), page.clone());
        let dead = thread::spawn(move || {
            let ready = ReadySet::new(their_set).unwrap();
            let waker = Waker::new(their_page).unwrap();
            push(&mut dying, 0).unwrap();
            waker.fence();
            ready.set(0);
            waker.should_ring(&mut 0);
        });
        let bell = doorbell.clone();
        let sender = thread::spawn(move || {
            let ready = ReadySet::new(set).unwrap();
            let waker = Waker::new(page).unwrap();
            push(&mut living, 1).unwrap();
            waker.fence();
            ready.set(1);
            if waker.should_ring(&mut 0) {
                bell.ring();
            }
        });
        let mut received = None;
        while received.is_none() {
            sleeper.arm();
            let news = first.has_news() || second.has_news();
            if !news {
                doorbell.sleep();
            }
            sleeper.disarm();
            pop(&mut first);
            received = pop(&mut second);
        }
        dead.join().unwrap();
        sender.join().unwrap();
    });
}
