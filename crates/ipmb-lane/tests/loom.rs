//! Every order of events, as far as `LOOM_MAX_PREEMPTIONS` switches of thread go:
//! `RUSTFLAGS="--cfg loom" cargo test -p ipmb-lane --release --test loom`
#![cfg(loom)]

use ipmb_lane::*;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::Arc;

/// Runs `test` in every order with at most `preemptions` forced switches between threads.
fn explore(preemptions: usize, test: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 10_000;
    model.check(test);
}

fn lane(drops_oldest: bool) -> (Producer<HeapMemory>, Consumer<HeapMemory>) {
    let memory = HeapMemory::new(memory_len(MIN_CAPACITY));
    let producer = Producer::create(memory.clone(), drops_oldest).unwrap();
    (producer, Consumer::attach(memory, 0).unwrap())
}

fn push(producer: &mut Producer<HeapMemory>, number: u64) -> Result<(), Full> {
    let mut grant = producer.reserve(8)?;
    grant.write(&number.to_le_bytes()).unwrap();
    grant.commit(0);
    Ok(())
}

fn pop(consumer: &mut Consumer<HeapMemory>) -> Option<u64> {
    let mut out = Vec::new();
    match consumer.pop(&mut out, 1000).unwrap() {
        Popped::Message { .. } => Some(u64::from_le_bytes(out.try_into().unwrap())),
        _ => None,
    }
}

/// What a thread sleeps on. Loom reports it when nobody is left to ring.
#[derive(Clone)]
struct Doorbell(Arc<(Mutex<bool>, Condvar)>);

impl Doorbell {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn ring(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }

    fn sleep(&self) {
        let mut rung = self.0.0.lock().unwrap();
        while !*rung {
            rung = self.0.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}

#[test]
fn ring_keeps_order_and_bytes_through_full_and_wrap() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(false);
        for number in 0..7 {
            push(&mut producer, number).unwrap();
        }
        assert_eq!(pop(&mut consumer), Some(0));
        let sender = thread::spawn(move || {
            for number in 7..10 {
                while push(&mut producer, number).is_err() {
                    thread::yield_now();
                }
            }
        });
        for number in 1..10 {
            let popped = loop {
                match pop(&mut consumer) {
                    Some(popped) => break popped,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(popped, number);
        }
        sender.join().unwrap();
    });
}

#[test]
fn fragments_stream_through_padding() {
    explore(2, || {
        let (mut producer, mut consumer) = lane(false);
        for number in 0..7 {
            push(&mut producer, number).unwrap();
            assert_eq!(pop(&mut consumer), Some(number));
        }
        let sender = thread::spawn(move || {
            let message = *b"a message of 27 bytes here.";
            let mut sent = 0;
            while sent < message.len() {
                match producer.push_fragment(0, 27, sent as u64, &[&message[sent..]]) {
                    Ok(len) => sent += len,
                    Err(Full) => thread::yield_now(),
                }
            }
        });
        let mut out = Vec::new();
        loop {
            match consumer.pop(&mut out, 27).unwrap() {
                Popped::Message { .. } => break,
                Popped::Empty => thread::yield_now(),
                _ => {}
            }
        }
        assert_eq!(out, b"a message of 27 bytes here.");
        sender.join().unwrap();
    });
}

#[test]
fn dropping_the_oldest_races_with_popping_it() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(true);
        for number in 0..8 {
            push(&mut producer, number).unwrap();
        }
        let sender = thread::spawn(move || {
            for number in 8..10 {
                while push(&mut producer, number).is_err() {
                    assert!(producer.drop_oldest().is_some());
                }
            }
        });
        let mut received = Vec::new();
        received.extend(pop(&mut consumer));
        received.extend(pop(&mut consumer));
        sender.join().unwrap();
        received.extend(std::iter::from_fn(|| pop(&mut consumer)));
        assert!(received.is_sorted_by(|a, b| a < b), "{received:?}");
        assert_eq!(received.last(), Some(&9));
        assert_eq!(received.len() as u64 + consumer.dropped(), 10);
    });
}

