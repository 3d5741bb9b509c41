//! What stands in a lane.

use ipmb_core::{
    Correlation, DeclaredTypes, FrameError, LaneMessage, LoanRef, MessageHeader, RegionId, TypeId,
};

use crate::meter;

/// A frame has exactly one encoding; the short ways to read one agree with the long one; what is refused has a name.
///
/// The first two bytes are the frame's tag.
pub fn frame(data: &[u8]) {
    let Some((tag, mut frame)) = data.split_first_chunk() else {
        return;
    };
    let tag = u16::from_le_bytes(*tag);
    if tag & LoanRef::TAG_BIT != 0 {
        let Some(len) = loans(frame) else { return };
        frame = frame.get(..len).expect("what precedes the references");
    }
    let (parsed, peak) = meter::peak(|| LaneMessage::parse(frame));
    // A region takes 37 bytes in a frame, an id 16, and vectors double.
    assert!(peak <= 4 * frame.len() + 256, "{peak} bytes for a frame");
    match parsed {
        Ok(LaneMessage::Message { header, payload }) => message(frame, &header, payload),
        Ok(LaneMessage::Forget(regions)) => {
            assert_eq!(LaneMessage::encode_forget(&regions), frame);
        }
        Ok(LaneMessage::Declare(type_id)) => {
            assert_eq!(LaneMessage::encode_declare(type_id), frame);
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(MessageHeader::parse_fixed(frame), None);
            assert_eq!(MessageHeader::parse_correlated(frame), None);
        }
    }
    types(tag, frame);
    payload(frame);
}

fn message(frame: &[u8], header: &MessageHeader, payload: &[u8]) {
    let mut wire = Vec::new();
    header.encode(&mut wire);
    assert_eq!(wire.len(), header.encoded_len());
    assert_eq!([&wire, payload].concat(), frame);
    let beside = header.regions.iter().filter(|it| it.with_object).count();
    let objects = u64::from(header.objects);
    assert_eq!(header.objects_beside(), objects + beside as u64);

    let plain = header.objects == 0 && header.regions.is_empty() && header.parked.is_none();
    let fixed = MessageHeader::parse_fixed(frame);
    let correlated = MessageHeader::parse_correlated(frame);
    match header.correlation {
        None if plain => {
            assert_eq!(fixed, Some((header.type_id, payload)));
            assert_eq!(MessageHeader::encode_fixed(header.type_id)[..], wire);
        }
        Some(correlation) if plain => {
            assert_eq!(correlated, Some((header.type_id, correlation, payload)));
            let short = MessageHeader::encode_correlated(header.type_id, correlation);
            assert_eq!(short[..], wire);
            let (Correlation::Request(number) | Correlation::Reply(number)) = correlation;
            assert_eq!(correlation.number(), number);
        }
        _ => {}
    }
    assert!(fixed.is_none() || plain && header.correlation.is_none());
    assert!(correlated.is_none() || plain && header.correlation.is_some());
}

/// References behind a payload; how long the payload is.
fn loans(frame: &[u8]) -> Option<usize> {
    let (references, len) = LoanRef::split(frame).ok()?;
    let references: Vec<LoanRef> = references.iter().collect();
    assert!(!references.is_empty() && len < frame.len());
    let mut wire = frame[..len].to_vec();
    LoanRef::append_all(&references, &mut wire);
    assert_eq!(wire, frame);
    for reference in references {
        assert!(reference.offset >> 48 == 0 && reference.len >> 48 == 0);
    }
    Some(len)
}

/// The frame as a list of types to declare, each named by one byte.
fn types(tag: u16, frame: &[u8]) {
    let (mut declared, mut model) = (DeclaredTypes::default(), Vec::<TypeId>::new());
    for &name in frame {
        let type_id = [name; 16];
        let expected = model.iter().position(|it| *it == type_id);
        assert_eq!(
            declared.tag(type_id).map(usize::from),
            expected.map(|it| it + 1)
        );
        if expected.is_some() {
            continue;
        }
        if model.len() == DeclaredTypes::MOST {
            assert!(declared.is_full());
            assert_eq!(declared.declare(type_id), Err(FrameError::TooManyTypes));
        } else {
            model.push(type_id);
            assert_eq!(declared.declare(type_id), Ok(model.len() as u16));
        }
    }
    assert_eq!(usize::from(declared.count()), model.len());
    let expected = usize::from(tag).checked_sub(1).and_then(|it| model.get(it));
    let expected = expected.copied().ok_or(FrameError::Undeclared(tag));
    assert_eq!(declared.type_of(tag), expected);
    let regions: Vec<RegionId> = model.into_iter().map(RegionId).collect();
    let forget = LaneMessage::encode_forget(&regions);
    assert_eq!(
        LaneMessage::parse(&forget),
        Ok(LaneMessage::Forget(regions.into()))
    );
}

/// The frame as a user's payload.
fn payload(frame: &[u8]) {
    type Payload = (String, Option<u64>, Vec<(i16, bool)>, ipmb::BytesMessage);
    let (decoded, peak) = meter::peak(|| ipmb::decode::<Payload>(frame));
    assert!(peak <= 16 * frame.len() + 256, "{peak} bytes for a payload");
    if let Ok(payload) = decoded {
        let wire = ipmb::encode(&payload).expect("what was decoded can be encoded");
        assert_eq!(ipmb::decode::<Payload>(&wire).ok(), Some(payload));
    }
    // Lent bytes, outside of a message: they stand in the payload themselves.
    if let Ok((bytes, number)) = ipmb::decode::<(ipmb::Bytes, u8)>(frame) {
        assert!(!bytes.is_shared());
        let wire = ipmb::encode((&bytes, number)).expect("bytes can be encoded");
        let again = ipmb::decode::<(ipmb::Bytes, u8)>(&wire).expect("what was encoded");
        assert_eq!((&again.0[..], again.1), (&bytes[..], number));
    }
}
