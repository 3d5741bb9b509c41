//! A lane against the plainest model of one: a queue of frames.
#![cfg(not(loom))]

mod common;

use std::collections::VecDeque;

use common::{Guarded, message};
use ipmb_lane::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    /// Send a message; one that is longer than a frame stays the current one until all is sent.
    Send(usize),
    /// Send fragments even if the message is short.
    SendInFragments(usize),
    Abandon,
    Pop,
    Drop,
    WantRoom(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let len = prop_oneof![
        0..=20usize,
        0..1000usize,
        Just(1000),
        Just(4096 / 4 - 24),
        1000..9000usize
    ];
    let op = prop_oneof![
        6 => len.clone().prop_map(Op::Send),
        1 => len.clone().prop_map(Op::SendInFragments),
        1 => Just(Op::Abandon),
        8 => Just(Op::Pop),
        2 => Just(Op::Drop),
        1 => len.prop_map(Op::WantRoom),
    ];
    proptest::collection::vec(op, 1..400)
}

struct Frame {
    message: u64,
    last: bool,
}

struct Harness {
    memory: Guarded,
    producer: Producer<Guarded>,
    consumer: Consumer<Guarded>,
    /// What is in the ring.
    frames: VecDeque<Frame>,
    lens: Vec<usize>,
    /// The message that is being sent, and how much of it has been.
    current: Option<(u64, usize)>,
    dropped: u64,
    wanted: bool,
}

impl Harness {
    fn new(drops_oldest: bool) -> Self {
        let memory = Guarded::new(memory_len(4096));
        let producer = Producer::create(memory.clone(), drops_oldest).unwrap();
        let consumer = Consumer::attach(memory.clone(), 5).unwrap();
        assert_eq!(producer.slot(), Some(5));
        Self {
            memory,
            producer,
            consumer,
            frames: VecDeque::new(),
            lens: Vec::new(),
            current: None,
            dropped: 0,
            wanted: false,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Send(_) | Op::SendInFragments(_) if self.current.is_some() => self.go_on(),
            Op::Send(len) if len <= self.producer.max_frame() => self.send(len),
            Op::Send(len) | Op::SendInFragments(len) => {
                self.lens.push(len);
                self.current = Some((self.lens.len() as u64 - 1, 0));
                self.go_on();
            }
            Op::Abandon => {
                self.current = None;
                self.producer.abandon();
            }
            Op::Pop => self.pop(),
            Op::Drop => self.drop_oldest(),
            Op::WantRoom(len) => {
                self.producer.want_room(len);
                self.wanted = !self.producer.room_for(len);
                if !self.wanted {
                    self.producer.cancel_want_room();
                }
            }
        }
        self.check();
    }

    fn send(&mut self, len: usize) {
        let room = self.producer.room_for(len);
        let Ok(mut grant) = self.producer.reserve(len) else {
            assert!(!room);
            return;
        };
        let number = self.lens.len() as u64;
        for part in message(number, len).chunks(7) {
            grant.write(part).unwrap();
        }
        assert_eq!((grant.written(), grant.remaining()), (len, 0));
        assert_eq!(grant.write(b"x"), Err(Overrun));
        grant.commit(tag_of(number));
        self.lens.push(len);
        self.frames.push_back(Frame {
            message: number,
            last: true,
        });
    }

    fn go_on(&mut self) {
        let (number, sent) = self.current.unwrap();
        let bytes = message(number, self.lens[number as usize]);
        let rest = &bytes[sent..];
        let room = self.producer.room_for(rest.len());
        // The pieces do not matter.
        let (first, second) = rest.split_at(rest.len() / 3);
        let pushed = self.producer.push_fragment(
            tag_of(number),
            bytes.len() as u64,
            sent as u64,
            &[first, second],
        );
        let Ok(len) = pushed else {
            assert!(!room);
            return;
        };
        assert!(len > 0 || bytes.is_empty());
        let last = sent + len == bytes.len();
        self.current = (!last).then_some((number, sent + len));
        self.frames.push_back(Frame {
            message: number,
            last,
        });
    }

