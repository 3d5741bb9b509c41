//! A receiver, and one sender that does what it likes: in its lanes, on its channel, with real objects.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};

use arbitrary::{Arbitrary, Unstructured};
use ipmb::__fuzzing::{Inlet, Pulled, Received, open_parked};
use ipmb_core::{Correlation, LaneMessage, LoanRef, MessageHeader, RegionId, RegionRef};
use ipmb_lane::{LOANS_LEN, Memory, Producer, Word, memory_len};
use ipmb_sys::{Channel, Doorbell, Mapping, OwnedObject, Purpose, create_memory};

/// A lane may have so many bytes.
const BUDGET: u64 = 64 << 10;
const LIMIT: u64 = 16 << 10;
const CAPACITY: usize = 4 << 10;
/// The header of a region, and its size.
const REGION_HEADER: usize = 16 << 10;
const REGION: usize = 4 << 10;
const SEGMENT: usize = 8 << 10;
/// Frames and packets that one input brings, at most.
const ENOUGH: usize = 4000;

#[derive(Debug, Arbitrary)]
enum Op {
    /// A packet on the channel, by its kind, with objects.
    Packet(u8, u64, Vec<Kind>),
    Raw(Vec<u8>, Vec<Kind>),
    /// What an honest sender says first.
    Offer(u8),
    Account,
    Segment(u8, u8),
    /// Frames, in the newest lane.
    Declare(u8),
    Forget(Vec<u8>),
    Plain(u16, Vec<u8>),
    Message(Header, Vec<u8>),
    Lent(u16, Vec<u8>, Vec<Loan>),
    Retire,
    /// Whatever, anywhere.
    Poke(Kind, u16, u64),
    Pull(u8),
    Tidy,
    Parked(Header, Vec<u8>, Vec<Kind>),
    ParkedRaw(Vec<u8>, Vec<Kind>),
}

/// Objects.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    Lane,
    Doorbell,
    Lease,
    Segment,
    Region,
    Null,
}

#[derive(Debug, Arbitrary)]
struct Header {
    objects: u8,
    regions: Vec<(bool, bool, u8)>,
    correlation: Option<(bool, u64)>,
    /// In front of the payload.
    sequence: u8,
}

#[derive(Debug, Arbitrary)]
struct Loan {
    position: u8,
    loan: u32,
    slot: u8,
    epoch: u8,
    offset: u32,
    len: u32,
}

/// The receiver gives out what was sent, within its limits and within the memory that it was given, or cuts the sender
/// off, and in the end has none of its objects any more.
pub fn source(data: &[u8]) {
    let before = descriptors();
    run(&mut Unstructured::new(data));
    let after = descriptors();
    assert_eq!(after, before, "descriptors are left");
}

fn run(data: &mut Unstructured<'_>) {
    let mut sender = Sender::new();
    let mut alive = true;
    while alive
        && !data.is_empty()
        && let Ok(op) = Op::arbitrary(data)
    {
        alive = sender.apply(op);
    }
    for _ in 0..ENOUGH {
        if !alive || !sender.pull() {
            // It goes on with its lanes when it is closed, whatever is in them.
            return sender.inlet.close();
        }
    }
    panic!("this goes on for ever");
}

struct Object {
    object: OwnedObject,
    memory: Shared,
}

struct Sender {
    channel: Channel,
    inlet: Inlet,
    offered: u32,
    lane: Object,
    producer: Option<Producer<Shared>>,
    doorbell: Doorbell,
    lease: Object,
    segment: Object,
    region: Object,
    null: File,
    /// Messages that are kept a while, as a user may.
    kept: Vec<Received>,
}