#[test]
fn dropping_races_with_a_message_in_fragments() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(true);
        let message = *b"0123456789abcdef";
        assert_eq!(producer.push_fragment(0, 16, 0, &[&message]), Ok(8));
        assert_eq!(producer.push_fragment(0, 16, 8, &[&message[8..]]), Ok(8));
        let sender = thread::spawn(move || {
            let dropped = producer.drop_oldest().is_some();
            push(&mut producer, 1).unwrap();
            push(&mut producer, 2).unwrap();
            dropped
        });
        let mut received = Vec::new();
        let mut look = || {
            let mut out = Vec::new();
            let popped = consumer.pop(&mut out, 16).unwrap();
            if popped == (Popped::Message { tag: 0 }) {
                received.push(out);
            }
            popped
        };
        look();
        look();
        let dropped = sender.join().unwrap();
        while look() != Popped::Empty {}
        let mut expected = vec![1u64.to_le_bytes().to_vec(), 2u64.to_le_bytes().to_vec()];
        if !dropped {
            expected.insert(0, message.to_vec());
        }
        assert_eq!(received, expected);
        assert_eq!(u64::from(dropped), consumer.dropped());
    });
}

#[test]
fn retired_means_all_is_popped() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(false);
        let sender = thread::spawn(move || {
            push(&mut producer, 0).unwrap();
            push(&mut producer, 1).unwrap();
            producer.retire();
        });
        let mut popped = 0;
        for _ in 0..3 {
            if consumer.is_retired() {
                assert_eq!(popped, 2);
            }
            popped += pop(&mut consumer).map_or(0, |_| 1);
        }
        sender.join().unwrap();
        while pop(&mut consumer).is_some() {}
        assert!(consumer.is_retired());
    });
}

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

#[test]
fn a_sender_that_waits_for_room_is_woken() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(false);
        for number in 0..8 {
            push(&mut producer, number).unwrap();
        }
        let doorbell = Doorbell::new();
        let bell = doorbell.clone();
        let receiver = thread::spawn(move || {
            for number in 0..8 {
                assert_eq!(pop(&mut consumer), Some(number));
                // Often enough, and the last time is when all is popped.
                if number % 4 == 3 && consumer.wants_room() {
                    bell.ring();
                }
            }
        });
        while push(&mut producer, 8).is_err() {
            producer.want_room(8);
            if !producer.room_for(8) {
                doorbell.sleep();
            }
            producer.cancel_want_room();
        }
        receiver.join().unwrap();
    });
}

/// Adds one; loom sees it if another thread does so at the same time.
fn add_one(value: &loom::cell::UnsafeCell<u32>) {
    // SAFETY: the lock under test is held.
    value.with_mut(|value| unsafe { *value += 1 });
}

#[test]
fn a_biased_lock_is_a_lock() {
    explore(3, || {
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
    });
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

#[test]
fn a_log_is_read_as_it_was_at_some_moment() {
    explore(3, || {
        let memory = HeapMemory::new(64 + 2 * 16);
        let mut writer = LogWriter::create(memory.clone(), 7).unwrap();
        writer.append(b"1111").unwrap();
        let mut reader = LogReader::attach(memory).unwrap();
        let writing = thread::spawn(move || {
            writer.append(b"2222").unwrap();
            writer.replace([&b"3333"[..]].into_iter()).unwrap();
            writer.replace([&b"4444"[..], b"5555"].into_iter()).unwrap();
        });
        let moments: [&[&[u8]]; 4] = [
            &[b"1111"],
            &[b"1111", b"2222"],
            &[b"3333"],
            &[b"4444", b"5555"],
        ];
        let (mut list, mut new, mut at) = (Vec::new(), Vec::new(), 0);
        let mut look = || {
            match reader.read(&mut new).unwrap() {
                LogRead::Snapshot => list.clear(),
                LogRead::Delta => {}
                _ => assert!(new.is_empty()),
            }
            list.append(&mut new);
            let now = moments.iter().position(|moment| *moment == list);
            let now = now.unwrap_or_else(|| panic!("{list:?} never was"));
            assert!(now >= at);
            at = now;
            !reader.changed()
        };
        look();
        look();
        writing.join().unwrap();
        look();
        assert!(look());
        assert_eq!(at, 3);
    });
}

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

#[test]
fn what_comes_back_is_done_with() {
    explore(3, || {
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
    });
}
