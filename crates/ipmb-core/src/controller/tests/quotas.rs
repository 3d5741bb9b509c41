//! Rule 5: what one endpoint or user takes is not taken from others.

use super::*;
use crate::{ParkRefusal, parking::Parking};

const TTL: Duration = Duration::from_secs(5);

fn bus(change: impl FnOnce(&mut crate::Quotas)) -> Bus {
    let mut settings = Settings::default();
    change(&mut settings.quotas);
    Bus::with(settings, None, false)
}

fn park_for(sequence: u64, label_op: LabelOp) -> ToController {
    ToController::Park {
        sequence,
        selector: Selector {
            ttl: TTL,
            ..Selector::unicast(label_op)
        },
        over: 0,
        body: Body::Inline(vec![0; 1000]),
        objects: 0,
    }
}

#[test]
fn one_user_leaves_places_for_others() {
    let mut bus = bus(|quotas| quotas.members_per_user = 2);
    bus.join(1, "a");
    bus.join(2, "a");
    bus.news();
    bus.join(3, "a");
    assert_eq!(bus.news()[0], "#3 refused(TooManyOfUser { limit: 2 })");
    bus.uid = 2;
    bus.join(4, "a");
    assert!(bus.news().contains(&"#4 welcome(0)".to_owned()));
    bus.uid = 1;
    bus.close(1);
    bus.join(5, "a");
    assert!(bus.news().contains(&"#5 welcome(0)".to_owned()));
}

#[test]
fn one_user_leaves_room_in_the_directory() {
    let mut bus = bus(|quotas| quotas.directory_bytes = 800);
    for conn in 1..20 {
        bus.join(conn, "a label of several words");
    }
    let refused = |it: &String| it.starts_with("#19 refused(DirectoryFull { whose: User");
    assert!(bus.news().iter().any(refused));
    let taken = bus.controller.directory_bytes;
    assert!(taken <= 400, "{taken} bytes");
    bus.uid = 2;
    bus.join(20, "a label of several words");
    assert!(bus.news().contains(&"#20 welcome(0)".to_owned()));
}

#[test]
fn one_user_leaves_room_for_what_others_park_though_its_endpoints_come_and_go() {
    let mut bus = bus(|quotas| quotas.parked_bytes = 8_000);
    for conn in 1..10 {
        bus.join(conn, "a");
        bus.say(conn, park_for(1, LabelOp::from("b")));
        bus.close(conn);
    }
    let news = bus.news();
    let parked = |line: &&String| line.ends_with(" parked(1)");
    assert_eq!(news.iter().filter(parked).count(), 2, "{news:?}");
    let refused = "#9 park refused(1, User: 3154 of 4000 bytes, 1577 more)";
    assert!(news.contains(&refused.to_owned()), "{news:?}");
    bus.uid = 2;
    bus.join(10, "a");
    bus.say(10, park_for(1, LabelOp::from("b")));
    assert!(bus.news().contains(&"#10 parked(1)".to_owned()));
    // What has gone is given back.
    bus.pass(TTL);
    bus.uid = 1;
    bus.join(11, "a");
    bus.say(11, park_for(1, LabelOp::from("b")));
    assert!(bus.news().contains(&"#11 parked(1)".to_owned()));
}

#[test]
fn long_words_of_a_selector_are_paid_for() {
    let mut bus = bus(|quotas| quotas.parked_bytes_per_endpoint = 5_000);
    bus.join(1, "a");
    bus.news();
    bus.say(1, park_for(1, LabelOp::from("x".repeat(5_000))));
    let refused = "#1 park refused(1, Endpoint: 0 of 5000 bytes, 6576 more)";
    assert_eq!(bus.news(), [refused]);
}

#[test]
fn a_selector_that_takes_too_long_to_look_at_is_refused() {
    let mut bus = bus(|quotas| {
        quotas.selector_work = 30;
        quotas.parked_operands = 40;
    });
    bus.join(1, "a");
    bus.join(2, "a");
    bus.join(3, "a");
    bus.news();
    let nested = |depth| (0..depth).fold(LabelOp::from("b"), |op, _| !op);
    bus.say(1, park_for(1, nested(10)));
    bus.say(1, park_for(2, nested(8)));
    bus.say(1, park_for(3, nested(8)));
    bus.say(1, park_for(4, nested(8)));
    assert_eq!(
        bus.news(),
        [
            "#1 park refused(1, Selector { size: 11, limit: 10 })",
            "#1 parked(2)",
            "#1 parked(3)",
            "#1 park refused(4, User: 18 of 20 operands, 9 more)",
        ]
    );
}

