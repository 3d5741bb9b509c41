//! Garbage, half a handshake, and silence on the socket, while others go about their business.

use ipmb::{EndpointReceiver, EndpointSender, Message, Selector, label};
use ipmb_tests::{Bus, DEADLINE, Peer, proc};
use std::time::{Duration, Instant};

const ROUNDS: usize = 60;
/// More than the controller listens to at a time.
const CONNECTIONS: &str = "200";

struct Medians {
    join: Duration,
    exchange: Duration,
}

type Endpoint = (EndpointSender<String>, EndpointReceiver<String>);

/// Joins and leaves, and exchanges a message with those who are there.
fn measure(bus: &Bus, endpoint: &Endpoint) -> Medians {
    let (mut joins, mut exchanges) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let start = Instant::now();
        let options = bus.options(label!("fresh")).with_controller_affinity(false);
        let fresh = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
        joins.push(start.elapsed());
        let start = Instant::now();
        let text = format!("round {round}");
        let there = Message::new(Selector::unicast("echo"), text.clone());
        endpoint.0.send(there).unwrap();
        assert_eq!(endpoint.1.recv(Some(DEADLINE)).unwrap().payload, text);
        exchanges.push(start.elapsed());
        // First contact goes through the controller.
        let first = Message::new(Selector::unicast("fresh"), text.clone());
        endpoint.0.send(first).unwrap();
        assert_eq!(fresh.1.recv(Some(DEADLINE)).unwrap().payload, text);
    }
    Medians {
        join: median(joins),
        exchange: median(exchanges),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn strangers_delay_nobody(how: &str) {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let echo = bus.peer("echo", &["echo", "test"]);
    echo.expect("joined");
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let endpoint = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    // Afterwards the controller may not have heard yet who left last.
    let descriptors = proc::descriptors(controller.pid());
    measure(&bus, &endpoint);
    let before = measure(&bus, &endpoint);
    let strangers: Vec<Peer> = (0..2)
        .map(|_| bus.peer("stranger", &[how, CONNECTIONS]))
        .collect();
    strangers
        .iter()
        .for_each(|stranger| stranger.expect("started"));
    let beside = measure(&bus, &endpoint);
    let held = proc::descriptors(controller.pid()).saturating_sub(descriptors);
    println!(
        "{how}: join {:?}, beside strangers {:?}; exchange {:?}, beside strangers {:?}; \
         the controller holds {held} descriptors for strangers",
        before.join, beside.join, before.exchange, beside.exchange
    );
    // Busy machines are slow; who waits for strangers waits for two seconds.
    let bound = |time: Duration| time * 10 + Duration::from_millis(20);
    assert!(beside.join < bound(before.join));
    assert!(beside.exchange < bound(before.exchange));
    assert!(held <= 80, "{held} descriptors");
    drop(strangers);
    // It may have held some more for those who had just joined.
    proc::eventually("none are left of the strangers", true, || {
        proc::descriptors(controller.pid()) <= descriptors
    });
    controller.finish();
}

#[test]
fn garbage_delays_nobody() {
    strangers_delay_nobody("garbage");
}

#[test]
fn half_a_handshake_delays_nobody() {
    strangers_delay_nobody("half");
}

#[test]
fn silence_delays_nobody() {
    strangers_delay_nobody("silent");
}

#[test]
fn who_says_nothing_is_cut_off() {
    let bus = Bus::new();
    let _endpoint = ipmb::join::<(), ()>(bus.options(label!("test")), None).unwrap();
    let path = ipmb_tests::bad::socket(&bus.path(), ipmb_tests::bad::IDENTIFIER);
    let start = Instant::now();
    let socket = ipmb_tests::bad::connect(&path).unwrap();
    assert!(ipmb_tests::bad::receive(&socket).unwrap().is_empty());
    println!("cut off after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(10));
}
