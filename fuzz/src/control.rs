//! What is said on the control plane, and the packets that it comes in.

use arbitrary::{Arbitrary, Unstructured};
use ipmb_core::{Assembler, Body, Framer, PACKET_HEADER_LEN, RefuseReason, ToController, ToMember};

use crate::wire::round_trip;

/// The least that an assembler is told to accept here: small, so that limits are met.
const BYTES: usize = 600;
const OBJECTS: usize = 9;

/// Control messages, of either side, round trip, and packets of any kind make messages within the limits.
pub fn control(data: &[u8]) {
    let to_controller = round_trip(
        data,
        |bytes| ToController::decode(bytes).ok(),
        ToController::encode,
    );
    if let Some(message) = to_controller {
        assert!(!message.name().is_empty());
        if let ToController::Park { body, objects, .. } = &message {
            let beside = usize::from(matches!(body, Body::Object { .. }));
            assert_eq!(message.objects(), beside + *objects as usize);
        }
        framed(&message.encode(), message.objects() % (2 * OBJECTS), data);
    }
    let to_member = round_trip(data, |bytes| ToMember::decode(bytes).ok(), ToMember::encode);
    if let Some(message) = to_member {
        let reason: Option<&dyn std::error::Error> = match &message {
            ToMember::Refused(reason) => Some(reason),
            ToMember::ParkRefused { reason, .. } => Some(reason),
            _ => None,
        };
        assert!(reason.is_none_or(|reason| !reason.to_string().is_empty()));
        if matches!(
            message,
            ToMember::Refused(RefuseReason::DirectoryFull { .. })
        ) {
            assert_eq!(message.objects(), 0);
        }
        framed(&message.encode(), message.objects() % (2 * OBJECTS), data);
    }
    // What can be neither.
    let _ = packets(&mut Unstructured::new(data));
}

/// Cuts a message into packets, and puts them together again.
fn framed(message: &[u8], objects: usize, seed: &[u8]) {
    let most = |at: usize| usize::from(seed.get(at).copied().unwrap_or(0)) % 32;
    let (max_packet, max_objects) = (most(0), most(1));
    let mut assembler = Assembler::new(message.len(), objects);
    let plan = Framer::split(message, objects, max_packet, max_objects);
    let last = plan.len() - 1;
    for (number, planned) in plan.iter().enumerate() {
        let packet = planned.packet(message);
        assert!(packet.len() <= max_packet.max(PACKET_HEADER_LEN + 1));
        assert!(planned.objects.len() <= max_objects.max(1));
        let pushed = assembler.push(&packet, planned.objects.len());
        let expected = (number == last).then(|| (message.to_vec(), objects));
        assert_eq!(pushed, Ok(expected));
    }
}

/// Packets that anybody made, against the plainest assembler.
fn packets(data: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let (max_bytes, max_objects) = (
        data.int_in_range(0..=BYTES)?,
        data.int_in_range(0..=OBJECTS)?,
    );
    let mut assembler = Assembler::new(max_bytes, max_objects);
    let (mut bytes, mut objects) = (Vec::new(), 0);
    while !data.is_empty() {
        let packet = <&[u8]>::arbitrary(data)?;
        let with = data.int_in_range(0..=OBJECTS)?;
        let pushed = assembler.push(packet, with);
        let well_formed = match packet {
            [0, ..] => true,
            [1, rest @ ..] => !rest.is_empty() || with > 0,
            _ => false,
        };
        bytes.extend(packet.iter().skip(1));
        objects += with;
        let fits = bytes.len() <= max_bytes && objects <= max_objects;
        let complete = packet.first() == Some(&0);
        match pushed {
            Ok(None) => assert!(well_formed && fits && !complete),
            Ok(Some(message)) => {
                assert!(well_formed && fits && complete);
                assert_eq!(message, (std::mem::take(&mut bytes), objects));
                objects = 0;
            }
            Err(_) => {
                assert!(!well_formed || !fits);
                (bytes, objects) = (Vec::new(), 0);
            }
        }
    }
    Ok(())
}
