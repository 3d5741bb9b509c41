//! Rule 2: parking.

use super::*;

const TTL: Duration = Duration::from_secs(5);

fn took(ids: &[ParkId]) -> ToController {
    ToController::Took { ids: ids.to_vec() }
}

fn with_objects(sequence: u64, objects: u32) -> ToController {
    ToController::Park {
        sequence,
        selector: Selector {
            ttl: TTL,
            ..Selector::unicast("b")
        },
        over: 0,
        body: Body::Object { len: 100 },
        objects,
    }
}

#[test]
fn what_was_parked_arrives_before_anybody_sees_the_joiner() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.park(1, 2, "c", TTL);
    bus.park(1, 3, "b", TTL);
    bus.news();
    bus.join(2, "b");
    assert_eq!(
        bus.news(),
        [
            "#2 store",
            "#2 deliver(1.1)",
            "#2 deliver(1.3)",
            "join 2",
            "#2 welcome(2)"
        ]
    );
    bus.say(2, took(&[park_id(1, 1), park_id(1, 3)]));
    assert_eq!(bus.news(), ["#1 delivered(1 to 2)", "#1 delivered(3 to 2)"]);
    bus.join(3, "b");
    assert_eq!(bus.news(), ["#3 store", "join 3", "#3 welcome(0)"]);
}

#[test]
fn what_somebody_can_receive_is_not_parked() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.news();
    bus.park(1, 1, "a", TTL);
    bus.park(1, 2, "b", Duration::ZERO);
    assert_eq!(bus.news(), ["#1 routable(1)", "#1 expired(2)"]);
}

#[test]
fn what_is_parked_again_after_its_ttl_is_for_nobody_who_has_joined_since() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.join(2, "b");
    bus.news();
    bus.park(1, 1, "b", Duration::ZERO);
    assert_eq!(bus.news(), ["#1 expired(1)"]);
}

#[test]
fn who_is_to_send_a_message_hears_for_whom_it_is() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.news();
    bus.park(1, 1, "a", TTL);
    bus.join(2, "a");
    let order = |bus: &Bus, id| {
        bus.controller
            .directory
            .get(EndpointId(id))
            .map(|it| it.order)
    };
    let last = bus.out.iter().find_map(|output| match output {
        Output::Send { bytes, .. } => match ToMember::decode(bytes) {
            Ok(ToMember::Routable { last, .. }) => Some(last),
            _ => None,
        },
        _ => None,
    });
    // Who joins later may get what is parked later before it, and so not this one.
    assert!(last >= order(&bus, 1) && last < order(&bus, 2));
}

#[test]
fn a_ttl_ends() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.say(1, with_objects(2, 0));
    bus.news();
    bus.pass(TTL);
    assert_eq!(bus.news(), ["#1 expired(1)", "drop 1.2", "#1 expired(2)"]);
    bus.join(2, "b");
    assert_eq!(bus.news(), ["#2 store", "join 2", "#2 welcome(0)"]);
}

#[test]
fn a_ttl_that_ends_with_a_join_has_ended() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.admit(2, 2);
    bus.news();
    bus.now += 5 * SECOND;
    bus.admit(3, 3);
    bus.say(3, register(3, "b"));
    assert!(bus.news().contains(&"#3 welcome(0)".to_owned()));
}

#[test]
fn a_ttl_without_end_does_not_overflow() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", Duration::MAX);
    bus.news();
    bus.pass(Duration::from_secs(1 << 32));
    assert!(bus.news().is_empty());
}

#[test]
fn what_was_parked_outlives_its_sender() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.say(1, with_objects(1, 2));
    bus.close(1);
    bus.news();
    bus.join(2, "b");
    bus.say(2, took(&[park_id(1, 1)]));
    assert_eq!(
        bus.news(),
        [
            "#2 store",
            "#2 deliver(1.1)",
            "join 2",
            "#2 welcome(1)",
            "drop 1.1"
        ]
    );
}

#[test]
fn objects_go_with_their_message() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.news();
    bus.say(1, with_objects(1, 2));
    assert!(bus.out.contains(&Output::StoreParked {
        conn: ConnId(1),
        id: park_id(1, 1),
        body: true
    }));
    bus.join(2, "b");
    let attached = bus.out.iter().find_map(|output| match output {
        Output::Send {
            conn: ConnId(2),
            attach,
            framed: true,
            ..
        } => Some(attach.to_vec()),
        _ => None,
    });
    let expected = vec![
        Attachment::ParkedBody(park_id(1, 1)),
        Attachment::ParkedObjects(park_id(1, 1)),
    ];
    assert_eq!(attached, Some(expected));
}

#[test]
fn a_receiver_that_dies_on_the_doorstep_takes_nothing_with_it() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.join(2, "b");
    bus.news();
    bus.close(2);
    assert_eq!(bus.news(), ["leave 2", "drop 2"]);
    bus.join(3, "b");
    assert!(bus.news().contains(&"#3 deliver(1.1)".to_owned()));
    // Meanwhile somebody else has joined and may have later messages: it must not come after them.
    bus.join(4, "b");
    bus.news();
    bus.close(3);
    assert_eq!(bus.news(), ["leave 3", "drop 3", "#1 delivered(1 to 3)"]);
}

