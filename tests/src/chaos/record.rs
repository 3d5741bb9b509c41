//! What happened, as it is written down: 64 bytes each, so that no record is ever written in
//! half. (A process that is killed in the middle of a write has written whole pages.)

use super::words::{Code, Words};
use ipmb::SelectorMode;
use std::fmt;

/// Bytes of a record.
pub const LEN: usize = 64;

/// One process that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process(pub u32);

/// One join.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session(pub u32);

impl Session {
    /// So many joins there may be of one process.
    pub const PER_PROCESS: u32 = 1 << 8;

    /// The join number `number` of a process.
    pub fn of(process: Process, number: u32) -> Self {
        Self(process.0 * Self::PER_PROCESS + number)
    }

    /// Whose it is.
    pub fn process(self) -> Process {
        Process(self.0 / Self::PER_PROCESS)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.process().0, self.0 % Self::PER_PROCESS)
    }
}

/// A message: who sent it, from which thread, and how many that had sent before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u64);

impl Id {
    /// Message `number` of a thread.
    pub fn of(session: Session, thread: u8, number: u32) -> Self {
        Self(u64::from(session.0) << 40 | u64::from(thread) << 32 | u64::from(number))
    }

    /// Who sent it. (A run has fewer than 2^16 processes.)
    pub fn session(self) -> Session {
        Session((self.0 >> 40) as u32)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (session, thread, number) = (self.session(), self.0 >> 32 & 0xff, self.0 as u32);
        write!(f, "{session:?}/{thread}/{number}")
    }
}

/// What is in a message, as its sender and its receivers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Bytes of its body.
    pub size: u32,
    /// Of the body.
    pub checksum: u64,
    /// So many objects.
    pub objects: u16,
    /// So many memory regions.
    pub regions: u16,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Who satisfies it.
    Selector {
        /// The expression.
        code: Code,
        /// One or all of them.
        mode: SelectorMode,
        /// In microseconds.
        ttl: u32,
        /// It asks for a reply.
        asks: bool,
    },
    /// Who has sent this request.
    Asker(Id),
}

/// What a call that sends has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is sent, parked, or nobody wants it.
    Sent,
    /// The same, of a call that does not wait: it may be on its way to being parked.
    Taken,
    /// There was no room in time; of a multicast, so many have got it all the same.
    NoRoom(u32),
    /// Nobody could be asked.
    Nobody,
    /// Any other error.
    Failed,
}

/// How the wait for a reply has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this reply.
    Reply(Id),
    /// Who was asked is gone.
    PeerGone,
    /// Nobody came within the ttl.
    Expired,
    /// The asker has lost interest.
    Dropped,
    /// Any other error.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// `join` is about to be called, with these words.
    Joining(Session, Words),
    /// It has returned.
    Joined(Session),
    /// The receiver is read no more, and about to be dropped.
    Leaving(Session),
    /// It is dropped, and the sender too.
    Left(Session),
    /// A process is about to be killed.
    Killing(Process),
    /// It is dead.
    Dead(Process),
    /// It is about to be killed, and serves the bus.
    Serving(Process),
    /// It is about to be stopped.
    Stopping(Process),
    /// It is about to go on.
    Continuing(Process),
    /// A message is about to be sent.
    Sending(Id, To, Contents),
    /// The call has returned.
    Returned(Id, Outcome),
    /// It has been received.
    Received(Session, Id, Contents),
    /// A request is over.
    Over(Id, End),
}

/// What happened, and when: see [`now`](super::now).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What time it was, before the record was written.
    pub time: u64,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// Its bytes.
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let words = [&[self.time][..], &encode(&self.event)].concat();
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// What these bytes say.
    pub fn decode(bytes: &[u8; LEN]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Some(Self {
            time: words[0],
            event: decode(&words[1..])?,
        })
    }
}

