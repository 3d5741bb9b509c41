use proptest::prelude::*;

use super::*;

#[test]
fn a_small_message_is_one_packet() {
    let plan = Framer::split(b"hello", 2, 1024, 16);
    assert_eq!(plan.len(), 1);
    assert_eq!(plan[0].packet(b"hello"), b"\0hello");
    assert_eq!(plan[0].objects, 0..2);
}

#[test]
fn there_is_always_a_plan() {
    assert_eq!(Framer::split(b"", 0, 0, 0).len(), 1);
    assert_eq!(Framer::split(b"ab", 3, 0, 0).len(), 3);
    assert_eq!(Framer::split(b"ab", 3, usize::MAX, usize::MAX).len(), 1);
}

#[test]
fn limits_are_kept_and_an_error_frees_what_was_gathered() {
    let mut assembler = Assembler::new(4, 2);
    assert_eq!(assembler.push(&[MORE, 1, 2], 2), Ok(None));
    let refused = assembler.push(&[0, 3, 4, 5], 0);
    assert_eq!(refused, Err(FramingError::TooManyBytes { limit: 4 }));
    assert_eq!(assembler.push(&[MORE, 1, 2], 2), Ok(None));
    let refused = assembler.push(&[0], 1);
    assert_eq!(refused, Err(FramingError::TooManyObjects { limit: 2 }));
    let message = assembler.push(&[0, 1, 2, 3, 4], 2);
    assert_eq!(message, Ok(Some((vec![1, 2, 3, 4], 2))));
}

#[test]
fn malformed_packets_are_refused() {
    for packet in [&[][..], &[2, 1], &[MORE]] {
        let refused = Assembler::new(4, 2).push(packet, 0);
        assert_eq!(refused, Err(FramingError::Malformed), "{packet:?}");
    }
}

proptest! {
    #[test]
    fn messages_survive_the_round_trip(
        messages in prop::collection::vec((any::<Vec<u8>>(), 0usize..20), 1..4),
        max_packet in 0usize..40,
        max_objects in 0usize..6,
    ) {
        let mut assembler = Assembler::new(1000, 20);
        for (message, objects) in &messages {
            let plan = Framer::split(message, *objects, max_packet, max_objects);
            let mut next_object = 0;
            for (i, packet) in plan.iter().enumerate() {
                let bytes = packet.packet(message);
                prop_assert!(bytes.len() <= max_packet.max(2));
                prop_assert!(packet.objects.len() <= max_objects.max(1));
                prop_assert_eq!(packet.objects.start, next_object);
                next_object = packet.objects.end;
                let pushed = assembler.push(&bytes, packet.objects.len()).unwrap();
                let last = i + 1 == plan.len();
                prop_assert_eq!(pushed, last.then(|| (message.clone(), *objects)));
            }
        }
    }

    #[test]
    fn random_packets_neither_panic_nor_pass_a_limit(
        packets in prop::collection::vec((prop::collection::vec(0u8..3, 0..8), 0usize..4), 0..20),
    ) {
        let mut assembler = Assembler::new(10, 5);
        for (packet, objects) in packets {
            if let Ok(Some((message, objects))) = assembler.push(&packet, objects) {
                prop_assert!(message.len() <= 10 && objects <= 5);
            }
        }
    }
}
