//! Rule 4: taking over from a controller that died.

use super::*;

const TTL: Duration = Duration::from_secs(30);

#[test]
fn inherited_members_stay_routable_and_come_back_as_they_were() {
    let inherited = directory(&[(1, "a"), (2, "b")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited.clone()), true);
    assert_eq!(
        bus.news(),
        ["snapshot of 2", "watch 1", "watch 2", "raise beacon"]
    );
    bus.rejoin(2, "b", survivor(2));
    assert_eq!(
        bus.news(),
        ["#2 store", "#2 raise beacon", "unwatch 2", "#2 welcome(0)"]
    );
    assert_eq!(bus.controller.directory, inherited);
    bus.close(2);
    assert_eq!(bus.news(), ["leave 2", "drop 2"]);
}

#[test]
fn who_died_with_the_controller_is_removed() {
    let inherited = directory(&[(1, "a"), (2, "b"), (3, "c")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.news();
    bus.handle(Input::ProcessDied { pid: 1 });
    bus.handle(Input::ProcessDied { pid: 1 });
    assert_eq!(bus.news(), ["unwatch 1", "leave 1"]);
    bus.handle(Input::WatchFailed { pid: 2 });
    bus.pass(Duration::from_secs(1));
    assert_eq!(bus.news(), ["unwatch 2", "given up 2"]);
    bus.pass(Duration::from_secs(9));
    assert_eq!(bus.news(), ["unwatch 3", "given up 3"]);
    // Who comes late has its id and its place still.
    bus.rejoin(3, "c", survivor(3));
    assert_eq!(
        bus.news(),
        ["#3 store", "#3 raise beacon", "join 3", "#3 welcome(0)"]
    );
    assert_eq!(bus.controller.directory, directory(&[(3, "c")]));
}

#[test]
fn only_the_process_of_an_inherited_member_takes_its_place() {
    let inherited = directory(&[(1, "a")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.news();
    bus.admit(2, 2);
    bus.say(2, register_survivor(1, "a", survivor(1)));
    assert_eq!(bus.news()[0], "#2 refused(IdTaken)");
}

#[test]
fn a_join_that_the_last_controller_published_but_never_acknowledged_is_taken_up() {
    let inherited = directory(&[(1, "a")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited.clone()), true);
    bus.news();
    bus.join(1, "a");
    assert_eq!(bus.news(), ["#1 store", "unwatch 1", "#1 welcome(0)"]);
    assert_eq!(bus.controller.directory, inherited);
}

#[test]
fn a_survivor_of_a_later_controller_is_not_ours() {
    let mut bus = Bus::new();
    bus.rejoin(
        1,
        "a",
        Survivor {
            generation: GENERATION + 1,
            ..survivor(1)
        },
    );
    assert_eq!(bus.news()[0], "#1 refused(Outdated)");
}

#[test]
fn a_taken_order_is_not_given_twice() {
    let mut bus = Bus::new();
    bus.rejoin(1, "a", survivor(5));
    bus.rejoin(2, "a", survivor(5));
    bus.rejoin(3, "a", survivor(4));
    let members = bus.controller.directory.iter();
    let members: Vec<_> = members.map(|m| (m.id.0, m.order)).collect();
    assert_eq!(members, [(3, 4), (1, 5), (2, bus.now)]);
}

#[test]
fn nobody_is_let_in_before_a_survivor_has_told_who_is_there() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    bus.join(9, "new");
    bus.close(9);
    assert_eq!(bus.news(), ["#8 store", "#9 store", "drop 9"]);
    bus.rejoin(2, "b", survivor(2));
    assert_eq!(
        bus.news(),
        ["#2 store", "#2 read directory", "#2 raise beacon"]
    );
    bus.handle(Input::SurvivorDirectory {
        conn: ConnId(2),
        directory: Some(directory(&[(1, "a"), (2, "b")])),
        current: true,
    });
    assert_eq!(
        bus.news(),
        [
            "snapshot of 2",
            "watch 1",
            "watch 2",
            "unwatch 2",
            "#2 welcome(0)",
            "join 8",
            "#8 welcome(0)"
        ]
    );
    // From now on the directory is known.
    bus.rejoin(1, "a", survivor(1));
    assert_eq!(
        bus.news(),
        ["#1 store", "#1 raise beacon", "unwatch 1", "#1 welcome(0)"]
    );
}

#[test]
fn a_directory_that_cannot_be_read_tells_nothing() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.rejoin(2, "b", survivor(2));
    bus.join(8, "new");
    bus.news();
    for directory in [None, Some(Directory::default())] {
        let conn = ConnId(2);
        bus.handle(Input::SurvivorDirectory {
            conn,
            directory,
            current: true,
        });
        assert!(bus.news().is_empty());
    }
    bus.pass(Duration::from_millis(50));
    assert_eq!(
        bus.news(),
        ["join 2", "#2 welcome(0)", "join 8", "#8 welcome(0)"]
    );
}

#[test]
fn survivors_who_are_slow_are_waited_for_as_they_do_not_know_yet() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    bus.news();
    bus.pass(Duration::from_millis(300));
    assert!(bus.news().is_empty());
    bus.rejoin(2, "b", survivor(2));
    bus.news();
    bus.pass(Duration::from_millis(50));
    let expected = ["join 2", "#2 welcome(0)", "join 8", "#8 welcome(0)"];
    assert_eq!(bus.news(), expected);
    // But not for ever.
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    bus.news();
    bus.pass(Settings::default().grace);
    assert_eq!(bus.news(), ["join 8", "#8 welcome(0)"]);
}

#[test]
fn survivors_who_cannot_be_accepted_are_waited_for() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    bus.handle(Input::Unreachable(true));
    bus.news();
    bus.pass(Duration::from_secs(60));
    assert!(bus.news().is_empty());
    bus.handle(Input::Unreachable(false));
    bus.rejoin(2, "b", survivor(2));
    bus.handle(Input::SurvivorDirectory {
        conn: ConnId(2),
        directory: Some(directory(&[(1, "a"), (2, "b")])),
        current: true,
    });
    assert!(bus.news().contains(&"#8 welcome(0)".to_owned()));
    assert!(bus.controller.directory.get(EndpointId(1)).is_some());
}

