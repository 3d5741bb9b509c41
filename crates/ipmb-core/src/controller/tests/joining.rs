//! Rules 1, 5 and 6: coming and going.

use super::*;

#[test]
fn who_leaves_hears_that_it_is_true() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.news();
    bus.say(1, ToController::Leave);
    assert_eq!(
        bus.news(),
        ["leave 1", "drop 1", "#1 left", "#1 close: left"]
    );
    assert!(bus.controller.snapshot().is_empty());
}

#[test]
fn a_join_is_published_before_it_is_acknowledged() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    assert_eq!(bus.news(), ["#1 store", "join 1", "#1 welcome(0)"]);
}

#[test]
fn orders_are_unique_and_rise_even_within_one_nanosecond() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.join(2, "a");
    let orders: Vec<_> = bus.controller.directory.iter().map(|m| m.order).collect();
    assert_eq!(orders, [bus.now, bus.now + 1]);
}

#[test]
fn the_own_endpoint_registers_without_a_handshake() {
    let mut bus = Bus::new();
    bus.handle(Input::LocalMember {
        conn: ConnId(1),
        pid: 1,
        uid: 1,
    });
    bus.pass(Duration::from_secs(60));
    bus.say(1, register(1, "a"));
    assert_eq!(bus.news(), ["#1 store", "join 1", "#1 welcome(0)"]);
}

#[test]
fn who_leaves_is_gone_for_everybody() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.news();
    bus.close(1);
    assert_eq!(bus.news(), ["leave 1", "drop 1"]);
    assert!(bus.controller.directory.is_empty());
    assert_eq!(bus.controller.directory_bytes, 0);
    bus.say(1, introduce(1, 0));
    assert!(bus.news().is_empty());
}

#[test]
fn who_stops_receiving_matches_no_more() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.news();
    bus.say(1, ToController::StopReceiving { askers: Vec::new() });
    bus.say(1, ToController::StopReceiving { askers: Vec::new() });
    bus.park(1, 1, "a", Duration::from_secs(1));
    assert_eq!(bus.news(), ["receiving 1 false", "#1 parked(1)"]);
}

#[test]
fn who_has_asked_hears_once_that_nobody_listens() {
    let mut bus = Bus::new();
    for id in 1..=3 {
        bus.join(id, "a");
    }
    bus.news();
    let askers: Vec<_> = [3, 2, 3, 7].map(EndpointId).into();
    let stop = ToController::StopReceiving { askers };
    bus.say(1, stop.clone());
    assert_eq!(
        bus.news(),
        ["receiving 1 false", "#2 no peer(1)", "#3 no peer(1)"]
    );
    bus.say(1, stop);
    assert!(bus.news().is_empty());
}

#[test]
fn a_full_bus_refuses() {
    let mut settings = Settings::default();
    settings.quotas.members = 1;
    settings.quotas.label_bytes = 3;
    let mut bus = Bus::with(settings, None, false);
    bus.join(1, "long");
    bus.join(2, "a");
    bus.news();
    bus.join(3, "b");
    let refused = bus.news();
    assert_eq!(refused[0], "#3 refused(TooManyEndpoints { limit: 1 })");
    assert!(refused[1].starts_with("#3 close"));
    bus.close(2);
    bus.join(4, "b");
    assert_eq!(bus.controller.directory.len(), 1);
}

#[test]
fn a_label_too_large_is_refused() {
    let mut settings = Settings::default();
    settings.quotas.label_bytes = 3;
    let mut bus = Bus::with(settings, None, false);
    bus.join(1, "long");
    assert_eq!(
        bus.news()[0],
        "#1 refused(LabelTooLarge { size: 4, limit: 3 })"
    );
    assert!(bus.controller.directory.is_empty());
}

