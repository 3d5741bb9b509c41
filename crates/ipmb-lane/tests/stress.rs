//! Two threads, real memory, many messages.
#![cfg(not(loom))]

mod common;

use std::thread;

use common::{Guarded, message};
use ipmb_lane::*;

fn lane(capacity: usize, drops_oldest: bool) -> (Guarded, Producer<Guarded>, Consumer<Guarded>) {
    let memory = Guarded::new(memory_len(capacity));
    let producer = Producer::create(memory.clone(), drops_oldest).unwrap();
    let consumer = Consumer::attach(memory.clone(), 0).unwrap();
    (memory, producer, consumer)
}

/// A number, bytes that follow from it, and their sum.
fn numbered(number: u64) -> Vec<u8> {
    let len = (number.wrapping_mul(0x9e37_79b9) >> 7) as usize % 200;
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend(message(number, len));
    bytes
}

fn try_push(producer: &mut Producer<Guarded>, bytes: &[u8]) -> bool {
    let Ok(mut grant) = producer.reserve(bytes.len()) else {
        return false;
    };
    grant.write(bytes).unwrap();
    grant.commit(bytes.len() as u16);
    true
}

fn is_message(popped: Popped) -> bool {
    matches!(popped, Popped::Message { .. })
}

fn number_of(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    assert_eq!(bytes, numbered(number));
    number
}

#[test]
fn a_million_messages_arrive_in_order() {
    const MESSAGES: u64 = 1_000_000;
    let (memory, mut producer, mut consumer) = lane(1 << 14, false);
    let sender = thread::spawn(move || {
        for number in 0..MESSAGES {
            let bytes = numbered(number);
            while !try_push(&mut producer, &bytes) {
                thread::yield_now();
            }
        }
    });
    let mut out = Vec::new();
    for number in 0..MESSAGES {
        while !is_message(consumer.pop(&mut out, 1000).unwrap()) {
            thread::yield_now();
        }
        assert_eq!(number_of(&out), number);
    }
    sender.join().unwrap();
    assert!(!consumer.has_news());
    memory.check();
}

#[test]
fn what_is_not_dropped_arrives_in_order() {
    const MESSAGES: u64 = 1_000_000;
    let (memory, mut producer, mut consumer) = lane(4096, true);
    let sender = thread::spawn(move || {
        for number in 0..MESSAGES {
            let bytes = numbered(number);
            while !try_push(&mut producer, &bytes) {
                producer.drop_oldest();
            }
        }
        producer.retire();
    });
    let (mut out, mut last, mut received) = (Vec::new(), None, 0);
    while !consumer.is_retired() {
        match consumer.pop(&mut out, 1000).unwrap() {
            Popped::Message { tag } => {
                assert_eq!(usize::from(tag), out.len());
                let number = Some(number_of(&out));
                assert!(number > last);
                (last, received) = (number, received + 1);
            }
            _ => thread::yield_now(),
        }
    }
    sender.join().unwrap();
    assert_eq!(last, Some(MESSAGES - 1));
    assert_eq!(received + consumer.dropped(), MESSAGES);
    memory.check();
}

#[test]
fn long_messages_stream_through_a_short_ring() {
    let (memory, mut producer, mut consumer) = lane(4096, false);
    let long = |number: u64| message(number, number as usize * 1009 % 50_000);
    let sender = thread::spawn(move || {
        for number in 0..300 {
            let bytes = long(number);
            let (mut sent, all) = (0, bytes.len());
            loop {
                match producer.push_fragment(
                    number as u16,
                    all as u64,
                    sent as u64,
                    &[&bytes[sent..]],
                ) {
                    Ok(now) => sent += now,
                    Err(Full) => thread::yield_now(),
                }
                if sent == all {
                    break;
                }
            }
        }
    });
    let mut out = Vec::new();
    for number in 0..300 {
        loop {
            match consumer.pop(&mut out, 50_000).unwrap() {
                Popped::Message { tag } => break assert_eq!(u64::from(tag), number),
                Popped::Empty => thread::yield_now(),
                _ => {}
            }
        }
        assert_eq!(out, long(number));
    }
    sender.join().unwrap();
    memory.check();
}

/// Both sides sleep whenever they can; the test ends only if each is always woken.
#[test]
fn nobody_sleeps_for_ever() {
    const MESSAGES: u64 = 200_000;
    let (_, mut producer, mut consumer) = lane(4096, false);
    let page = Guarded::new(64);
    let mut sleeper = Sleeper::new(page.clone()).unwrap();
    let waker = Waker::new(page).unwrap();
    let receiver = thread::current();
    let sender = thread::spawn(move || {
        let mut last_rung = 0;
        for number in 0..MESSAGES {
            let bytes = numbered(number);
            while !try_push(&mut producer, &bytes) {
                producer.want_room(bytes.len());
                if !producer.room_for(bytes.len()) {
                    thread::park();
                }
                producer.cancel_want_room();
            }
            waker.fence();
            if waker.should_ring(&mut last_rung) {
                receiver.unpark();
            }
        }
    });
    let (mut out, mut number) = (Vec::new(), 0);
    while number < MESSAGES {
        if is_message(consumer.pop(&mut out, 1000).unwrap()) {
            assert_eq!(number_of(&out), number);
            number += 1;
            if consumer.wants_room() {
                sender.thread().unpark();
            }
            continue;
        }
        sleeper.arm();
        if !consumer.has_news() {
            thread::park();
        }
        sleeper.disarm();
    }
    sender.join().unwrap();
}