#[test]
fn who_could_come_again_has_as_long_as_anybody() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    bus.handle(Input::Unreachable(true));
    bus.pass(Duration::from_secs(60));
    bus.handle(Input::Unreachable(false));
    bus.news();
    bus.pass(Settings::default().grace - Duration::from_millis(1));
    assert!(bus.news().is_empty());
    bus.pass(Duration::from_millis(1));
    assert_eq!(bus.news(), ["join 8", "#8 welcome(0)"]);
}

#[test]
fn a_controller_that_was_stopped_waits_for_those_who_may_have_come_meanwhile() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    bus.news();
    // Nobody looked at the clock.
    bus.now += 60 * SECOND;
    // It is the first that it hears: they are in its queue.
    bus.rejoin(2, "b", survivor(2));
    assert_eq!(
        bus.news(),
        ["#2 store", "#2 read directory", "#2 raise beacon"]
    );
    bus.handle(Input::SurvivorDirectory {
        conn: ConnId(2),
        directory: Some(directory(&[(1, "a"), (2, "b")])),
        current: true,
    });
    assert!(bus.news().contains(&"#8 welcome(0)".to_owned()));
    assert!(bus.controller.directory.get(EndpointId(1)).is_some());
    // If nobody has, it is not for long.
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    bus.now += 60 * SECOND;
    bus.handle(Input::Tick);
    assert_eq!(bus.news(), ["#8 store"]);
    bus.pass(Settings::default().settle);
    assert_eq!(bus.news(), ["join 8", "#8 welcome(0)"]);
    // Nor again and again, if we are always late.
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.join(8, "new");
    for _ in 0..2 {
        bus.news();
        bus.now += 60 * SECOND;
        bus.handle(Input::Tick);
    }
    assert_eq!(bus.news(), ["join 8", "#8 welcome(0)"]);
}

