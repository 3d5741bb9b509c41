//! Rule 3: introductions.

use super::*;

fn two() -> Bus {
    let mut bus = Bus::new();
    bus.join(1, "a");
    bus.join(2, "b");
    bus.news();
    bus
}

#[test]
fn both_get_an_end_of_the_same_channel() {
    let mut bus = two();
    bus.say(1, introduce(2, 0));
    let ends: Vec<_> = bus
        .out
        .iter()
        .map(|output| match output {
            Output::Send { attach, .. } => attach.to_vec(),
            _ => Vec::new(),
        })
        .collect();
    let end = |side, peer| {
        let peer = EndpointId(peer);
        vec![
            Attachment::PairEnd { pair: 1, side },
            Attachment::Doorbell(peer),
            Attachment::InboxPage(peer),
            Attachment::ReadySet(peer),
        ]
    };
    // The peer's first: who has asked may be gone as soon as it has its own.
    assert_eq!(ends, [end(Side::Peer, 1), end(Side::Asker, 2)]);
    assert_eq!(
        bus.news(),
        ["#2 introduced(1', pair 1)", "#1 introduced(2, pair 1)"]
    );
}

#[test]
fn asking_at_the_same_time_makes_one_pair() {
    let mut bus = two();
    bus.say(1, introduce(2, 0));
    bus.news();
    bus.say(2, introduce(1, 0));
    bus.say(1, introduce(2, 0));
    assert!(bus.news().is_empty());
    bus.say(2, introduce(1, u64::MAX));
    assert_eq!(
        bus.news(),
        ["#1 introduced(2', pair 2)", "#2 introduced(1, pair 2)"]
    );
}

#[test]
fn a_pair_is_made_anew_only_for_who_has_seen_the_newest_one_break() {
    let mut bus = two();
    // A pair of an earlier controller broke for the first, and the second has never had one.
    bus.say(2, introduce(1, 0));
    assert_eq!(
        bus.news(),
        ["#1 introduced(2', pair 1)", "#2 introduced(1, pair 1)"]
    );
    bus.say(1, introduce(2, 0));
    assert!(bus.news().is_empty());
    bus.say(1, introduce(2, 1));
    bus.say(2, introduce(1, 1));
    assert_eq!(
        bus.news(),
        ["#2 introduced(1', pair 2)", "#1 introduced(2, pair 2)"]
    );
}

#[test]
fn who_came_back_is_introduced_anew() {
    let mut bus = two();
    bus.say(1, introduce(2, 0));
    bus.close(2);
    bus.news();
    bus.say(1, introduce(2, 0));
    assert_eq!(bus.news(), ["#1 no peer(2)"]);
    bus.admit(3, 2);
    bus.say(3, register(2, "b"));
    bus.news();
    bus.say(1, introduce(2, 0));
    assert_eq!(
        bus.news(),
        ["#3 introduced(1', pair 2)", "#1 introduced(2, pair 2)"]
    );
}

#[test]
fn an_inherited_peer_is_waited_for() {
    let inherited = directory(&[(1, "a"), (2, "b"), (3, "c")]);
    let mut bus = Bus::with(Settings::default(), Some(inherited), true);
    bus.rejoin(1, "a", survivor(1));
    bus.news();
    bus.say(1, introduce(2, 0));
    bus.say(1, introduce(2, 0));
    bus.say(1, introduce(3, 0));
    assert!(bus.news().is_empty());
    bus.rejoin(2, "b", survivor(2));
    assert_eq!(
        bus.news(),
        [
            "#2 store",
            "#2 raise beacon",
            "unwatch 2",
            "#2 welcome(0)",
            "#2 introduced(1', pair 1)",
            "#1 introduced(2, pair 1)"
        ]
    );
    bus.handle(Input::ProcessDied { pid: 3 });
    assert_eq!(bus.news(), ["unwatch 3", "leave 3", "#1 no peer(3)"]);
}

#[test]
fn new_pairs_are_not_made_for_ever() {
    let mut bus = two();
    bus.say(1, introduce(2, 0));
    for _ in 1..8 {
        bus.say(1, introduce(2, u64::MAX));
    }
    assert_eq!(bus.news().len(), 16);
    // Who asks too often goes; the other may ask.
    bus.say(2, introduce(1, u64::MAX));
    assert_eq!(bus.news().len(), 2);
    bus.say(1, introduce(2, u64::MAX));
    assert!(bus.news()[0].starts_with("#1 close: asked more than 8 times"));
}

#[test]
fn an_endpoint_can_be_introduced_to_itself() {
    let mut bus = two();
    bus.say(1, introduce(1, 0));
    assert_eq!(
        bus.news(),
        ["#1 introduced(1', pair 1)", "#1 introduced(1, pair 1)"]
    );
}