impl Sender {
    fn new() -> Self {
        let (channel, theirs) = Channel::pair().expect("a channel");
        let region = Object::new(REGION_HEADER + REGION);
        for (at, value) in [(0, u64::from_le_bytes(*b"ipmb-mr1")), (3, REGION as u64)] {
            region.poke(at * 8, value);
        }
        Self {
            channel,
            inlet: Inlet::new(theirs, BUDGET, LIMIT),
            offered: 0,
            lane: Object::new(memory_len(CAPACITY)),
            producer: None,
            doorbell: Doorbell::create().expect("a doorbell"),
            lease: Object::new(LOANS_LEN),
            segment: Object::new(SEGMENT),
            region,
            null: File::open("/dev/null").expect("it is there"),
            kept: Vec::new(),
        }
    }

    /// False: it has been cut off.
    fn apply(&mut self, op: Op) -> bool {
        match op {
            Op::Packet(kind, value, objects) => {
                let mut bytes = [kind % 6; 9];
                bytes[1..].copy_from_slice(&value.to_le_bytes());
                self.packet(&bytes, &objects);
            }
            Op::Raw(bytes, objects) => self.packet(&bytes, &objects),
            Op::Offer(capacity) => self.offer(usize::from(capacity)),
            Op::Account => self.packet(&[3, 0, 0, 0, 0, 0, 0, 0, 0], &[Kind::Lease]),
            Op::Segment(slot, epoch) => {
                let packet = [4, epoch, 0, 0, 0, slot, 0, 0, 0];
                self.packet(&packet, &[Kind::Segment]);
            }
            Op::Declare(name) => self.frame(0, &LaneMessage::encode_declare([name; 16])),
            Op::Forget(ids) => {
                let ids: Vec<_> = ids.iter().map(|id| RegionId([*id; 16])).collect();
                self.frame(0, &LaneMessage::encode_forget(&ids));
            }
            Op::Plain(tag, bytes) => self.frame(tag, &bytes),
            Op::Message(header, payload) => self.frame(0, &header.before(&payload)),
            Op::Lent(tag, mut bytes, loans) => {
                let loans: Vec<_> = loans.iter().map(Loan::reference).collect();
                LoanRef::append_all(&loans, &mut bytes);
                self.frame(tag | LoanRef::TAG_BIT, &bytes);
            }
            Op::Retire => {
                self.producer.iter_mut().for_each(Producer::retire);
            }
            Op::Poke(kind, at, value) => {
                let object = match kind {
                    Kind::Lane | Kind::Doorbell => &self.lane,
                    Kind::Lease => &self.lease,
                    Kind::Segment => &self.segment,
                    Kind::Region | Kind::Null => &self.region,
                };
                object.poke(usize::from(at) * 8, value);
            }
            Op::Pull(times) => return (0..times % 8).all(|_| self.pull()),
            Op::Tidy => self.inlet.tidy(),
            Op::Parked(header, payload, objects) => self.parked(header.before(&payload), &objects),
            Op::ParkedRaw(body, objects) => self.parked(body, &objects),
        }
        true
    }

    fn packet(&self, bytes: &[u8], objects: &[Kind]) {
        let objects: Vec<_> = objects.iter().map(|kind| self.object(*kind)).collect();
        // Full is full.
        let _ = self.channel.try_send(bytes, &objects);
    }

    /// Offers a lane of 4 KiB, or of a size that does not do.
    fn offer(&mut self, kind: usize) {
        let len = match kind % 8 {
            0 => memory_len(2 << 10),
            1 => memory_len(256 << 10),
            2 => 100,
            _ => memory_len(CAPACITY),
        };
        self.lane = Object::new(len);
        self.producer = Producer::create(self.lane.memory.clone(), kind % 16 > 8).ok();
        let mut packet = [1; 9];
        packet[1..].copy_from_slice(&u64::from(self.offered).to_le_bytes());
        self.packet(&packet, &[Kind::Lane, Kind::Doorbell]);
        self.offered += 1;
    }

    fn frame(&mut self, tag: u16, bytes: &[u8]) {
        let Some(producer) = &mut self.producer else {
            return;
        };
        if let Ok(mut grant) = producer.reserve(bytes.len())
            && grant.write(bytes).is_ok()
        {
            return grant.commit(tag);
        }
        let _ = producer.push_fragment(tag, bytes.len() as u64, 0, &[bytes]);
    }