#[test]
fn if_all_directories_are_out_of_date_the_newest_has_to_do() {
    let mut bus = Bus::with(Settings::default(), None, true);
    let bring = |bus: &mut Bus, id: u64, age: u64, members: &[(u64, &str)]| {
        let survivor = Survivor {
            generation: GENERATION - age,
            ..survivor(id)
        };
        bus.rejoin(id, "b", survivor);
        bus.handle(Input::SurvivorDirectory {
            conn: ConnId(id),
            directory: Some(directory(members)),
            current: false,
        });
    };
    bring(&mut bus, 2, 7, &[(1, "a"), (2, "b")]);
    bring(&mut bus, 3, 5, &[(2, "b"), (3, "b"), (4, "c")]);
    bring(&mut bus, 5, 6, &[(1, "a"), (5, "b")]);
    bus.news();
    bus.pass(Duration::from_millis(50));
    // The one who has not come is routable all the same, until he is known to be gone.
    assert!(bus.news().contains(&"snapshot of 3".to_owned()));
    assert!(bus.controller.directory.get(EndpointId(4)).is_some());
    assert!(bus.controller.directory.get(EndpointId(1)).is_none());
    bus.handle(Input::ProcessDied { pid: 4 });
    assert!(bus.news().contains(&"leave 4".to_owned()));
}

#[test]
fn survivors_that_nobody_knows_see_each_other_at_once() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.rejoin(2, "b", survivor(2));
    bus.rejoin(1, "a", survivor(1));
    bus.news();
    bus.pass(Duration::from_millis(50));
    assert_eq!(
        bus.news(),
        ["join 2", "join 1", "#2 welcome(0)", "#1 welcome(0)"]
    );
}

#[test]
fn a_directory_that_comes_too_late_is_not_asked_for() {
    let mut bus = Bus::with(Settings::default(), None, true);
    bus.pass(Settings::default().grace);
    bus.rejoin(2, "b", survivor(2));
    let news = bus.news();
    assert!(!news.contains(&"#2 read directory".to_owned()), "{news:?}");
    bus.handle(Input::SurvivorDirectory {
        conn: ConnId(2),
        directory: Some(directory(&[(1, "a")])),
        current: true,
    });
    assert!(bus.news().is_empty());
}

#[test]
fn what_arrived_under_the_last_controller_does_not_arrive_again() {
    let inherited = directory(&[(1, "a"), (2, "b")]);
    let delivered = vec![park_id(1, 1)];
    let two = Survivor {
        delivered,
        ..survivor(2)
    };

    // The receiver comes first.
    let mut bus = Bus::with(Settings::default(), Some(inherited.clone()), true);
    bus.rejoin(2, "b", two.clone());
    bus.rejoin(1, "a", survivor(1));
    bus.news();
    bus.park(1, 1, "b", TTL);
    assert_eq!(bus.news(), ["#1 delivered(1 to 2)"]);

    // The sender comes first.
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.rejoin(1, "a", survivor(1));
    bus.news();
    bus.park(1, 1, "b", TTL);
    assert_eq!(bus.news(), ["#1 parked(1)"]);
    bus.rejoin(2, "b", two);
    assert_eq!(
        bus.news(),
        [
            "#1 delivered(1 to 2)",
            "#2 store",
            "#2 raise beacon",
            "unwatch 2",
            "#2 welcome(0)"
        ]
    );
}

