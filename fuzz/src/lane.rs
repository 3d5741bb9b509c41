//! A lane whose other side may be anybody.

use std::collections::VecDeque;

use arbitrary::{Arbitrary, Unstructured};
use ipmb_lane::{
    Consumer, Corrupt, HEADER_LEN, HeapMemory, MIN_CAPACITY, Popped, Producer, Word, memory_len,
};

use crate::meter;

const LIMIT: u64 = 20_000;
const LEN: usize = memory_len(MIN_CAPACITY);
/// More frames than the ring can hold.
const ENOUGH: usize = MIN_CAPACITY / 8 + 1;
/// What a call of `pop` may take: a message and the vector it grew out of, and what is set aside for one that begins.
const MOST_MEMORY: usize = 3 * LIMIT as usize + 16 * MIN_CAPACITY;

#[derive(Debug, Arbitrary)]
enum Op {
    Send { tag: u16, len: u16 },
    SendGuess { tag: u16, least: u8, len: u16 },
    Begin { tag: u16, len: u16 },
    GoOn,
    Abandon,
    Pop,
    PopWhole { limit: u16, tags: u16, beside: u16 },
    DropOldest,
    WantRoom(u16),
    WantConsumed(i16),
    CancelWantRoom,
    CountDropped,
    Retire,
    Close,
    Attach(u32),
    Header { word: u8, value: Value },
    Ring { word: u16, value: Value },
}

/// What a word may be overwritten with.
#[derive(Debug, Arbitrary)]
enum Value {
    Any(u64),
    /// A position not far from where the producer is.
    Position(i16),
    Frame {
        tag: u16,
        kind: u8,
        len: u16,
    },
    /// The length or the offset of a fragment.
    Small(u16),
}

/// A lane is a queue as long as both sides keep to the layout. If not, nobody reads or writes beyond the memory
/// (AddressSanitizer sees it), takes more memory than a message may have, or goes on for ever.
pub fn lane(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let drops_oldest = data.arbitrary().unwrap_or_default();
    let mut world = World::new(drops_oldest);
    while !data.is_empty()
        && let Ok(op) = Op::arbitrary(&mut data)
    {
        world.apply(op);
    }
    world.drain();
}

struct World {
    memory: HeapMemory,
    producer: Producer<HeapMemory>,
    consumer: Consumer<HeapMemory>,
    /// Nobody has broken the layout.
    honest: bool,
    /// Messages in the ring, whole or begun; the oldest may have been dropped, or the consumer has closed the lane.
    sent: VecDeque<(u16, Vec<u8>)>,
    dropped: bool,
    /// The message that is being sent in fragments, and how far it is.
    current: Option<(u16, Vec<u8>, usize)>,
    messages: usize,
    corrupt: bool,
}

impl World {
    fn new(drops_oldest: bool) -> Self {
        let memory = HeapMemory::new(LEN);
        let producer = Producer::create(memory.clone(), drops_oldest).expect("the size is right");
        let consumer = Consumer::attach(memory.clone(), 3).expect("this is a lane");
        Self {
            memory,
            producer,
            consumer,
            honest: true,
            sent: VecDeque::new(),
            dropped: false,
            current: None,
            messages: 0,
            corrupt: false,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Send { tag, len } => self.send(tag, usize::from(len), usize::from(len)),
            Op::SendGuess { tag, least, len } => {
                self.send(tag, usize::from(least), usize::from(len));
            }
            Op::Begin { tag, len } => {
                let bytes = self.message(usize::from(len) % (LIMIT as usize + 1));
                self.current = Some((tag, bytes, 0));
                self.go_on();
            }
            Op::GoOn => self.go_on(),
            Op::Abandon => {
                self.current = None;
                self.producer.abandon();
            }
            Op::Pop => drop(self.pop()),
            Op::PopWhole {
                limit,
                tags,
                beside,
            } => self.pop_whole(limit.into(), tags, beside),
            Op::DropOldest => {
                // The one that is being sent does not count, so the queue knows all that can go.
                if self.producer.drop_oldest().is_some() {
                    self.dropped = true;
                }
            }
            Op::WantRoom(len) => self.producer.want_room(len.into()),
            Op::WantConsumed(ago) => {
                let position = self.producer.produced().wrapping_add_signed(ago.into());
                self.producer.want_consumed(position);
            }
            Op::CancelWantRoom => self.producer.cancel_want_room(),
            Op::CountDropped => self.producer.count_dropped(),
            Op::Retire => self.producer.retire(),
            Op::Close => {
                self.consumer.close();
                assert!(self.producer.is_closed());
                // What is sent all the same need not be read.
                self.dropped = true;
            }
            Op::Attach(slot) => self.attach(slot),
            Op::Header { word, value } => {
                // Where the words are: at the beginnings of the lines.
                let (line, index) = (usize::from(word) / 4 % 5, usize::from(word) % 4);
                self.poke(line * 128 + index * 8, value);
            }
            Op::Ring { word, value } => {
                let at = HEADER_LEN + usize::from(word) * 8 % MIN_CAPACITY;
                self.poke(at, value);
            }
        }
        self.check();
    }

