use proptest::prelude::*;

use super::*;

#[test]
fn the_plain_header_is_seventeen_bytes() {
    let type_id = [7; 16];
    let mut encoded = Vec::new();
    MessageHeader::new(type_id).encode(&mut encoded);
    assert_eq!(encoded, MessageHeader::encode_fixed(type_id));
    assert_eq!(encoded.len(), PLAIN_HEADER_LEN);
}

#[test]
fn the_correlated_header_is_eight_bytes_longer() {
    for correlation in [Correlation::Request(u64::MAX - 1), Correlation::Reply(3)] {
        let mut encoded = Vec::new();
        let mut header = MessageHeader::new([7; 16]);
        header.correlation = Some(correlation);
        header.encode(&mut encoded);
        assert_eq!(
            encoded,
            MessageHeader::encode_correlated([7; 16], correlation)
        );
        encoded.extend(b"payload");
        assert_eq!(
            MessageHeader::parse_correlated(&encoded),
            Some(([7; 16], correlation, &b"payload"[..]))
        );
        assert_eq!(MessageHeader::parse_fixed(&encoded), None);
        encoded.truncate(CORRELATED_HEADER_LEN - 1);
        assert_eq!(MessageHeader::parse_correlated(&encoded), None);
    }
}

#[test]
fn the_encoding_is_what_the_documentation_says() {
    let mut region = Vec::new();
    region.extend([9; 16]);
    region.extend([1, 2, 0, 0, 0, 0, 0, 0]);
    region.extend([3, 0, 0, 0]);
    region.extend([4, 0]);
    region.extend([5, 0, 0, 0, 0, 6]);
    region.extend([1]);
    let frame = [
        &[0b01111; 1][..],
        &[7; 16],
        &[8, 0, 0, 0],
        &[1, 0, 0, 0],
        &region,
        &[10; 8],
        &[11; 8],
        &[12; 8],
        b"payload",
    ];
    let header = MessageHeader {
        type_id: [7; 16],
        objects: 8,
        regions: SmallVec::from_iter([RegionRef {
            id: RegionId([9; 16]),
            size: 0x201,
            cell: 3,
            owner: 4,
            nonce: 0x0600_0000_0005,
            with_object: true,
        }]),
        parked: Some(ParkId {
            sender: EndpointId(u64::from_le_bytes([10; 8])),
            sequence: u64::from_le_bytes([11; 8]),
        }),
        correlation: Some(Correlation::Request(u64::from_le_bytes([12; 8]))),
    };
    assert_eq!(header.objects_beside(), 9);
    assert_eq!(
        LaneMessage::parse(&frame.concat()),
        Ok(LaneMessage::Message {
            header,
            payload: b"payload"
        })
    );
}

#[test]
fn what_no_sender_writes_is_refused() {
    let with = |flags: u8, rest: &[u8]| {
        let frame = [&[flags; 1][..], &[0; 16], rest].concat();
        LaneMessage::parse(&frame).err()
    };
    assert_eq!(LaneMessage::parse(&[]), Err(FrameError::Truncated));
    assert_eq!(LaneMessage::parse(&[0; 16]), Err(FrameError::Truncated));
    assert_eq!(with(32, &[]), Some(FrameError::UnknownFlags(32)));
    assert_eq!(with(REQUEST, &[0; 7]), Some(FrameError::Truncated));
    assert_eq!(
        with(REQUEST | REPLY, &[0; 16]),
        Some(FrameError::NotCanonical)
    );
    assert_eq!(with(OBJECTS, &[0; 4]), Some(FrameError::NotCanonical));
    assert_eq!(with(REGIONS, &[0; 4]), Some(FrameError::NotCanonical));
    // Four billion regions, says the peer, and sends none.
    assert_eq!(with(REGIONS, &[255; 4]), Some(FrameError::Truncated));
    let region = [&[1, 0, 0, 0][..], &[2; RegionRef::LEN]].concat();
    assert_eq!(with(REGIONS, &region), Some(FrameError::NotCanonical));
    assert_eq!(
        LaneMessage::parse(&[FORGET; 16]),
        Err(FrameError::Truncated)
    );
    let declare = |len| LaneMessage::parse(&[DECLARE; 18][..len]);
    assert_eq!(declare(16), Err(FrameError::Truncated));
    assert_eq!(declare(17), Ok(LaneMessage::Declare([DECLARE; 16])));
    assert_eq!(declare(18), Err(FrameError::NotCanonical));
}

#[test]
fn tags_count_the_types_as_they_were_declared() {
    let mut types = DeclaredTypes::default();
    for number in 0..DeclaredTypes::MOST as u8 {
        assert_eq!(types.tag([number; 16]), None);
        assert!(!types.is_full());
        assert_eq!(types.declare([number; 16]), Ok(u16::from(number) + 1));
    }
    assert!(types.is_full());
    assert_eq!(types.declare([255; 16]), Err(FrameError::TooManyTypes));
    for number in 0..DeclaredTypes::MOST as u8 {
        let tag = u16::from(number) + 1;
        assert_eq!(types.tag([number; 16]), Some(tag));
        assert_eq!(types.type_of(tag), Ok([number; 16]));
    }
    for tag in [0, DeclaredTypes::MOST as u16 + 1, u16::MAX] {
        assert_eq!(types.type_of(tag), Err(FrameError::Undeclared(tag)));
    }
}

