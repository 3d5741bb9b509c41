//! What a sender may write that no honest one does.

use super::*;
use crate::{
    Object, Options,
    endpoint::{Endpoint, SharedPages},
    label,
    peer::{Attempt, FIRST_CAPACITY, Line, Outbound, PairPacket, Progress},
};
use ipmb_core::{EndpointId, FrameError, Overflow, ParkId, ReceiveLimits, TypeId};
use ipmb_lane::{Producer, memory_len};
use ipmb_sys::{Purpose, create_memory};
use std::{fs::File, os::fd::AsFd};

const TYPE: TypeId = *b"sixteen bytes id";

/// A sender's lane, and the source that reads it.
fn lane() -> (Producer<Shared>, Source) {
    let (_, producer, source) = line();
    (producer, source)
}

/// The same, and the sender's end of the channel.
fn line() -> (Channel, Producer<Shared>, Source) {
    let (ours, theirs) = Channel::pair().unwrap();
    let (object, mapping) =
        create_memory(Purpose::Shared, memory_len(FIRST_CAPACITY), false).unwrap();
    let producer = Producer::create(Shared::new(mapping), false).unwrap();
    let room = Doorbell::create().unwrap();
    let packet = PairPacket::Lane { number: 0 }.encode();
    ours.try_send(&packet, &[object.as_fd(), room.as_fd()])
        .unwrap();
    let mut source = Source::new(ipmb_core::EndpointId(1), 0, Arc::new(theirs), 0, 1 << 20);
    assert!(source.channel_news().is_ok());
    (ours, producer, source)
}

fn send(producer: &mut Producer<Shared>, tag: u16, bytes: &[u8]) {
    let mut grant = producer.reserve(bytes.len()).unwrap();
    grant.write(bytes).unwrap();
    grant.commit(tag);
}

fn declare(producer: &mut Producer<Shared>, type_id: TypeId) {
    let declaration = LaneMessage::encode_declare(type_id);
    send(producer, LaneMessage::TAG, &declaration);
}

/// What comes of pulling until something comes of it.
fn pull_on(source: &mut Source) -> Result<Pull, PullError> {
    loop {
        match source.pull(&mut Vec::new(), 1 << 20) {
            Ok(Pull::More) => {}
            other => return other,
        }
    }
}

/// The types and payloads of all messages, until there are no more or one is malformed.
fn pull_all(source: &mut Source) -> (Vec<(TypeId, Vec<u8>)>, Option<FrameError>) {
    let (mut messages, mut buffer) = (Vec::new(), Vec::new());
    loop {
        match source.pull(&mut buffer, 1 << 20) {
            Ok(Pull::Message(incoming)) => {
                messages.push((incoming.type_id, buffer[incoming.payload].to_vec()));
            }
            Ok(Pull::More) => {}
            Ok(Pull::Nothing) => return (messages, None),
            Err(PullError::Malformed(Malformed::Frame(error))) => return (messages, Some(error)),
            Err(_) => panic!("another error was expected"),
        }
    }
}

/// A message that says that it has so many objects, and what its number is.
fn send_with_objects(producer: &mut Producer<Shared>, objects: u32, sequence: u64) {
    let mut frame = Vec::new();
    let mut header = MessageHeader::new(TYPE);
    header.objects = objects;
    header.encode(&mut frame);
    frame.extend(sequence.to_le_bytes());
    send(producer, LaneMessage::TAG, &frame);
}

/// A message with one object, as its sender sends it in several attempts.
fn attached(bytes: usize) -> (Vec<Object>, Progress) {
    let mut body = Vec::new();
    let mut header = MessageHeader::new(TYPE);
    header.objects = 1;
    header.encode(&mut body);
    let number_at = body.len();
    body.resize(number_at + 8 + bytes, 0);
    let object = OwnedObject::from(File::open("/dev/null").unwrap());
    let progress = Progress::of_parked(body, Some(number_at));
    (vec![object.into()], progress)
}