#[test]
fn a_flood_of_connections_costs_its_own_process() {
    let mut bus = bus(|quotas| quotas.pending_handshakes = 4);
    bus.accept(1, 1);
    for conn in 2..100 {
        bus.accept(conn, 2);
    }
    assert_eq!(bus.controller.phase(ConnId(1)), Some(Phase::Handshaking));
    let left = (2..100).filter(|conn| bus.controller.phase(ConnId(*conn)).is_some());
    assert_eq!(left.collect::<Vec<_>>(), [97, 98, 99]);
}

#[test]
fn nothing_is_kept_of_users_who_have_nothing() {
    let mut parking = Parking::default();
    let quotas = crate::Quotas::default();
    let parked = |sequence| crate::parking::Parked {
        id: park_id(1, sequence),
        label_op: LabelOp::True,
        body: Body::Inline(Vec::new()),
        objects: 0,
        uid: 7,
        deadline: 1,
        expired: false,
        on_the_way: None,
    };
    for _ in 0..3 {
        let inserted: Result<(), ParkRefusal> = parking.insert(parked(1), &quotas);
        assert_eq!(inserted, Ok(()));
        assert!(parking.remove(park_id(1, 1)).is_some());
    }
    assert!(format!("{parking:?}").contains("users: {}"));
}

/// Parks message `sequence`, has it delivered to a member that joins for it, and that member leave.
fn park_and_deliver(bus: &mut Bus, sequence: u64) {
    bus.park(1, sequence, "b", TTL);
    let conn = 100 + sequence;
    bus.join(conn, "b");
    let ids = vec![park_id(1, sequence)];
    bus.say(conn, ToController::Took { ids });
    bus.close(conn);
}

#[test]
fn so_many_deliveries_are_remembered_and_no_more() {
    const REMEMBERED: u64 = 3;
    let mut bus = bus(|quotas| quotas.remembered_deliveries = REMEMBERED as usize);
    bus.join(1, "a");
    for sequence in 0..=REMEMBERED {
        park_and_deliver(&mut bus, sequence);
    }
    bus.news();
    // Its sender has not heard of it, and parks it again.
    for sequence in 1..=REMEMBERED {
        bus.park(1, sequence, "b", TTL);
        let known = format!("#1 delivered({sequence} to {})", 100 + sequence);
        assert_eq!(bus.news(), [known]);
    }
    bus.park(1, 0, "b", TTL);
    assert_eq!(bus.news(), ["#1 parked(0)"], "forgotten");
    for sequence in 10..1000 {
        park_and_deliver(&mut bus, sequence);
    }
    assert_eq!(bus.controller.delivered.len(), REMEMBERED as usize);
}

#[test]
fn a_quota_that_is_nearly_used_up_is_told_once() {
    let mut bus = bus(|quotas| {
        quotas.members = 100;
        quotas.members_per_user = 8;
        quotas.parked_bytes = 20_000;
        quotas.pending_handshakes = 4;
    });
    for conn in 1..8 {
        bus.join(conn, "a");
    }
    assert_eq!(bus.warnings(), ["Some(1): 6 of 8 endpoints"]);
    // Not at each step to and fro,
    bus.close(7);
    bus.close(6);
    bus.join(6, "a");
    assert!(bus.warnings().is_empty());
    // but each time it comes to it.
    for conn in 2..7 {
        bus.close(conn);
    }
    for conn in 2..7 {
        bus.join(conn, "a");
    }
    assert_eq!(bus.warnings(), ["Some(1): 6 of 8 endpoints"]);

    for sequence in 0..6 {
        bus.say(1, park_for(sequence, LabelOp::from("b")));
    }
    assert_eq!(bus.warnings(), ["Some(1): 7885 of 10000 parked bytes"]);
    for conn in 20..25 {
        bus.accept(conn, 20);
    }
    let connections = "None: 3 of 4 connections that have not registered";
    assert_eq!(bus.warnings(), [connections]);
}