/// Two numbers in one word.
fn two(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

fn contents(it: &Contents) -> [u64; 2] {
    let counts = u32::from(it.objects) | u32::from(it.regions) << 16;
    [two(it.size, counts), it.checksum]
}

/// The kind comes first; what there is of numbers, behind it.
fn encode(event: &Event) -> Vec<u64> {
    match *event {
        Event::Joining(session, words) => vec![1, session.0.into(), words.0],
        Event::Joined(session) => vec![2, session.0.into()],
        Event::Leaving(session) => vec![3, session.0.into()],
        Event::Left(session) => vec![4, session.0.into()],
        Event::Killing(process) => vec![5, process.0.into()],
        Event::Dead(process) => vec![6, process.0.into()],
        Event::Serving(process) => vec![14, process.0.into()],
        Event::Stopping(process) => vec![7, process.0.into()],
        Event::Continuing(process) => vec![8, process.0.into()],
        Event::Sending(id, to, it) => {
            let (kind, to) = match to {
                To::Asker(request) => (9, [request.0, 0]),
                To::Selector {
                    code,
                    mode,
                    ttl,
                    asks,
                } => {
                    let all = matches!(mode, SelectorMode::Multicast);
                    (10, [two(code.0, ttl), two(all.into(), asks.into())])
                }
            };
            [&[kind, id.0][..], &to, &contents(&it)].concat()
        }
        Event::Returned(id, outcome) => {
            let [kind, count] = match outcome {
                Outcome::Sent => [0, 0],
                Outcome::Taken => [1, 0],
                Outcome::NoRoom(count) => [2, count],
                Outcome::Nobody => [3, 0],
                Outcome::Failed => [4, 0],
            };
            vec![11, id.0, two(kind, count)]
        }
        Event::Received(session, id, it) => {
            [&[12, session.0.into(), id.0][..], &contents(&it)].concat()
        }
        Event::Over(id, end) => {
            let [kind, reply] = match end {
                End::Reply(reply) => [0, reply.0],
                End::PeerGone => [1, 0],
                End::Expired => [2, 0],
                End::Dropped => [3, 0],
                End::Failed => [4, 0],
            };
            vec![13, id.0, kind, reply]
        }
    }
}

fn decode(words: &[u64]) -> Option<Event> {
    let [kind, a, b, c, d, e, ..] = *words else {
        return None;
    };
    let (low, high) = (|word: u64| word as u32, |word: u64| (word >> 32) as u32);
    let contents = |one: u64, checksum: u64| Contents {
        size: low(one),
        checksum,
        objects: high(one) as u16,
        regions: (high(one) >> 16) as u16,
    };
    let (session, process, id) = (Session(low(a)), Process(low(a)), Id(a));
    Some(match kind {
        1 => Event::Joining(session, Words(b)),
        2 => Event::Joined(session),
        3 => Event::Leaving(session),
        4 => Event::Left(session),
        5 => Event::Killing(process),
        6 => Event::Dead(process),
        7 => Event::Stopping(process),
        14 => Event::Serving(process),
        8 => Event::Continuing(process),
        9 => Event::Sending(id, To::Asker(Id(b)), contents(d, e)),
        10 => {
            let to = To::Selector {
                code: Code(low(b)),
                mode: match low(c) {
                    0 => SelectorMode::Unicast,
                    _ => SelectorMode::Multicast,
                },
                ttl: high(b),
                asks: high(c) != 0,
            };
            Event::Sending(id, to, contents(d, e))
        }
        11 => Event::Returned(
            id,
            match low(b) {
                0 => Outcome::Sent,
                1 => Outcome::Taken,
                2 => Outcome::NoRoom(high(b)),
                3 => Outcome::Nobody,
                4 => Outcome::Failed,
                _ => return None,
            },
        ),
        12 => Event::Received(session, Id(b), contents(c, d)),
        13 => Event::Over(
            id,
            match b {
                0 => End::Reply(Id(c)),
                1 => End::PeerGone,
                2 => End::Expired,
                3 => End::Dropped,
                4 => End::Failed,
                _ => return None,
            },
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_was_written() {
        let (process, session) = (Process(65_000), Session::of(Process(65_000), 200));
        let id = Id::of(session, 3, 4_000_000_000);
        assert_eq!((id.session(), session.process()), (session, process));
        let it = Contents {
            size: 8 << 20,
            checksum: u64::MAX - 1,
            objects: 40_000,
            regions: 50_000,
        };
        let selector = |mode, asks| To::Selector {
            code: Code(u32::MAX),
            mode,
            ttl: 4_000_000_000,
            asks,
        };
        let mut events = vec![
            Event::Joining(session, Words(u64::MAX)),
            Event::Joined(session),
            Event::Leaving(session),
            Event::Left(session),
            Event::Killing(process),
            Event::Dead(process),
            Event::Stopping(process),
            Event::Serving(process),
            Event::Continuing(process),
            Event::Sending(id, To::Asker(Id(7)), it),
            Event::Sending(id, selector(SelectorMode::Unicast, true), it),
            Event::Sending(id, selector(SelectorMode::Multicast, false), it),
            Event::Received(session, id, it),
        ];
        let outcomes = [
            Outcome::Sent,
            Outcome::Taken,
            Outcome::NoRoom(9),
            Outcome::Nobody,
            Outcome::Failed,
        ];
        events.extend(outcomes.map(|outcome| Event::Returned(id, outcome)));
        let ends = [
            End::Reply(Id(5)),
            End::PeerGone,
            End::Expired,
            End::Dropped,
            End::Failed,
        ];
        events.extend(ends.map(|end| Event::Over(id, end)));
        for event in events {
            let record = Record {
                time: u64::MAX / 3,
                event,
            };
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(Record::decode(&[0; LEN]), None);
    }
}