    /// Receives once. False: the sender has been cut off, or there is nothing.
    fn pull(&mut self) -> bool {
        match self.inlet.pull() {
            Pulled::Message(message) => {
                self.look_at(message);
                true
            }
            Pulled::More => true,
            Pulled::Nothing | Pulled::Malformed | Pulled::Resources => false,
        }
    }

    fn parked(&mut self, body: Vec<u8>, objects: &[Kind]) {
        let objects = objects.iter().map(|kind| self.object(*kind));
        let objects = objects.map(|it| it.try_clone_to_owned().expect("a descriptor"));
        if let Some(message) = open_parked(body, objects.collect()) {
            self.look_at(message);
        }
    }

    /// Reads all that a user could, to the last byte.
    fn look_at(&mut self, mut message: Received) {
        assert!(message.payload.len() as u64 <= LIMIT);
        for region in &mut message.regions {
            if let Ok(bytes) = region.map(..) {
                assert!(bytes.len() <= REGION);
                std::hint::black_box((bytes.first(), bytes.last()));
            }
            assert!(region.ref_count() <= REGION_HEADER as u32);
        }
        for bytes in &message.lent {
            std::hint::black_box((bytes.first(), bytes.last()));
        }
        assert!(message.objects <= ENOUGH);
        if self.kept.len() < 4 {
            self.kept.push(message);
        } else {
            self.kept.clear();
        }
    }

    fn object(&self, kind: Kind) -> BorrowedFd<'_> {
        match kind {
            Kind::Lane => self.lane.object.as_fd(),
            Kind::Doorbell => self.doorbell.as_fd(),
            Kind::Lease => self.lease.object.as_fd(),
            Kind::Segment => self.segment.object.as_fd(),
            Kind::Region => self.region.object.as_fd(),
            Kind::Null => self.null.as_fd(),
        }
    }
}

impl Header {
    fn before(&self, payload: &[u8]) -> Vec<u8> {
        let mut header = MessageHeader::new([9; 16]);
        header.objects = u32::from(self.objects) % 8;
        let reference = |&(ours, with_object, cell): &(bool, bool, u8)| RegionRef {
            id: RegionId(if ours { [0; 16] } else { [cell; 16] }),
            size: REGION as u64,
            cell: cell.into(),
            owner: 0,
            nonce: cell.into(),
            with_object,
        };
        header.regions = self.regions.iter().map(reference).collect();
        header.correlation = self.correlation.map(|(reply, number)| match reply {
            true => Correlation::Reply(number),
            false => Correlation::Request(number),
        });
        let mut frame = Vec::new();
        header.encode(&mut frame);
        if header.objects > 0 || !header.regions.is_empty() {
            frame.extend(u64::from(self.sequence).to_le_bytes());
        }
        frame.extend(payload);
        frame
    }
}

impl Loan {
    fn reference(&self) -> LoanRef {
        LoanRef {
            position: self.position.into(),
            loan: self.loan,
            slot: self.slot.into(),
            epoch: self.epoch.into(),
            offset: u64::from(self.offset) % (2 * SEGMENT as u64),
            len: u64::from(self.len) % (2 * SEGMENT as u64),
        }
    }
}

/// The sender's own mapping.
#[derive(Clone)]
struct Shared(std::sync::Arc<Mapping>);

// SAFETY: the mapping is page-aligned, for writing, and stays where it is until the last clone is dropped.
unsafe impl Memory for Shared {
    fn as_ptr(&self) -> *mut u8 {
        self.0.as_ptr()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl Object {
    fn new(len: usize) -> Self {
        let (object, mapping) = create_memory(Purpose::Shared, len, false).expect("memory");
        let memory = Shared(mapping.into());
        Self { object, memory }
    }

    fn poke(&self, at: usize, value: u64) {
        let at = at % (self.memory.len() / 8 * 8);
        let word = Word::new(self.memory.clone(), at).expect("it is in there");
        word.store(value);
    }
}

/// How many descriptors this process has.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
