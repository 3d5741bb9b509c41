//! A peer that writes anything anywhere: nobody panics, reads or writes beyond the memory, or goes on for ever.
#![cfg(not(loom))]

mod common;

use common::{Guarded, message};
use ipmb_lane::*;
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: u64 = 20_000;
const LEN: usize = memory_len(4096);
/// More frames than a ring of 4096 bytes can hold.
const ENOUGH: usize = 1000;

/// A lane with a bit of everything in it, padding included.
fn lane(drops_oldest: bool) -> (Guarded, Producer<Guarded>, Consumer<Guarded>) {
    let memory = Guarded::new(LEN);
    let mut producer = Producer::create(memory.clone(), drops_oldest).unwrap();
    let mut consumer = Consumer::attach(memory.clone(), 0).unwrap();
    for number in 0..3 {
        push(&mut producer, number, 900);
    }
    while consumer.pop(&mut Vec::new(), LIMIT) != Ok(Popped::Empty) {}
    for number in 0..4 {
        push(&mut producer, number, number as usize * 100);
        push_fragments(&mut producer, number, 1500);
    }
    (memory, producer, consumer)
}

fn push(producer: &mut Producer<Guarded>, number: u64, len: usize) {
    if let Ok(mut grant) = producer.reserve(len) {
        grant.write(&message(number, len)).unwrap();
        grant.commit(number as u16);
    }
}

fn push_fragments(producer: &mut Producer<Guarded>, number: u64, len: usize) {
    let bytes = message(number, len);
    let mut sent = 0;
    while let Ok(now @ 1..) = producer.push_fragment(7, len as u64, sent as u64, &[&bytes[sent..]])
    {
        sent += now;
    }
}

/// Pops to the end. How many pops there can be is bounded by the ring, unless someone moves TAIL meanwhile.
fn pop_all(consumer: &mut Consumer<Guarded>) {
    let mut out = Vec::new();
    for _ in 0..ENOUGH {
        match consumer.pop(&mut out, LIMIT) {
            Ok(Popped::Message { .. }) => assert!(out.len() as u64 <= LIMIT),
            Ok(Popped::Partial) => {}
            _ => {
                let _ = (
                    consumer.has_news(),
                    consumer.is_retired(),
                    consumer.wants_room(),
                    consumer.dropped(),
                );
                return;
            }
        }
    }
    panic!("this goes on for ever");
}

/// Where it matters most: the words of the header.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![0..5usize, 0..LEN].prop_map(|at| if at < 5 { at * 128 } else { at })
}

fn value() -> impl Strategy<Value = u64> {
    let tag = prop_oneof![3 => Just(0u64), 1 => Just(7), 1 => 0..1u64 << 16];
    let frame =
        (tag, 1..5u64, 0..5000u64).prop_map(|(tag, kind, len)| tag << 48 | kind << 32 | len);
    prop_oneof![
        any::<u64>(),
        0..6000u64,
        (0..700u64).prop_map(|n| n * 8),
        (0..2000u64).prop_map(|n| n.wrapping_neg()),
        frame
    ]
}

#[test]
fn every_byte_of_the_header_may_be_anything() {
    for drops_oldest in [false, true] {
        for at in 0..5 * 128 + 64 {
            for value in [0, 1, 7, 8, 0x40, 0x7f, 0x80, 0xff] {
                let (memory, mut producer, mut consumer) = lane(drops_oldest);
                memory.poke(at, value);
                pop_all(&mut consumer);
                if let Ok(mut late) = Consumer::attach(memory.clone(), 1) {
                    pop_all(&mut late);
                }
                push(&mut producer, 1, 10);
                producer.drop_oldest();
                push_fragments(&mut producer, 2, 5000);
                memory.check();
            }
        }
    }
}

proptest! {
    #[test]
    fn a_ring_may_hold_anything(
        words in vec(value(), 512),
        tail in value(),
        head in value(),
        drops_oldest in any::<bool>(),
    ) {
        let memory = Guarded::new(LEN);
        let mut producer = Producer::create(memory.clone(), drops_oldest).unwrap();
        let mut consumer = Consumer::attach(memory.clone(), 0).unwrap();
        for (at, word) in words.into_iter().enumerate() {
            memory.poke_word(HEADER_LEN + at * 8, word);
        }
        memory.poke_word(128, tail);
        memory.poke_word(256, head);
        producer.drop_oldest();
        pop_all(&mut consumer);
        memory.check();
    }

    #[test]
    fn a_consumer_survives_scribbling(
        ops in vec((place(), value(), any::<bool>()), 1..300),
        drops_oldest in any::<bool>(),
    ) {
        let (memory, _producer, mut consumer) = lane(drops_oldest);
        let mut out = Vec::new();
        for (at, value, byte) in ops {
            if byte {
                memory.poke(at, value as u8);
            } else {
                memory.poke_word(at, value);
            }
            let _ = consumer.pop(&mut out, LIMIT);
            prop_assert!(out.len() as u64 <= LIMIT);
            let _ = (consumer.has_news(), consumer.is_retired(), consumer.wants_room());
            memory.check();
        }
    }

    #[test]
    fn a_producer_survives_scribbling(
        ops in vec((place(), value(), 0..6000usize), 1..300),
        drops_oldest in any::<bool>(),
    ) {
        let (memory, mut producer, mut consumer) = lane(drops_oldest);
        let mut out = Vec::new();
        for (at, value, len) in ops {
            memory.poke_word(at, value);
            if !producer.room_for(len) {
                producer.want_room(len);
                producer.drop_oldest();
                let _ = consumer.pop(&mut out, LIMIT);
            }
            push(&mut producer, value, len);
            let _ = producer.push_fragment(0, 6000, len as u64, &[&vec![1; 6000 - len]]);
            let _ = (producer.slot(), producer.is_closed());
            prop_assert!(producer.produced().wrapping_sub(producer.consumed()) <= 4096);
            memory.check();
        }
    }

    #[test]
    fn a_log_may_hold_anything(ops in vec((0..4096 + 600usize, value(), any::<bool>()), 1..100)) {
        let memory = Guarded::new(4096 + 600);
        let mut writer = LogWriter::create(memory.clone(), 1).unwrap();
        for number in 0..8 {
            writer.append(&message(number, 20)).unwrap();
        }
        let mut reader = LogReader::attach(memory.clone()).unwrap();
        let mut out = Vec::new();
        for (at, value, state) in ops {
            memory.poke_word(if state { 128 } else { at }, value);
            let _ = (reader.changed(), reader.read(&mut out), LogReader::attach(memory.clone()).is_ok());
            prop_assert!(out.iter().map(|record| record.len() + 4).sum::<usize>() <= 300);
            let _ = writer.append(b"more");
            memory.check();
        }
    }

    #[test]
    fn cells_may_hold_anything(ops in vec((0..96usize, value()), 1..100)) {
        let memory = Guarded::new(96);
        let cells = Cells::new(memory.clone(), 0, 12).unwrap();
        for (at, value) in ops {
            memory.poke_word(at, value);
            if let Some(cell) = cells.claim(1, 1) {
                prop_assert!(cells.release(cell, 1, 1));
            }
            let _ = (cells.count(), cells.release(value as u32, 1, 1), cells.transfer(value as u32, (1, 1), (1, 2)));
            for (cell, owner, nonce) in cells.owners() {
                prop_assert_eq!(cells.release(cell, owner, nonce), nonce != 0);
            }
            memory.check();
        }
    }
}
