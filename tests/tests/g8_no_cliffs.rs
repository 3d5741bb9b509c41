//! G8: no cliffs. Any size up to the limit, any label, identifiers of any length; past a limit, a
//! typed error and nothing sent.

use ipmb::{
    BytesMessage, EndpointSender, JoinError, LabelOp, Message, Options, Selector, SendError, label,
};
use ipmb_tests::{Bus, DEADLINE, Peer, checksum, names};
use std::{fs, time::Instant};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

fn join(bus: &Bus, limit: usize) -> EndpointSender<BytesMessage> {
    let options = bus.options(label!("test")).with_message_limit(limit as u64);
    ipmb::join::<_, ()>(options, Some(DEADLINE)).unwrap().0
}

fn weigher(bus: &Bus, name: &str, limit: usize) -> Peer {
    let peer = bus.peer("weigher", &[name, &limit.to_string()]);
    peer.expect("joined");
    peer
}

/// Bytes that look different at every offset.
fn bytes(size: usize) -> BytesMessage {
    let mut state = size as u64 + 1;
    let mut data = vec![0; size];
    for chunk in data.chunks_mut(8) {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        chunk.copy_from_slice(&state.to_be_bytes()[..chunk.len()]);
    }
    BytesMessage { format: 0, data }
}

fn weighed(payload: &BytesMessage) -> String {
    format!("{} {:x}", payload.data.len(), checksum(&payload.data))
}

fn encoded_len(payload: &BytesMessage) -> u64 {
    ipmb::encode(payload).unwrap().len() as u64
}

#[test]
fn g8_messages_of_any_size_arrive_as_they_were() {
    let bus = Bus::new();
    let sender = join(&bus, 256 * MIB);
    let peer = weigher(&bus, "peer", 256 * MIB);
    let sizes = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 100 * MIB];
    // Up and down again: small ones follow large ones in lanes that have grown.
    for size in sizes.into_iter().chain(sizes.into_iter().rev()) {
        let payload = bytes(size);
        let expected = weighed(&payload);
        let start = Instant::now();
        sender
            .send(Message::new(Selector::unicast("peer"), payload))
            .unwrap();
        eprintln!("{size} bytes sent in {:?}", start.elapsed());
        peer.expect(&expected);
    }
}

#[test]
fn g8_a_gibibyte_arrives_as_it_was() {
    let bus = Bus::new();
    let sender = join(&bus, 2 * GIB);
    let peer = weigher(&bus, "peer", 2 * GIB);
    let payload = bytes(GIB);
    let expected = weighed(&payload);
    let start = Instant::now();
    sender
        .send(Message::new(Selector::unicast("peer"), payload))
        .unwrap();
    eprintln!("1 GiB sent in {:?}", start.elapsed());
    peer.expect(&expected);
}

#[test]
fn g8_a_message_over_the_limit_comes_back_and_nothing_is_sent() {
    for size in [1, MIB] {
        let largest = encoded_len(&bytes(size)) as usize;
        for (own, theirs) in [(largest, 4 * largest), (4 * largest, largest)] {
            let bus = Bus::new();
            let sender = join(&bus, own);
            let peer = weigher(&bus, "peer", theirs);
            for _ in 0..3 {
                over_the_limit(&sender, bytes(size + 1), largest as u64);
                let payload = bytes(size);
                let expected = weighed(&payload);
                let message = Message::new(Selector::unicast("peer"), payload);
                sender.send(message).unwrap();
                peer.expect(&expected);
            }
        }
    }
}

fn over_the_limit(sender: &EndpointSender<BytesMessage>, payload: BytesMessage, most: u64) {
    let message = Message::new(Selector::unicast("peer"), payload.clone());
    let error = sender.send_timeout(message, DEADLINE).unwrap_err();
    let SendError::TooLarge { size, limit } = error.reason else {
        panic!("{:?}", error.reason);
    };
    assert_eq!((size, limit), (most + 1, most));
    assert_eq!(error.delivered, 0);
    assert_eq!(error.message.payload, payload);
}

#[test]
fn g8_what_is_too_large_for_one_of_a_multicast_is_sent_to_nobody() {
    let bus = Bus::new();
    let sender = join(&bus, GIB);
    let large = weigher(&bus, "large", GIB);
    let small = weigher(&bus, "small", MIB);
    let message = Message::new(Selector::multicast("weigher"), bytes(2 * MIB));
    let error = sender.send_timeout(message, DEADLINE).unwrap_err();
    let reason = error.reason;
    assert!(matches!(reason, SendError::TooLarge { .. }), "{reason:?}");
    assert_eq!(error.delivered, 0);
    let payload = bytes(1);
    let expected = weighed(&payload);
    let message = Message::new(Selector::multicast("weigher"), payload);
    sender.send(message).unwrap();
    small.expect(&expected);
    large.expect(&expected);
}

