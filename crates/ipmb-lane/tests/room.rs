//! Who has been told that there is room for all of a message can send all of it.

#![cfg(not(loom))]

mod common;

use common::Guarded;
use ipmb_lane::{Consumer, Popped, Producer, memory_len};

const CAPACITY: usize = 4096;

#[test]
fn room_for_all_is_room_for_every_fragment() {
    let (mut fits, mut streams) = (0, 0);
    for start in (0..CAPACITY).step_by(8) {
        // What is nearly as long as the ring streams, too.
        for len in (0..CAPACITY / 5 * 4).step_by(97) {
            let memory = Guarded::new(memory_len(CAPACITY));
            let mut producer = Producer::create(memory.clone(), false).unwrap();
            let mut consumer = Consumer::attach(memory, 0).unwrap();
            // The ring is empty, and begins at `start`; then there is something in it.
            let mut out = Vec::new();
            while producer.produced() < start as u64 {
                let rest = start - producer.produced() as usize;
                producer.reserve(rest.min(256) - 8).unwrap().commit(0);
                assert_eq!(
                    consumer.pop(&mut out, 4096).unwrap(),
                    Popped::Message { tag: 0 }
                );
            }
            for filled in [0, 200, 900] {
                producer.reserve(filled).unwrap().commit(0);
                let message = vec![7; len];
                if len <= producer.max_frame() || !producer.room_for_all(len) {
                    streams += 1;
                    continue;
                }
                fits += 1;
                let mut sent = 0;
                while sent < len {
                    let rest = &message[sent..];
                    sent += producer
                        .push_fragment(0, len as u64, sent as u64, &[rest])
                        .unwrap_or_else(|_| panic!("{len} bytes at {start}: only {sent} fit"));
                }
                while consumer.pop(&mut out, 4096).unwrap() != Popped::Empty {}
            }
        }
    }
    assert!(fits > 10_000 && streams > 1000, "{fits}, {streams}");
}

#[test]
fn what_is_longer_than_the_ring_may_begin_when_its_beginning_fits() {
    let memory = Guarded::new(memory_len(CAPACITY));
    let mut producer = Producer::create(memory, false).unwrap();
    assert!(producer.room_for_all(1 << 30));
    while producer.room_for(producer.max_frame()) {
        producer.reserve(500).unwrap().commit(0);
    }
    assert!(!producer.room_for_all(1 << 30));
    assert!(!producer.room_for_all(usize::MAX));
    assert!(producer.room_for_all(8));
}