    fn pop(&mut self) {
        let mut out = b"what was there before".to_vec();
        let popped = self.consumer.pop(&mut out, 9000).unwrap();
        match self.frames.pop_front() {
            None => assert_eq!(popped, Popped::Empty),
            Some(Frame { last: false, .. }) => assert_eq!(popped, Popped::Partial),
            Some(Frame {
                message: number, ..
            }) => {
                let tag = tag_of(number);
                assert_eq!(popped, Popped::Message { tag });
                assert_eq!(out, message(number, self.lens[number as usize]));
            }
        }
        if self.consumer.wants_room() {
            assert!(self.wanted);
            self.wanted = false;
        }
        assert!(!self.wanted || !self.frames.is_empty());
    }

    fn drop_oldest(&mut self) {
        let oldest = self.frames.front().map(|frame| frame.message);
        let current = self.current.map(|(number, _)| number);
        let possible = oldest.is_some() && oldest != current;
        assert_eq!(self.producer.drop_oldest().is_some(), possible);
        if possible {
            while self.frames.front().map(|frame| frame.message) == oldest {
                self.frames.pop_front();
            }
            self.dropped += 1;
        }
    }

    fn check(&self) {
        self.memory.check();
        let (consumed, produced) = (self.producer.consumed(), self.producer.produced());
        assert!(consumed <= produced && produced - consumed <= 4096);
        assert_eq!(self.frames.is_empty(), consumed == produced);
        assert_eq!(self.consumer.has_news(), !self.frames.is_empty());
        assert_eq!(self.consumer.dropped(), self.dropped);
    }
}

fn tag_of(number: u64) -> u16 {
    (number % 3) as u16 * 0x7fff
}

proptest! {
    #[test]
    fn a_lane_is_a_queue(ops in ops()) {
        let mut harness = Harness::new(false);
        for op in ops {
            if !matches!(op, Op::Drop) {
                harness.apply(op);
            }
        }
        assert!(harness.producer.drop_oldest().is_none());
    }

    #[test]
    fn a_lane_that_drops_its_oldest_is_a_queue_that_does(ops in ops()) {
        let mut harness = Harness::new(true);
        for op in ops {
            harness.apply(op);
        }
    }
}

fn lane() -> (Producer<HeapMemory>, Consumer<HeapMemory>) {
    let memory = HeapMemory::new(memory_len(4096));
    let producer = Producer::create(memory.clone(), false).unwrap();
    assert_eq!(producer.slot(), None);
    (producer, Consumer::attach(memory, 0).unwrap())
}

#[test]
fn a_grant_that_is_dropped_sends_nothing_and_one_that_is_short_sends_what_is_written() {
    let (mut producer, mut consumer) = lane();
    let mut out = Vec::new();
    producer.reserve(100).unwrap().write(b"never").unwrap();
    assert_eq!(consumer.pop(&mut out, 100), Ok(Popped::Empty));
    let mut grant = producer.reserve(100).unwrap();
    grant.write(b"short").unwrap();
    grant.commit(0);
    producer.reserve(0).unwrap().commit(0);
    assert_eq!(consumer.pop(&mut out, 100), Ok(Popped::Message { tag: 0 }));
    assert_eq!(out, b"short");
    assert_eq!(consumer.pop(&mut out, 100), Ok(Popped::Message { tag: 0 }));
    assert!(out.is_empty());
    assert!(producer.reserve(producer.max_frame() + 1).is_err());
}