proptest! {
    #[test]
    fn headers_survive_the_round_trip(header in header(), payload in any::<Vec<u8>>()) {
        let mut frame = Vec::new();
        header.encode(&mut frame);
        prop_assert_eq!(frame.len(), header.encoded_len());
        frame.extend(&payload);
        let parsed = LaneMessage::parse(&frame);
        prop_assert_eq!(parsed, Ok(LaneMessage::Message { header, payload: &payload }));
    }

    #[test]
    fn forget_survives_the_round_trip(ids in any::<Vec<[u8; 16]>>()) {
        let regions: SmallVec<[RegionId; 4]> = ids.into_iter().map(RegionId).collect();
        let frame = LaneMessage::encode_forget(&regions);
        prop_assert_eq!(LaneMessage::parse(&frame), Ok(LaneMessage::Forget(regions)));
    }

    #[test]
    fn random_bytes_are_refused_or_mean_what_they_encode(
        flags in prop_oneof![0u8..32, FORGET..=DECLARE, any::<u8>()],
        mut frame in prop::collection::vec(prop_oneof![3 => Just(0u8), 1 => 0u8..3, 1 => any::<u8>()], 0..160),
    ) {
        frame.insert(0, flags);
        let again = match LaneMessage::parse(&frame) {
            Ok(LaneMessage::Message { header, payload }) => {
                let mut again = Vec::new();
                header.encode(&mut again);
                again.extend(payload);
                again
            }
            Ok(LaneMessage::Forget(regions)) => LaneMessage::encode_forget(&regions),
            Ok(LaneMessage::Declare(type_id)) => LaneMessage::encode_declare(type_id).to_vec(),
            Err(_) => return Ok(()),
        };
        prop_assert_eq!(again, frame);
    }
}

prop_compose! {
    fn region()(
        id: [u8; 16],
        size: u64,
        cell: u32,
        owner: u16,
        nonce in 0..1u64 << 48,
        with_object: bool,
    ) -> RegionRef {
        RegionRef { id: RegionId(id), size, cell, owner, nonce, with_object }
    }
}

prop_compose! {
    fn header()(
        type_id: [u8; 16],
        objects: u32,
        regions in prop::collection::vec(region(), 0..5),
        parked: Option<(u64, u64)>,
        correlation in prop_oneof![
            Just(None),
            any::<u64>().prop_map(Correlation::Request).prop_map(Some),
            any::<u64>().prop_map(Correlation::Reply).prop_map(Some),
        ],
    ) -> MessageHeader {
        MessageHeader {
            type_id,
            objects,
            regions: regions.into(),
            parked: parked.map(|(sender, sequence)| ParkId { sender: EndpointId(sender), sequence }),
            correlation,
        }
    }
}

#[test]
fn references_to_loans_follow_the_payload() {
    let reference = LoanRef {
        position: 1,
        loan: 2,
        slot: 3,
        epoch: 4,
        offset: 0x0600_0000_0005,
        len: 7,
    };
    let mut frame = b"payload".to_vec();
    LoanRef::append_all(&[reference], &mut frame);
    let expected = [
        &b"payload"[..],
        &[1, 0, 0, 0],
        &[2, 0, 0, 0],
        &[3, 0, 0, 0],
        &[4, 0, 0, 0],
        &[5, 0, 0, 0, 0, 6],
        &[7, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0],
    ];
    assert_eq!(frame, expected.concat());
    let (references, len) = LoanRef::split(&frame).unwrap();
    assert_eq!((references.iter().collect(), len), (vec![reference], 7));
}

#[test]
fn references_that_no_sender_writes_are_refused() {
    let refused = |frame: &[u8]| LoanRef::split(frame).err();
    assert_eq!(refused(&[]), Some(FrameError::Truncated));
    assert_eq!(refused(&[1, 0, 0]), Some(FrameError::Truncated));
    assert_eq!(refused(&[0; 40]), Some(FrameError::NotCanonical));
    assert_eq!(refused(&[255; 40]), Some(FrameError::Truncated));
    let one = |len: usize| [vec![0; len], vec![1, 0, 0, 0]].concat();
    assert_eq!(refused(&one(27)), Some(FrameError::Truncated));
    assert!(LoanRef::split(&one(28)).is_ok());
    assert!(DeclaredTypes::MOST < usize::from(LoanRef::TAG_BIT));
}

proptest! {
    #[test]
    fn references_survive_the_round_trip(
        references in prop::collection::vec(loan(), 1..5),
        payload in any::<Vec<u8>>(),
    ) {
        let mut frame = payload.clone();
        LoanRef::append_all(&references, &mut frame);
        let (split, len) = LoanRef::split(&frame).unwrap();
        prop_assert_eq!(split.iter().collect::<Vec<_>>(), references);
        prop_assert_eq!(&frame[..len], payload);
    }

    #[test]
    fn random_references_mean_what_they_encode(mut frame: Vec<u8>, count in 0..4u32) {
        frame.extend(count.to_le_bytes());
        if let Ok((references, len)) = LoanRef::split(&frame) {
            let mut again = frame[..len].to_vec();
            LoanRef::append_all(&references.iter().collect::<Vec<_>>(), &mut again);
            prop_assert_eq!(&again, &frame);
        }
    }
}

prop_compose! {
    fn loan()(
        position: u32,
        loan: u32,
        slot: u32,
        epoch: u32,
        offset in 0..1u64 << 48,
        len in 0..1u64 << 48,
    ) -> LoanRef {
        LoanRef { position, loan, slot, epoch, offset, len }
    }
}