#[test]
fn g8_a_message_over_the_limit_is_not_parked() {
    let bus = Bus::new();
    let sender = join(&bus, MIB);
    let mut selector = Selector::unicast("nobody yet");
    selector.ttl = DEADLINE;
    let error = sender.send_timeout(Message::new(selector, bytes(MIB)), DEADLINE);
    let reason = error.unwrap_err().reason;
    assert!(matches!(reason, SendError::TooLarge { .. }), "{reason:?}");
}

#[test]
fn g8_identifiers_of_any_kind_name_a_bus_each() {
    let bus = Bus::new();
    let identifiers = names::identifiers();
    let peers: Vec<Peer> = (0..identifiers.len())
        .map(|number| {
            let peer = bus.peer("namesake", &["identifier", &number.to_string()]);
            peer.expect("joined");
            peer
        })
        .collect();
    for (identifier, peer) in identifiers.iter().zip(&peers) {
        let options =
            Options::new(identifier, label!(), "token").with_runtime_directory(bus.path());
        let (sender, _) = ipmb::join::<String, ()>(options, Some(DEADLINE)).unwrap();
        let text = format!(
            "{:?}",
            identifier.chars().rev().take(20).collect::<String>()
        );
        let selector = Selector::multicast("namesake");
        sender.send(Message::new(selector, text.clone())).unwrap();
        peer.expect(&text);
    }
    // All of them are in the runtime directory, and nothing is beside it.
    let beside = fs::read_dir(bus.path().parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 1);
    let within = fs::read_dir(bus.path()).unwrap();
    assert_eq!(within.count(), 2 * identifiers.len());
}

#[test]
fn g8_labels_may_have_many_and_long_words() {
    let bus = Bus::new();
    let (sender, _receiver) =
        ipmb::join::<String, ()>(bus.options(label!("test")), Some(DEADLINE)).unwrap();
    for (words, length) in [(1, 1_000_000), (100_000, 10), (1000, 1000)] {
        let peer = bus.peer(
            "namesake",
            &["label", &words.to_string(), &length.to_string()],
        );
        peer.expect("joined");
        let all = (0..words.min(100)).map(|number| LabelOp::from(names::word(number, length)));
        let all = all.reduce(LabelOp::and).unwrap();
        let last = LabelOp::from(names::word(words - 1, length));
        for selector in [all.clone(), last.clone(), all.and(last)] {
            let message = Message::new(Selector::unicast(selector), "hello".to_owned());
            sender.send(message).unwrap();
            peer.expect("hello");
        }
        peer.finish();
    }
}

#[test]
fn g8_a_label_over_the_limit_is_refused_at_once() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    for (words, length) in [(2, MIB), (MIB, 10), (1, 100 * MIB)] {
        let options = bus.options(names::label(words, length));
        let start = Instant::now();
        let error = ipmb::join::<(), ()>(options, Some(DEADLINE)).unwrap_err();
        assert!(matches!(error, JoinError::Refused(_)), "{error:?}");
        assert!(start.elapsed() < DEADLINE / 2, "{:?}", start.elapsed());
    }
    // The controller is there for those who ask for less.
    let options = bus.options(names::label(1, 10));
    ipmb::join::<(), ()>(options, Some(DEADLINE)).unwrap();
}

#[test]
fn g8_a_parked_message_over_the_limit_of_who_joins_is_skipped_and_counted() {
    let bus = Bus::new();
    let (sender, _receiver) =
        ipmb::join::<BytesMessage, BytesMessage>(bus.options(label!("test")), Some(DEADLINE))
            .unwrap();
    let mut selector = Selector::unicast("late");
    selector.ttl = DEADLINE;
    for len in [100_000, 10] {
        let payload = BytesMessage {
            format: 0,
            data: vec![1; len],
        };
        sender
            .send(Message::new(selector.clone(), payload))
            .unwrap();
    }
    let options = bus.options(label!("late")).with_message_limit(1000);
    let (_late, receiver) = ipmb::join::<(), BytesMessage>(options, Some(DEADLINE)).unwrap();
    let message = receiver.recv(Some(DEADLINE)).unwrap();
    assert_eq!(message.payload.data.len(), 10);
    assert_eq!(receiver.statistics().skipped, 1);
}