#[test]
fn the_directory_never_grows_over_its_log() {
    let mut settings = Settings::default();
    settings.quotas.directory_bytes = 1000;
    let mut bus = Bus::with(settings, None, false);
    for conn in 1..20 {
        bus.join(conn, "a label of several words");
        let all: usize = bus.controller.snapshot().iter().map(cost_of).sum();
        assert_eq!(all, bus.controller.directory_bytes);
        assert!(all <= 1000);
    }
    let news = bus.news();
    let refused = |it: &String| it.starts_with("#19 refused(DirectoryFull { whose: ");
    assert!(news.iter().any(refused));
}

/// What a record takes in the log, and its words in memory.
fn cost_of(record: &Record) -> usize {
    let Record::Join(member) = record else {
        panic!("a snapshot is of members");
    };
    let words = member.label.iter().count();
    4 + record.encode().len() + 64 * words
}

#[test]
fn nobody_takes_the_id_of_another_process() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.news();
    bus.admit(2, 2);
    bus.say(2, register(1, "b"));
    assert_eq!(bus.news()[0], "#2 refused(IdTaken)");
    // The same process does: its old connection is a dead one.
    bus.admit(3, 1);
    bus.say(3, register(1, "a"));
    assert_eq!(
        bus.news(),
        [
            "#1 close: replaced by a newer connection of the same endpoint",
            "leave 1",
            "drop 1",
            "#3 store",
            "join 1",
            "#3 welcome(0)"
        ]
    );
}

#[test]
fn a_connection_that_never_registers_is_cut_off() {
    let mut bus = Bus::new();
    bus.accept(1, 1);
    bus.admit(2, 2);
    bus.pass(Duration::from_millis(1999));
    assert!(bus.news().is_empty());
    bus.pass(Duration::from_millis(1));
    assert_eq!(
        bus.news(),
        [
            "#1 close: did not register in time",
            "#2 close: did not register in time"
        ]
    );
    assert_eq!(bus.controller.next_deadline(), None);
}

#[test]
fn of_too_many_strangers_the_oldest_is_cut_off() {
    let mut settings = Settings::default();
    settings.quotas.pending_handshakes = 2;
    let mut bus = Bus::with(settings, None, false);
    bus.join(9, "member");
    bus.news();
    for conn in 1..=3 {
        bus.now += 1;
        bus.accept(conn, 1);
    }
    assert_eq!(
        bus.news(),
        ["#1 close: too many connections that have not registered"]
    );
}

#[test]
fn who_has_said_hello_is_left_to_finish_whoever_else_comes() {
    let mut settings = Settings::default();
    settings.quotas.pending_handshakes = 2;
    let mut bus = Bus::with(settings.clone(), None, false);
    let turn = after(0, settings.handshake_turn);
    let hello = Greeter::start(&credential(), [7; 32]).1;
    bus.accept(1, 1);
    let first = bus.now;
    bus.raw(1, &hello);
    bus.now += 1;
    bus.accept(2, 1);
    // There is one that can be replaced.
    assert_eq!(bus.controller.accepts_from(), 0);
    bus.news();
    bus.now += 1;
    bus.accept(3, 1);
    assert_eq!(
        bus.news(),
        ["#2 close: too many connections that have not registered"]
    );
    bus.raw(3, &hello);
    // Now there is none, until one has had its turn or has joined.
    assert_eq!(bus.controller.accepts_from(), first + turn);
    bus.admit(4, 4);
    assert_eq!(bus.controller.phase(ConnId(1)), None);
    bus.say(4, register(4, "member"));
    assert_eq!(bus.controller.accepts_from(), 0);
}

#[test]
fn a_process_with_most_of_the_handshakes_has_little_time_for_them() {
    let mut settings = Settings::default();
    settings.quotas.pending_handshakes = 12;
    let turn = after(0, settings.handshake_turn);
    let hello = Greeter::start(&credential(), [7; 32]).1;
    for (processes, expected) in [(1, turn / 20), (12, turn)] {
        let mut bus = Bus::with(settings.clone(), None, false);
        let first = bus.now;
        for conn in 0..12 {
            bus.accept(conn, conn as u32 % processes);
            bus.raw(conn, &hello);
        }
        assert_eq!(bus.controller.accepts_from(), first + expected);
    }
}
