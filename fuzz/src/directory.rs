//! The directory's log, from memory that the controller may write at any time to who is on the bus.

use arbitrary::{Arbitrary, Unstructured};
use ipmb_core::{
    Directory, EndpointId, Label, LabelOp, Member, Overflow, ReceiveLimits, Record, SelectorMode,
};
use ipmb_lane::{HeapMemory, LogRead, LogReader, LogWriter, Word};

use crate::{meter, selector, wire::round_trip};

/// Bytes of the log's header, and of each of its areas.
const HEADER: usize = 4096;
const AREA: usize = 1 << 10;
const LEN: usize = HEADER + 2 * AREA;

#[derive(Debug, Arbitrary)]
enum Op {
    Append(Entry),
    Replace(Vec<Entry>),
    Read,
    /// The word that says how much there is.
    State {
        replacements: u32,
        len: u16,
    },
    /// Any word behind the header.
    Poke(u16, u64),
    /// A new reader.
    Attach,
    Match(Expression),
}

/// A record.
#[derive(Debug, Arbitrary)]
enum Entry {
    Bytes(Vec<u8>),
    Join {
        id: u8,
        order: u8,
        words: u8,
        receiving: bool,
    },
    Leave(u8),
    Receiving(u8, bool),
}

/// A small expression over the words that members here have.
#[derive(Debug, Arbitrary)]
enum Expression {
    True,
    Word(u8),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
}

const WORDS: [&str; 4] = ["a", "b", "a long word, which does not fit inline", ""];

/// What is read is what was written, as long as the writer keeps to the layout; if not, no more than an area is read,
/// and the directory that comes of it is a directory.
pub fn directory(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let mut world = World::new();
    while !data.is_empty()
        && let Ok(op) = Op::arbitrary(&mut data)
    {
        world.apply(op);
    }
    world.read();
    world.check();
}

struct World {
    memory: HeapMemory,
    writer: LogWriter<HeapMemory>,
    reader: LogReader<HeapMemory>,
    /// What the writer wrote, while nobody else has.
    written: Option<Vec<Vec<u8>>>,
    read: Vec<Vec<u8>>,
    directory: Directory,
}

impl World {
    fn new() -> Self {
        let memory = HeapMemory::new(LEN);
        let writer = LogWriter::create(memory.clone(), 7).expect("there is room");
        let reader = LogReader::attach(memory.clone()).expect("this is a log");
        Self {
            memory,
            writer,
            reader,
            written: Some(Vec::new()),
            read: Vec::new(),
            directory: Directory::default(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Append(entry) => {
                let record = entry.encode();
                if self.writer.append(&record).is_ok()
                    && let Some(written) = &mut self.written
                {
                    written.push(record);
                }
            }
            Op::Replace(entries) => {
                let records: Vec<_> = entries.iter().map(Entry::encode).collect();
                let replaced = self.writer.replace(records.iter().map(Vec::as_slice));
                if replaced.is_ok()
                    && let Some(written) = &mut self.written
                {
                    *written = records;
                }
            }
            Op::Read => self.read(),
            Op::State { replacements, len } => {
                self.poke(128, u64::from(replacements) << 40 | u64::from(len));
            }
            Op::Poke(at, value) => {
                let at = HEADER + usize::from(at) % (2 * AREA) / 8 * 8;
                self.poke(at, value);
            }
            Op::Attach => {
                self.reader = LogReader::attach(self.memory.clone()).expect("this is a log");
                self.read.clear();
            }
            Op::Match(op) => self.matching(&op.into()),
        }
    }

    fn poke(&mut self, at: usize, value: u64) {
        self.written = None;
        let word = Word::new(self.memory.clone(), at).expect("it is in there");
        word.store(value);
    }

    fn read(&mut self) {
        let mut records = Vec::new();
        let (found, peak) = meter::peak(|| self.reader.read(&mut records));
        // A record is at least its length of four bytes, and a vector of 24 here; and the list of them doubles.
        assert!(peak <= 24 * AREA + 1024, "{peak} bytes to read a log");
        assert!(records.iter().map(|it| it.len() + 4).sum::<usize>() <= AREA);
        let decoded: Vec<_> = (records.iter())
            .filter_map(|bytes| round_trip(bytes, |it| Record::decode(it).ok(), Record::encode))
            .collect();
        match found {
            Ok(LogRead::Unchanged) => assert!(records.is_empty()),
            Ok(LogRead::Delta) => {
                self.read.extend(records);
                decoded
                    .into_iter()
                    .for_each(|record| self.directory.apply(record));
            }
            Ok(LogRead::Snapshot) => {
                self.read = records;
                self.directory.apply_snapshot(decoded);
            }
            Ok(_) => unreachable!("nothing else can be read"),
            Err(_) => assert_eq!(self.written, None, "an honest log is corrupt"),
        }
        if let Some(written) = &self.written {
            assert_eq!(&self.read, written);
            assert!(!self.reader.changed());
        }
    }

    fn check(&self) {
        let members: Vec<&Member> = self.directory.iter().collect();
        assert_eq!(self.directory.len(), members.len());
        assert!(members.is_sorted_by_key(|member| (member.order, member.id)));
        for &member in &members {
            assert_eq!(self.directory.get(member.id), Some(member));
        }
        let mut other = Directory::default();
        other.apply_snapshot(self.directory.snapshot());
        assert_eq!(other, self.directory);
        for word in WORDS {
            self.matching(&LabelOp::from(word));
        }
    }

    fn matching(&self, op: &LabelOp) {
        let matching: Vec<EndpointId> = (self.directory.iter())
            .filter(|member| member.receiving && selector::means(op, &member.label))
            .map(|member| member.id)
            .collect();
        let all = self.directory.matching(op, SelectorMode::Multicast);
        assert_eq!(all[..], matching);
        let first = self.directory.matching(op, SelectorMode::Unicast);
        assert_eq!(first.first(), matching.first());
        assert!(first.len() <= 1);
    }
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Bytes(ref bytes) => bytes.clone(),
            Self::Join {
                id,
                order,
                words,
                receiving,
            } => {
                let words = (0..4).filter(|bit| words & 1 << bit != 0);
                let member = Member {
                    id: EndpointId(u64::from(id) % 8),
                    order: u64::from(order),
                    pid: 1,
                    uid: 1,
                    label: Label::from(words.map(|bit| WORDS[bit])),
                    receiving,
                    limits: ReceiveLimits {
                        message: 1,
                        budget: 1,
                        overflow: Overflow::Block,
                    },
                };
                Record::Join(member).encode()
            }
            Self::Leave(id) => {
                let leaver = EndpointId(u64::from(id) % 8);
                match id < 128 {
                    true => Record::Leave(leaver).encode(),
                    false => Record::GivenUp(leaver).encode(),
                }
            }
            Self::Receiving(id, receiving) => {
                Record::Receiving(EndpointId(u64::from(id) % 8), receiving).encode()
            }
        }
    }
}

impl From<Expression> for LabelOp {
    fn from(op: Expression) -> Self {
        match op {
            Expression::True => Self::True,
            Expression::Word(word) => Self::from(WORDS[usize::from(word) % WORDS.len()]),
            Expression::Not(operand) => !Self::from(*operand),
            Expression::And(left, right) => Self::from(*left).and(*right),
            Expression::Or(left, right) => Self::from(*left).or(*right),
        }
    }
}
