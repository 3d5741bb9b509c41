use proptest::prelude::*;

use super::*;
use crate::LabelOp;

#[test]
fn messages_come_back_as_they_were() {
    let park = ToController::Park {
        sequence: 7,
        selector: Selector::unicast(LabelOp::from("a").and(!LabelOp::from("b"))),
        over: 0,
        body: Body::Inline(vec![0, 255, 3]),
        objects: 2,
    };
    assert_eq!(ToController::decode(&park.encode()), Ok(park.clone()));
    assert_eq!(park.objects(), 2);

    let deliver = ToMember::Deliver {
        id: ParkId {
            sender: EndpointId(3),
            sequence: 4,
        },
        body: Body::Object { len: 1 << 40 },
        objects: 1,
    };
    assert_eq!(ToMember::decode(&deliver.encode()), Ok(deliver.clone()));
    assert_eq!(deliver.objects(), 2);
}

#[test]
fn a_message_with_something_after_it_is_refused() {
    let mut bytes = ToController::StopReceiving { askers: Vec::new() }.encode();
    bytes.push(0);
    assert_eq!(ToController::decode(&bytes), Err(ControlError));
    assert_eq!(ToController::decode(&[]), Err(ControlError));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = ToController::decode(&bytes) {
            prop_assert_eq!(ToController::decode(&message.encode()), Ok(message));
        }
        if let Ok(message) = ToMember::decode(&bytes) {
            prop_assert_eq!(ToMember::decode(&message.encode()), Ok(message));
        }
    }
}