#[test]
fn what_is_withdrawn_is_for_nobody_unless_it_is_on_its_way() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.park(1, 2, "b", TTL);
    bus.say(1, with_objects(3, 1));
    bus.news();
    for sequence in [1, 3, 7] {
        bus.say(1, ToController::Withdraw { sequence });
    }
    assert_eq!(bus.news(), ["#1 expired(1)", "drop 1.3", "#1 expired(3)"]);
    bus.join(2, "b");
    bus.say(1, ToController::Withdraw { sequence: 2 });
    bus.say(2, took(&[park_id(1, 2)]));
    assert_eq!(
        bus.news(),
        [
            "#2 store",
            "#2 deliver(1.2)",
            "join 2",
            "#2 welcome(1)",
            "#1 delivered(2 to 2)"
        ]
    );
}

#[test]
fn what_is_on_its_way_when_its_ttl_ends_has_arrived() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.join(2, "b");
    bus.news();
    bus.pass(TTL);
    assert_eq!(bus.news(), ["#1 delivered(1 to 2)"]);
    assert_eq!(bus.controller.next_deadline(), None);
}

#[test]
fn nobody_confirms_for_another() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.join(2, "b");
    bus.news();
    bus.say(1, took(&[park_id(1, 1), park_id(1, 2)]));
    assert!(bus.news().is_empty());
}

#[test]
fn nothing_overtakes_what_is_under_way() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.join(2, "b");
    bus.news();
    // If we died now, it might come to the second by another controller, behind what is sent there.
    bus.park(1, 2, "b", TTL);
    bus.park(1, 3, "c", TTL);
    assert_eq!(bus.news(), ["#1 parked(2)", "#1 parked(3)"]);
    bus.say(2, took(&[park_id(1, 1)]));
    assert_eq!(bus.news(), ["#1 delivered(1 to 2)", "#1 routable(2)"]);
    bus.join(3, "c");
    assert!(bus.news().contains(&"#3 deliver(1.3)".to_owned()));
}

#[test]
fn parked_again_is_parked_once() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.park(1, 1, "b", TTL);
    bus.join(2, "b");
    bus.say(2, took(&[park_id(1, 1)]));
    bus.news();
    bus.park(1, 1, "b", TTL);
    assert_eq!(bus.news(), ["#1 delivered(1 to 2)"]);
}

#[test]
fn everybody_pays_for_what_they_park() {
    let mut settings = Settings::default();
    settings.quotas.parked_messages_per_endpoint = 1;
    settings.quotas.parked_objects_per_endpoint = 3;
    let mut bus = Bus::with(settings, None, false);
    bus.join(1, "a");
    bus.join(2, "z");
    bus.news();
    bus.say(1, with_objects(1, 3));
    bus.say(1, with_objects(2, 2));
    bus.say(1, with_objects(3, 0));
    bus.say(2, with_objects(1, 0));
    assert_eq!(
        bus.news(),
        [
            "#1 park refused(1, Endpoint: 0 of 3 objects, 4 more)",
            "store 1.2",
            "#1 parked(2)",
            "#1 park refused(3, Endpoint: 1 of 1 messages, 1 more)",
            "store 2.1",
            "#2 parked(1)"
        ]
    );
    bus.pass(TTL);
    bus.news();
    bus.say(1, with_objects(3, 0));
    assert_eq!(bus.news(), ["store 1.3", "#1 parked(3)"]);
}

#[test]
fn bytes_are_counted_whether_inline_or_not() {
    let mut settings = Settings::default();
    settings.quotas.parked_bytes_per_endpoint = 10_000;
    settings.quotas.parked_bytes = 12_000;
    settings.quotas.share_per_user = 1;
    let mut bus = Bus::with(settings, None, false);
    bus.join(1, "a");
    bus.join(2, "z");
    bus.news();
    let park = |sequence, body| ToController::Park {
        sequence,
        selector: Selector {
            ttl: TTL,
            ..Selector::unicast("b")
        },
        over: 0,
        body,
        objects: 0,
    };
    bus.say(1, park(1, Body::Object { len: u64::MAX }));
    bus.say(1, park(2, Body::Inline(vec![0; 9_000])));
    bus.say(1, park(3, Body::Object { len: 1_000 }));
    bus.say(2, park(1, Body::Object { len: 9_000 }));
    assert_eq!(
        bus.news(),
        [
            "#1 park refused(1, Endpoint: 0 of 10000 bytes, 18446744073709551615 more)",
            "#1 parked(2)",
            "#1 park refused(3, Endpoint: 9577 of 10000 bytes, 1577 more)",
            "#2 park refused(1, Bus: 9577 of 12000 bytes, 9577 more)"
        ]
    );
}