#[test]
fn who_waits_while_another_message_is_given_up_comes_with_its_objects() {
    let (ours, theirs) = Channel::pair().unwrap();
    let mut source = Source::new(EndpointId(1), 0, Arc::new(theirs), 0, 1 << 20);
    let limits = ReceiveLimits {
        message: 1 << 20,
        budget: FIRST_CAPACITY as u64,
        overflow: Overflow::Block,
    };
    let room = Doorbell::create().unwrap();
    let endpoint = Endpoint::new(Options::new("test", label!(), ""), "").unwrap();
    let (doorbell, page, ready) = endpoint.inbox.objects();
    let shared = SharedPages::map(page.as_fd(), ready.as_fd()).unwrap();
    let reach = shared.reach(Arc::new(ours), doorbell.try_clone().unwrap());
    let mut line = Line::new(reach, limits, true);
    let large = FIRST_CAPACITY / 4;
    // The lane is full when the first comes, which gets its number and waits.
    let (objects, mut filler) = attached(2 * FIRST_CAPACITY);
    let outbound = Outbound::of_parked(&objects, true);
    let attempt = line.attempt(&outbound, &mut filler, &room);
    assert!(matches!(attempt, Attempt::Full));
    line.finish(&mut filler);
    let (objects, mut first) = attached(large);
    let outbound = Outbound::of_parked(&objects, true);
    let attempt = line.attempt(&outbound, &mut first, &room);
    assert!(matches!(attempt, Attempt::Full));
    // Another one is given up half-way.
    assert!(source.channel_news().is_ok());
    assert!(matches!(pull_on(&mut source), Ok(Pull::Nothing)));
    let (others, mut second) = attached(2 * FIRST_CAPACITY);
    let other = Outbound::of_parked(&others, true);
    let attempt = line.attempt(&other, &mut second, &room);
    assert!(matches!(attempt, Attempt::Full) && second.bytes_sent > 0);
    line.finish(&mut second);
    assert!(matches!(pull_on(&mut source), Ok(Pull::Nothing)));
    // Its object has not gone before all of it could.
    let found = loop {
        match source.search(|source| Ok(source.waiting > 0)) {
            Ok(Search::Later) => {}
            other => break other,
        }
    };
    assert!(matches!(found, Ok(Search::Nothing)));
    let attempt = line.attempt(&outbound, &mut first, &room);
    assert!(matches!(attempt, Attempt::Sent));
    let Ok(Pull::Message(incoming)) = pull_on(&mut source) else {
        panic!("it does not come with its object");
    };
    assert_eq!(incoming.objects.len(), 1);
}

#[test]
fn objects_of_a_message_may_come_in_several_packets_and_behind_those_of_one_given_up() {
    let (channel, mut producer, mut source) = line();
    let bell = Doorbell::create().unwrap();
    for (sequence, count) in [(0, 2), (1, 2), (1, 1), (2, 1)] {
        let packet = PairPacket::Objects { sequence }.encode();
        channel
            .try_send(&packet, &vec![bell.as_fd(); count])
            .unwrap();
    }
    send_with_objects(&mut producer, 3, 1);
    send_with_objects(&mut producer, 1, 2);
    for count in [3, 1] {
        match pull_on(&mut source) {
            Ok(Pull::Message(incoming)) => assert_eq!(incoming.objects.len(), count),
            _ => panic!("a message was expected"),
        }
    }
    assert!(source.objects.is_empty());
}

#[test]
fn objects_that_are_missing_are_malformed() {
    for (sequence, count) in [(1, 0), (1, 1), (0, 2), (2, 2)] {
        let (channel, mut producer, mut source) = line();
        let bell = Doorbell::create().unwrap();
        let packet = PairPacket::Objects { sequence }.encode();
        channel
            .try_send(&packet, &vec![bell.as_fd(); count])
            .unwrap();
        send_with_objects(&mut producer, 2, 1);
        let pulled = pull_on(&mut source);
        assert!(matches!(pulled, Err(PullError::Malformed(_))));
    }
}

#[test]
fn tags_mean_what_was_declared() {
    let (mut producer, mut source) = lane();
    declare(&mut producer, TYPE);
    declare(&mut producer, [2; 16]);
    send(&mut producer, 2, b"two");
    send(&mut producer, 1, b"");
    let envelope = [&MessageHeader::encode_fixed([3; 16])[..], b"three"].concat();
    send(&mut producer, LaneMessage::TAG, &envelope);
    let expected = vec![
        ([2; 16], b"two".to_vec()),
        (TYPE, Vec::new()),
        ([3; 16], b"three".to_vec()),
    ];
    assert_eq!(pull_all(&mut source), (expected, None));
}

#[test]
fn a_tag_that_was_not_declared_is_malformed() {
    for tag in [1, 2, u16::MAX >> 1] {
        let (mut producer, mut source) = lane();
        send(&mut producer, tag, b"what is this");
        // Too late.
        declare(&mut producer, TYPE);
        let expected = Some(FrameError::Undeclared(tag));
        assert_eq!(pull_all(&mut source), (Vec::new(), expected));
    }
}