#[test]
fn a_grant_for_a_guess_has_all_that_is_free_in_one_piece() {
    let (mut producer, mut consumer) = lane();
    let mut out = Vec::new();
    let largest = producer.max_frame();
    // Everything up to the end of the ring, where the rest is shorter than a frame.
    for round in 0u8..100 {
        let mut grant = producer.reserve_from(10).unwrap();
        let room = grant.remaining();
        assert!((10..=largest).contains(&room));
        let bytes = vec![round; room];
        grant.write(&bytes).unwrap();
        assert_eq!(grant.write(b"x"), Err(Overrun));
        grant.commit(0);
        assert_eq!(
            consumer.pop(&mut out, largest as u64),
            Ok(Popped::Message { tag: 0 })
        );
        assert_eq!(out, bytes);
    }
    // Nothing that has not been read is overwritten.
    while let Ok(mut grant) = producer.reserve_from(10) {
        grant.write(&vec![7; grant.remaining()]).unwrap();
        grant.commit(0);
    }
    while consumer.pop(&mut out, largest as u64) == Ok(Popped::Message { tag: 0 }) {
        assert!(out.iter().all(|&byte| byte == 7));
    }
    assert!(!consumer.has_news());
}

#[test]
fn closing_and_retiring_are_seen() {
    let (mut producer, mut consumer) = lane();
    producer.reserve(0).unwrap().commit(0);
    producer.retire();
    assert!(!consumer.is_retired() && !producer.is_closed());
    consumer.pop(&mut Vec::new(), 0).unwrap();
    consumer.close();
    assert!(consumer.is_retired() && producer.is_closed());
}

#[test]
fn a_message_over_the_limit_is_corrupt_for_ever() {
    let (mut producer, mut consumer) = lane();
    let mut grant = producer.reserve(11).unwrap();
    grant.write(&[0; 11]).unwrap();
    grant.commit(0);
    let mut out = Vec::new();
    assert_eq!(consumer.pop(&mut out, 10), Err(Corrupt));
    assert_eq!(consumer.pop(&mut out, 100), Err(Corrupt));
    assert!(!consumer.has_news());

    let (mut producer, mut consumer) = lane();
    producer.push_fragment(0, u64::MAX, 0, &[&[0; 11]]).unwrap();
    assert_eq!(consumer.pop(&mut out, u64::MAX - 1), Err(Corrupt));
}

#[test]
fn memory_that_does_not_do_is_refused() {
    let create = |len| Producer::create(HeapMemory::new(len), false).err();
    assert!(matches!(create(100), Some(LaneError::BadSize { .. })));
    let odd = memory_len(5000);
    assert_eq!(create(odd), Some(LaneError::BadCapacity { capacity: 5000 }));
    let attach = Consumer::attach(HeapMemory::new(memory_len(4096)), 0);
    assert_eq!(attach.err(), Some(LaneError::BadHeader));
}

#[test]
fn fragments_of_different_tags_are_no_message() {
    let (mut producer, mut consumer) = lane();
    let mut out = Vec::new();
    producer.push_fragment(1, 20, 0, &[&[0; 10]]).unwrap();
    producer.push_fragment(2, 20, 10, &[&[0; 10]]).unwrap();
    assert_eq!(consumer.pop(&mut out, 100), Ok(Popped::Partial));
    assert_eq!(consumer.pop(&mut out, 100), Err(Corrupt));
}

#[test]
fn a_message_in_fragments_gets_its_memory_at_once_unless_it_is_too_much() {
    let (mut producer, mut consumer) = lane();
    let mut out = Vec::new();
    // As long as sixteen rings.
    let message = vec![7; 16 * 4096];
    let mut sent = 0;
    while sent < message.len() {
        let len = message.len() as u64;
        sent += producer
            .push_fragment(0, len, sent as u64, &[&message[sent..]])
            .unwrap();
        let last = sent == message.len();
        let popped = consumer.pop(&mut out, len);
        assert_eq!(popped == Ok(Popped::Message { tag: 0 }), last);
    }
    assert_eq!((out.len(), out.capacity()), (message.len(), message.len()));
    // More than there is anywhere: it costs nothing to say so.
    producer.push_fragment(0, u64::MAX, 0, &[b"long"]).unwrap();
    assert_eq!(consumer.pop(&mut out, u64::MAX), Ok(Popped::Partial));
}
