//! G9: a join or a first send during a controller's `kill -9` succeeds within 10 ms of it.

use ipmb_tests::{
    Bus, Peer,
    crowd::{Crowd, Pace},
    failover::{Controllers, KILLS, PROBES, Pauses},
};
use std::time::Duration;

#[test]
fn g9_joins_and_first_sends_hardly_pause_when_the_controller_is_killed() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let mut sinks: Vec<Peer> = (0..8)
        .map(|sink: u32| bus.peer("sink", &[&sink.to_string(), "0"]))
        .collect();
    sinks.iter().for_each(|sink| sink.expect("joined"));
    let pauses = Pauses::measure(&mut controllers, "sink7");
    for (index, sink) in sinks.iter_mut().enumerate() {
        sink.tell("read");
        sink.expect("done 0");
        sink.tell("look for more");
        sink.expect(&format!("probes {}", if index == 7 { PROBES } else { 0 }));
    }
    println!("{KILLS} kills of the controller of a quiet bus:\n{pauses}");
    pauses.assert(Duration::from_millis(10));
}

#[test]
fn g9_joins_and_first_sends_hardly_pause_under_traffic() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let crowd = Crowd::start(&bus, Pace::Gentle);
    let pauses = Pauses::measure(&mut controllers, Crowd::PROBED);
    let messages = crowd.finish(PROBES);
    println!("{KILLS} kills of the controller among {messages} messages:\n{pauses}");
    pauses.assert(Duration::from_millis(10));
}