#[test]
fn what_waits_behind_another_message_when_its_ttl_ends_is_for_who_has_come() {
    let short = Duration::from_secs(1);
    let taken_over = |who: &str| {
        let inherited = directory(&[(1, "a"), (2, "b")]);
        let mut bus = Bus::with(Settings::default(), Some(inherited), true);
        bus.rejoin(1, "a", survivor(1));
        // The first may be with somebody who has yet to come back.
        bus.park(1, 1, "b", 2 * TTL);
        bus.park(1, 2, "c", short);
        bus.join(3, who);
        assert!(!bus.news().contains(&"#3 deliver(1.2)".to_owned()));
        bus.pass(short);
        bus
    };
    let mut bus = taken_over("c");
    assert_eq!(bus.news(), ["#1 routable(2)"]);
    let mut bus = taken_over("d");
    assert_eq!(bus.news(), ["#1 expired(2)"]);
    bus.join(4, "c");
    assert!(!bus.news().contains(&"#4 deliver(1.2)".to_owned()));
}

#[test]
fn what_a_dead_sender_has_for_who_had_joined_in_time_does_not_wait_again() {
    let inherited = directory(&[(1, "a"), (2, "b"), (3, "b")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.rejoin(1, "a", survivor(1));
    bus.rejoin(3, "b", survivor(3));
    bus.park(1, 1, "b", Duration::from_secs(1));
    bus.pass(Duration::from_secs(2));
    bus.close(1);
    bus.news();
    bus.handle(Input::ProcessDied { pid: 2 });
    let expected = ["unwatch 2", "leave 2", "#3 deliver(1.1)"];
    assert_eq!(bus.news(), expected);
    bus.close(3);
    assert_eq!(bus.controller.parking.total().messages, 0);
}

#[test]
fn what_is_parked_again_after_its_ttl_is_for_who_had_joined_by_then() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.join(2, "b");
    bus.pass(Duration::from_secs(2));
    bus.join(3, "c");
    bus.pass(Duration::from_secs(2));
    bus.news();
    let park_again = |sequence, label: &str, over: Duration| {
        let ToController::Park { selector, body, .. } = park(sequence, label, Duration::ZERO)
        else {
            panic!("it is one");
        };
        ToController::Park {
            sequence,
            selector,
            over: over.as_nanos() as u64,
            body,
            objects: 0,
        }
    };
    for (sequence, label, seconds) in [(1, "b", 3), (2, "c", 3), (3, "c", 1), (4, "d", 1)] {
        bus.say(1, park_again(sequence, label, Duration::from_secs(seconds)));
    }
    let expected = [
        "#1 routable(1)",
        "#1 expired(2)",
        "#1 routable(3)",
        "#1 expired(4)",
    ];
    assert_eq!(bus.news(), expected);
}

#[test]
fn what_may_have_arrived_is_not_said_to_have_expired() {
    let inherited = directory(&[(1, "a"), (2, "b")]);
    let two = |delivered: &[ParkId]| Survivor {
        delivered: delivered.to_vec(),
        ..survivor(2)
    };
    let taken_over = || {
        let mut bus = Bus::with(Settings::default(), Some(inherited.clone()), true);
        bus.rejoin(1, "a", survivor(1));
        bus.news();
        // The ttl of the first is over, that of the second ends now, the third is withdrawn.
        bus.park(1, 1, "b", Duration::ZERO);
        bus.park(1, 2, "b", Duration::from_millis(1));
        bus.park(1, 3, "b", TTL);
        bus.say(1, ToController::Withdraw { sequence: 3 });
        bus.pass(Duration::from_millis(2));
        assert_eq!(bus.news(), ["#1 parked(1)", "#1 parked(2)", "#1 parked(3)"]);
        // It is not for those who come later.
        bus.join(4, "b");
        assert_eq!(bus.news(), ["#4 store", "join 4", "#4 welcome(0)"]);
        bus
    };
    let told = |bus: &mut Bus| {
        let mut news = bus.news();
        news.retain(|it| it.starts_with("#1"));
        news
    };

    let mut bus = taken_over();
    bus.rejoin(2, "b", two(&[park_id(1, 1), park_id(1, 3)]));
    assert_eq!(
        told(&mut bus),
        [
            "#1 delivered(1 to 2)",
            "#1 delivered(3 to 2)",
            "#1 routable(2)"
        ]
    );
    let mut bus = taken_over();
    bus.handle(Input::ProcessDied { pid: 2 });
    let all = [1, 2, 3].map(|it| format!("#1 expired({it})"));
    assert_eq!(told(&mut bus), all);
}

#[test]
fn what_may_have_arrived_waits_for_who_knows() {
    let inherited = directory(&[(1, "a"), (2, "b"), (3, "b")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.rejoin(1, "a", survivor(1));
    bus.rejoin(3, "b", survivor(3));
    bus.news();
    bus.park(1, 1, "b", TTL);
    // It must not overtake the first.
    bus.park(1, 2, "c", TTL);
    bus.join(4, "b c");
    assert_eq!(bus.news()[2..], ["#4 store", "join 4", "#4 welcome(0)"]);
    // It has not arrived, and never will there: the sender sends it to the next.
    bus.handle(Input::ProcessDied { pid: 2 });
    assert_eq!(
        bus.news(),
        ["unwatch 2", "leave 2", "#1 routable(1)", "#1 routable(2)"]
    );
}

#[test]
fn if_nobody_is_left_to_send_it_the_controller_does() {
    let inherited = directory(&[(1, "a"), (2, "b"), (3, "b")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.rejoin(1, "a", survivor(1));
    bus.rejoin(3, "b", survivor(3));
    bus.park(1, 1, "b", TTL);
    bus.close(1);
    bus.news();
    bus.handle(Input::ProcessDied { pid: 2 });
    assert_eq!(bus.news(), ["unwatch 2", "leave 2", "#3 deliver(1.1)"]);
}

#[test]
fn what_nobody_has_after_all_waits_on() {
    let inherited = directory(&[(1, "a"), (2, "b")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.rejoin(1, "a", survivor(1));
    bus.park(1, 1, "b", TTL);
    bus.news();
    bus.handle(Input::ProcessDied { pid: 2 });
    assert_eq!(bus.news(), ["unwatch 2", "leave 2"]);
    bus.join(4, "b");
    assert!(bus.news().contains(&"#4 deliver(1.1)".to_owned()));
}

#[test]
fn what_had_not_arrived_is_sent_by_its_sender() {
    let inherited = directory(&[(1, "a"), (2, "b")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.rejoin(1, "a", survivor(1));
    bus.park(1, 1, "b", TTL);
    bus.news();
    bus.rejoin(2, "b", survivor(2));
    assert_eq!(
        bus.news(),
        [
            "#2 store",
            "#2 raise beacon",
            "unwatch 2",
            "#2 welcome(0)",
            "#1 routable(1)"
        ]
    );
}

#[test]
fn a_sender_that_lost_its_connection_hears_of_the_delivery_when_it_asks() {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.park(1, 1, "b", TTL);
    bus.close(1);
    bus.join(2, "b");
    let ids = vec![park_id(1, 1)];
    bus.say(2, ToController::Took { ids });
    bus.admit(3, 1);
    let same_generation = Survivor {
        generation: GENERATION,
        ..survivor(1)
    };
    bus.say(3, register_survivor(1, "a", same_generation));
    bus.news();
    bus.park(3, 1, "b", TTL);
    assert_eq!(bus.news(), ["#3 delivered(1 to 2)"]);
}

#[test]
fn a_survivors_directory_is_taken_as_far_as_the_quotas_go() {
    let mut settings = Settings::default();
    settings.quotas.members = 2;
    let mut bus = Bus::with(settings, None, true);
    bus.rejoin(1, "a", survivor(1));
    bus.handle(Input::SurvivorDirectory {
        conn: ConnId(1),
        directory: Some(directory(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")])),
        current: true,
    });
    assert_eq!(bus.controller.directory.len(), 2);
}
