//! Messages over a limit, regions that cannot be, and ranges outside of them.

use super::{join, join_as, poor};
use ipmb::{
    BytesMessage, MapError, MemoryRegion, MemoryRegistry, Message, Selector, SendError, label,
};
use ipmb_tests::{Bus, DEADLINE, bad};
use std::ops::Bound;

fn bytes(label: &str, count: usize) -> Message<BytesMessage> {
    let data = vec![0; count];
    Message::new(Selector::unicast(label), BytesMessage { format: 0, data })
}

#[test]
fn a_message_over_the_limit_comes_back() {
    const OWN: u64 = 100_000;
    let bus = Bus::new();
    let mut small = poor(&bus, "small");
    assert_eq!(
        join_as(&mut small, bad::IDENTIFIER, "token", 1000),
        "Ok(())"
    );
    let mut large = poor(&bus, "large");
    assert_eq!(join(&mut large), "Ok(())");
    let options = bus.options(label!("test")).with_message_limit(OWN);
    let (sender, _) = ipmb::join::<BytesMessage, ()>(options, Some(DEADLINE)).unwrap();
    // Before and after first contact.
    for _ in 0..2 {
        for (label, size, expected) in [
            ("small", 1001, 1000),
            ("small", 50_000, 1000),
            ("large", 100_001, OWN),
            ("large", 1_000_000, OWN),
            ("nobody", 1_000_000, OWN),
        ] {
            let mut message = bytes(label, size);
            let region = MemoryRegion::new(10);
            message.memory_regions.push(region.clone().unwrap());
            let error = sender.send_timeout(message, DEADLINE).unwrap_err();
            assert_eq!(error.delivered, 0);
            assert_eq!(error.message.payload.data.len(), size);
            assert_eq!(error.message.memory_regions.len(), 1);
            match error.reason {
                SendError::TooLarge { size: told, limit } => {
                    assert_eq!(limit, expected, "{label}");
                    assert!(told >= size as u64);
                }
                other => panic!("{other:?}"),
            }
            drop(error.message);
            assert_eq!(region.ref_count(), 1);
        }
        for label in ["small", "large"] {
            sender.send(bytes(label, 900)).unwrap();
        }
        for peer in [&mut small, &mut large] {
            assert_eq!(peer.ask("recv"), "Ok(\"900 bytes, 0 objects\")");
        }
    }
}

#[test]
fn a_region_of_no_bytes_is_one() {
    let bus = Bus::new();
    let options = bus.options(label!("test"));
    let (sender, receiver) = ipmb::join::<(), ()>(options, Some(DEADLINE)).unwrap();
    let mut region = MemoryRegion::try_new(0).unwrap();
    assert_eq!(region.buffer_size(), 0);
    assert!(region.map(..).unwrap().is_empty());
    assert!(matches!(
        region.map(..1),
        Err(MapError::OutOfRange {
            start: 0,
            end: 1,
            size: 0
        })
    ));
    let mut message = Message::new(Selector::unicast("test"), ());
    message.memory_regions.push(region);
    sender.send(message).unwrap();
    let mut message = receiver.recv(Some(DEADLINE)).unwrap();
    assert_eq!(message.memory_regions[0].buffer_size(), 0);
    assert!(message.memory_regions[0].map(..).unwrap().is_empty());
}

#[test]
fn a_region_beyond_all_memory_is_an_error() {
    let bus = Bus::new();
    let options = bus.options(label!("test"));
    let (sender, receiver) = ipmb::join::<(), ()>(options, Some(DEADLINE)).unwrap();
    for size in [1 << 40, 1 << 47, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
        assert!(MemoryRegion::try_new(size).is_err(), "{size}");
        let mut registry = MemoryRegistry::default();
        assert!(registry.try_alloc(size, None).is_err(), "{size}");
        for mut region in [MemoryRegion::new(size), registry.alloc(size, Some("a tag"))] {
            assert!(matches!(region.map(..), Err(MapError::Memory(_))));
            assert!(region.clone().is_err());
            let mut message = Message::new(Selector::unicast("test"), ());
            message.memory_regions.push(region);
            let error = sender.try_send(message).unwrap_err();
            assert!(matches!(error.reason, SendError::Attachment(_)));
            assert_eq!(error.message.memory_regions.len(), 1);
        }
    }
    assert!(receiver.try_recv().unwrap().is_none());
}

#[test]
#[allow(clippy::reversed_empty_ranges, reason = "that is what it is about")]
fn a_range_outside_the_region_is_an_error() {
    const SIZE: usize = 10_000;
    const MAX: usize = usize::MAX;
    let mut region = MemoryRegion::try_new(SIZE).unwrap();
    let mut is_refused = |range: (Bound<usize>, Bound<usize>)| match region.map(range) {
        Err(MapError::OutOfRange { size: SIZE, .. }) => {}
        other => panic!("{range:?}: {:?}", other.map(|bytes| bytes.len())),
    };
    use Bound::{Excluded, Included, Unbounded};
    for end in [SIZE + 1, SIZE + 4096, 1 << 40, MAX - 1, MAX] {
        is_refused((Unbounded, Excluded(end)));
        is_refused((Included(0), Included(end)));
        is_refused((Included(1), Excluded(end)));
        is_refused((Included(end), Unbounded));
        is_refused((Included(end), Excluded(end)));
        is_refused((Excluded(end), Excluded(end)));
        is_refused((Excluded(end), Included(0)));
    }
    for (start, end) in [(1, 0), (SIZE, 0), (SIZE, SIZE - 1), (MAX, 0), (MAX, 1)] {
        is_refused((Included(start), Excluded(end)));
        is_refused((Excluded(start), Excluded(end)));
    }
    is_refused((Included(0), Included(SIZE)));
    is_refused((Excluded(SIZE), Unbounded));
    assert_eq!(region.map(..).unwrap().len(), SIZE);
    assert_eq!(region.map(SIZE..).unwrap().len(), 0);
    assert_eq!(region.map(..=SIZE - 1).unwrap().len(), SIZE);
    assert_eq!(region.map(SIZE - 1..).unwrap().len(), 1);
}

#[test]
fn what_is_no_region_says_so() {
    let file: std::os::fd::OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let mut region = MemoryRegion::from_object(file.into());
    assert!(matches!(region.map(..), Err(MapError::Memory(_))));
}