    fn send(&mut self, tag: u16, least: usize, len: usize) {
        let room = self.producer.room_for(least);
        let bytes = self.message(len);
        let Ok(mut grant) = self.producer.reserve_from(least) else {
            let fits = least <= self.producer.max_frame();
            return assert!(!(self.honest && room && fits), "{least} bytes have room");
        };
        let written: Vec<u8> = (bytes.chunks(300))
            .take_while(|piece| grant.write(piece).is_ok())
            .flatten()
            .copied()
            .collect();
        assert_eq!(grant.written(), written.len());
        grant.commit(tag);
        // What was begun before is given up.
        self.current = None;
        self.sent.push_back((tag, written));
    }

    fn go_on(&mut self) {
        let Some((tag, bytes, sent)) = self.current.take() else {
            return;
        };
        let rest = &bytes[sent..];
        let (one, other) = rest.split_at(rest.len() / 3);
        let (len, offset) = (bytes.len() as u64, sent as u64);
        let room = self.producer.room_for(rest.len());
        match self.producer.push_fragment(tag, len, offset, &[one, other]) {
            Ok(now) if sent + now == bytes.len() => self.sent.push_back((tag, bytes)),
            Ok(now) => self.current = Some((tag, bytes, sent + now)),
            Err(_) => {
                assert!(!self.honest || !room, "there was room");
                self.current = Some((tag, bytes, sent));
            }
        }
    }

    fn pop(&mut self) -> Result<Popped, Corrupt> {
        let mut out = Vec::new();
        let (popped, peak) = meter::peak(|| self.consumer.pop(&mut out, LIMIT));
        assert!(peak <= MOST_MEMORY, "{peak} bytes for one pop");
        assert!(out.len() as u64 <= LIMIT);
        match popped {
            Ok(Popped::Message { tag }) => self.arrived(tag, out),
            Ok(Popped::Partial) => assert!(out.is_empty()),
            Ok(Popped::Empty) => {
                assert!(out.is_empty() && (!self.honest || self.sent.is_empty() || self.dropped))
            }
            Ok(_) => unreachable!("nothing else is popped"),
            Err(Corrupt) => {
                assert!(!self.honest, "an honest lane is corrupt");
                self.corrupt = true;
            }
        }
        // For ever.
        assert_eq!(self.corrupt, popped == Err(Corrupt));
        popped
    }

    fn pop_whole(&mut self, limit: u64, tags: u16, beside: u16) {
        let before = b"as it was".to_vec();
        let mut out = before.clone();
        let accepted = |tag: u16| (1..=tags).contains(&(tag & !beside));
        match self.consumer.pop_whole(&mut out, limit, accepted) {
            Some(tag) => {
                assert!(accepted(tag) && out.len() as u64 <= limit);
                assert!(!self.corrupt);
                self.arrived(tag, out);
            }
            None => assert_eq!(out, before),
        }
    }

    /// It is the oldest that was sent, or those before it were dropped.
    fn arrived(&mut self, tag: u16, bytes: Vec<u8>) {
        while self.honest {
            let oldest = self.sent.pop_front().expect("it has been sent");
            if oldest == (tag, bytes.clone()) {
                return;
            }
            assert!(self.dropped, "a message has been lost, or is another one");
        }
    }

    /// A second consumer, as nobody honest makes one.
    fn attach(&mut self, slot: u32) {
        match Consumer::attach(self.memory.clone(), slot) {
            Ok(consumer) => self.consumer = consumer,
            Err(_) => assert!(!self.honest),
        }
        (self.honest, self.corrupt) = (false, false);
    }

    fn poke(&mut self, at: usize, value: Value) {
        self.honest = false;
        let value = match value {
            Value::Any(value) => value,
            Value::Position(ago) => self.producer.produced().wrapping_add_signed(ago.into()),
            Value::Frame { tag, kind, len } => {
                u64::from(tag) << 48 | u64::from(kind % 5) << 32 | u64::from(len)
            }
            Value::Small(value) => value.into(),
        };
        let word = Word::new(self.memory.clone(), at).expect("it is in there");
        word.store(value);
    }

    fn check(&self) {
        let (consumed, produced) = (self.producer.consumed(), self.producer.produced());
        let used = produced.wrapping_sub(consumed);
        assert!(used <= MIN_CAPACITY as u64);
        assert!(!self.corrupt || !self.consumer.has_news());
        let asked = (self.consumer.dropped(), self.consumer.is_retired());
        let rung = self.consumer.wants_room();
        if self.honest {
            assert_eq!(self.consumer.has_news(), used > 0, "{asked:?} {rung}");
            assert_eq!(self.producer.slot(), Some(3));
        }
    }

    /// Everything that is left.
    fn drain(&mut self) {
        for _ in 0..ENOUGH {
            if !matches!(self.pop(), Ok(Popped::Message { .. } | Popped::Partial)) {
                assert!(!self.honest || self.dropped || self.sent.is_empty());
                return;
            }
        }
        panic!("this goes on for ever");
    }

    /// Bytes that can be told from those of other messages.
    fn message(&mut self, len: usize) -> Vec<u8> {
        self.messages += 1;
        let number = self.messages;
        (0..len).map(|at| (number * 7 + at) as u8).collect()
    }
}