#[test]
fn a_declaration_that_is_torn_or_too_long_is_malformed() {
    let declaration = LaneMessage::encode_declare(TYPE);
    for (bytes, error) in [
        (declaration[..16].to_vec(), FrameError::Truncated),
        (declaration[..1].to_vec(), FrameError::Truncated),
        ([&declaration[..], b"!"].concat(), FrameError::NotCanonical),
    ] {
        let (mut producer, mut source) = lane();
        send(&mut producer, LaneMessage::TAG, &bytes);
        assert_eq!(pull_all(&mut source), (Vec::new(), Some(error)));
    }
}

#[test]
fn more_types_than_are_remembered_are_malformed() {
    let (mut producer, mut source) = lane();
    for number in 0..=DeclaredTypes::MOST as u8 {
        declare(&mut producer, [number; 16]);
    }
    let (messages, error) = pull_all(&mut source);
    assert!(messages.is_empty());
    assert_eq!(error, Some(FrameError::TooManyTypes));
}

#[test]
fn what_was_pulled_and_put_back_comes_next() {
    let (mut producer, mut source) = lane();
    declare(&mut producer, TYPE);
    assert!(matches!(
        source.pull(&mut Vec::new(), 1 << 20),
        Ok(Pull::More)
    ));
    let first = [&MessageHeader::encode_fixed(TYPE)[..], b"first"].concat();
    send(&mut producer, LaneMessage::TAG, &first);
    send(&mut producer, 1, b"second");

    let mut buffer = Vec::new();
    assert_eq!(
        source.pull_at_once(&mut buffer, 1 << 20),
        Some(LaneMessage::TAG)
    );
    source.put_back(LaneMessage::TAG, std::mem::take(&mut buffer));
    assert!(source.has_news());
    assert_eq!(source.pull_at_once(&mut buffer, 1 << 20), None);
    let (messages, error) = pull_all(&mut source);
    assert!(error.is_none());
    let payloads: Vec<_> = messages.iter().map(|(_, payload)| &payload[..]).collect();
    assert_eq!(payloads, [&b"first"[..], b"second"]);
}

#[test]
fn an_envelope_with_loans_takes_the_long_way() {
    let (mut producer, mut source) = lane();
    send(
        &mut producer,
        LaneMessage::TAG | LoanRef::TAG_BIT,
        b"an envelope, a payload, references",
    );
    assert_eq!(source.pull_at_once(&mut Vec::new(), 1 << 20), None);
    assert!(source.has_news());
}

#[test]
fn a_message_that_somebody_else_has_parked_is_malformed() {
    for (sender, is_good) in [(1, true), (2, false)] {
        let (mut producer, mut source) = lane();
        let mut header = MessageHeader::new(TYPE);
        header.parked = Some(ParkId {
            sender: EndpointId(sender),
            sequence: 7,
        });
        let mut frame = Vec::new();
        header.encode(&mut frame);
        send(&mut producer, LaneMessage::TAG, &frame);
        let pulled = source.pull(&mut Vec::new(), 1 << 20);
        assert_eq!(matches!(pulled, Ok(Pull::Message(_))), is_good);
        let malformed = matches!(pulled, Err(PullError::Malformed(Malformed::Parked)));
        assert_eq!(malformed, !is_good);
    }
}

#[test]
fn more_objects_than_a_message_may_have_are_not_collected() {
    let (channel, mut producer, mut source) = line();
    let bell = Doorbell::create().unwrap();
    let packet = PairPacket::Objects { sequence: 1 }.encode();
    channel.try_send(&packet, &[bell.as_fd(); 9]).unwrap();
    send_with_objects(&mut producer, 4097, 1);
    let pulled = source.pull(&mut Vec::new(), 1 << 20);
    let why = |it| {
        matches!(
            it,
            Err(PullError::Malformed(Malformed::TooManyObjects(4097)))
        )
    };
    assert!(why(pulled));
    assert!(source.objects.is_empty());
}

#[test]
fn objects_of_nobody_are_not_collected_without_end() {
    let (channel, _producer, mut source) = line();
    let null = File::open("/dev/null").unwrap();
    let packet = PairPacket::Objects { sequence: 1 }.encode();
    let objects = [null.as_fd(); 20];
    let refused = (0..1000).find_map(|_| {
        channel.try_send(&packet, &objects).unwrap();
        match source.read_channel() {
            Ok(_) => None,
            Err(PullError::Malformed(why)) => Some(matches!(why, Malformed::TooManyObjects(_))),
            // The process has not so many descriptors.
            Err(PullError::Resources(_)) => Some(true),
        }
    });
    assert_eq!(refused, Some(true));
    assert!(
        source.waiting < 4096 + 2 * 253,
        "{} objects",
        source.waiting
    );
}

