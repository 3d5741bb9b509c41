//! G2: messages from one sender to one receiver arrive in the order sent, through growth.
//! (Through failover: see G3. Through parking: see G6.)

use ipmb_tests::{Bus, Peer};
use std::time::Instant;

const SOURCES: u64 = 8;
const SINKS: u64 = 8;
/// Per pair of the two.
const MESSAGES: u64 = 20_000;

#[test]
fn g2_order_is_kept_while_lanes_grow() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let number = |number: u64| number.to_string();
    let mut sinks: Vec<Peer> = (0..SINKS)
        .map(|sink| bus.peer("sink", &[&number(sink), &number(SOURCES)]))
        .collect();
    sinks.iter().for_each(|sink| sink.expect("joined"));
    let start = Instant::now();
    let mut sources: Vec<Peer> = (0..SOURCES)
        .map(|source| {
            bus.peer(
                "source",
                &[&number(source), &number(SINKS), &number(MESSAGES)],
            )
        })
        .collect();
    sources.iter().for_each(|source| source.expect("joined"));
    // Nobody reads: the lanes grow from 64 KiB to the receivers' budget.
    sources.iter().for_each(|source| source.expect("full"));
    sinks.iter_mut().for_each(|sink| sink.tell("read"));
    sources.iter_mut().for_each(|source| source.tell("stop"));
    for source in &sources {
        source.expect(&format!("sent {MESSAGES}"));
    }
    for sink in &sinks {
        sink.expect(&format!("done {}", SOURCES * MESSAGES));
    }
    let elapsed = start.elapsed();
    for sink in &mut sinks {
        sink.tell("look for more");
        sink.expect("probes 0");
    }
    let messages = SOURCES * SINKS * MESSAGES;
    println!(
        "{messages} messages in {elapsed:?}: {:?} each",
        elapsed / messages as u32
    );
    sources.into_iter().chain(sinks).for_each(Peer::finish);
}