#[test]
fn more_lanes_than_a_sender_needs_are_malformed() {
    let (channel, _producer, mut source) = line();
    let (object, mapping) =
        create_memory(Purpose::Shared, memory_len(FIRST_CAPACITY), false).unwrap();
    let _other = Producer::create(Shared::new(mapping), false).unwrap();
    let room = Doorbell::create().unwrap();
    let refused = (1..100).find(|&number| {
        let packet = PairPacket::Lane { number }.encode();
        let objects = [object.as_fd(), room.as_fd()];
        channel.try_send(&packet, &objects).unwrap();
        source.read_channel().is_err()
    });
    assert_eq!(refused, Some(32));
}

#[test]
fn more_bytes_of_lanes_than_a_sender_needs_are_malformed() {
    let (channel, _producer, mut source) = line();
    let room = Doorbell::create().unwrap();
    // As an honest sender does it, to the budget; and once more.
    for (number, capacity) in (1..).zip([256 << 10, 1 << 20, 1 << 20]) {
        let (object, mapping) =
            create_memory(Purpose::Shared, memory_len(capacity), false).unwrap();
        let _other = Producer::create(Shared::new(mapping), false).unwrap();
        let packet = PairPacket::Lane { number }.encode();
        channel
            .try_send(&packet, &[object.as_fd(), room.as_fd()])
            .unwrap();
        let read = source.read_channel();
        assert_eq!(read.is_err(), number == 3, "lane {number}");
        let usage = source.usage(0);
        assert!(usage.mapped.used <= usage.mapped.limit && usage.lanes.used < 4);
    }
}

#[test]
fn who_is_cut_off_is_not_read_for_as_long_as_it_writes() {
    let (mut producer, mut source) = lane();
    let frame = MessageHeader::encode_fixed(TYPE);
    while producer.reserve(frame.len()).is_ok() {
        send(&mut producer, LaneMessage::TAG, &frame);
    }
    let (closing, closed) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            source.close();
            while source.drain() {}
            closing.send(()).unwrap();
        });
        // A sender that sees that the lane is closed and does not care.
        while closed.try_recv().is_err() {
            if producer.reserve(frame.len()).is_ok() {
                send(&mut producer, LaneMessage::TAG, &frame);
            }
        }
    });
    let most = 2 * FIRST_CAPACITY as u64 + 64;
    assert!(producer.consumed() <= most, "{}", producer.consumed());
}

#[test]
fn one_look_takes_no_longer_than_what_has_arrived_together() {
    let (channel, mut producer, mut source) = line();
    let null = File::open("/dev/null").unwrap();
    let packet = PairPacket::Objects { sequence: 1 }.encode();
    // Of a message that does not come; the one that comes is said to have some, too.
    let mut sent = 0;
    while sent < 8 && channel.try_send(&packet, &[null.as_fd(); 100]).is_ok() {
        sent += 1;
    }
    assert!(sent > 4, "{sent} packets fit");
    send_with_objects(&mut producer, 1, 2);
    let mut buffer = Vec::new();
    for _ in 0..sent {
        let pulled = source.pull(&mut buffer, 1 << 20);
        assert!(matches!(pulled, Ok(Pull::More)));
        assert!(source.is_laborious() && source.has_news());
        assert!(source.waiting <= 100, "{} at once", source.waiting);
    }
    let pulled = source.pull(&mut buffer, 1 << 20);
    assert!(matches!(
        pulled,
        Err(PullError::Malformed(Malformed::Objects))
    ));
}

#[test]
fn who_is_cut_off_is_not_read_in_ever_new_lanes() {
    let (channel, mut producer, mut source) = line();
    let room = Doorbell::create().unwrap();
    source.close();
    let mut lanes = 0;
    for number in 1..1000 {
        let (object, mapping) =
            create_memory(Purpose::Shared, memory_len(FIRST_CAPACITY), false).unwrap();
        let next = Producer::create(Shared::new(mapping), false).unwrap();
        let packet = PairPacket::Lane { number }.encode();
        let objects = [object.as_fd(), room.as_fd()];
        let offered = channel.try_send(&packet, &objects).is_ok();
        std::mem::replace(&mut producer, next).retire();
        if !offered || !source.drain() {
            break;
        }
        lanes = number;
    }
    assert!(lanes < 40, "{lanes} lanes");
    while source.drain() {}
}

#[test]
fn regions_are_let_go_of_a_few_at_a_time() {
    let (_producer, mut source) = lane();
    for _ in 0..3 * REGIONS {
        let block = Block::create(1, false).unwrap();
        source.regions.insert(block.id(), block);
    }
    source.close();
    let mut parts = 0;
    let mut left = source.regions.len();
    while source.drain() {
        parts += 1;
        assert!(left - source.regions.len() <= REGIONS);
        left = source.regions.len();
    }
    assert!(parts > 2 && source.regions.is_empty());
}
