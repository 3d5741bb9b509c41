//! G12: a member that scribbles over all memory it shares harms nobody but those who listen to it, and them
//! only in what it says itself.

use ipmb::{Message, RecvError, Selector, label};
use ipmb_tests::{Bus, DEADLINE, Peer, proc};
use std::{
    thread,
    time::{Duration, Instant},
};

const ROUNDS: usize = 500;
/// So long it goes on at least.
const TIME: Duration = Duration::from_secs(1);

type Endpoint = (ipmb::EndpointSender<String>, ipmb::EndpointReceiver<String>);

/// A message to the echo and back, whatever else comes meanwhile.
fn exchange((sender, receiver): &Endpoint, text: &str) {
    let there = Message::new(Selector::unicast("echo"), text.to_owned());
    sender.send(there).unwrap();
    loop {
        match receiver.recv(Some(DEADLINE)) {
            Ok(message) if message.payload == text => return,
            // What the scribbler says, and what the echo makes of it.
            Ok(message) => assert!(!message.payload.starts_with("round"), "{}", message.payload),
            Err(RecvError::Decode(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until a process does nothing.
fn comes_to_rest(peer: &Peer) {
    let runtime = || {
        proc::activity(peer.pid())
            .values()
            .map(|it| it.runtime)
            .sum::<u64>()
    };
    proc::eventually("it rests", true, || {
        let before = runtime();
        thread::sleep(Duration::from_millis(100));
        // In nanoseconds, of a tenth of a second.
        runtime() - before < 20_000_000
    });
}

#[test]
fn g12_a_scribbler_harms_nobody() {
    let bus = Bus::new();
    let mut echo = bus.peer("echo", &["echo", "test"]);
    echo.expect("joined");
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let endpoint: Endpoint = ipmb::join(options, Some(DEADLINE)).unwrap();
    let mut scribbler = bus.peer("scribbler", &["echo", "test"]);
    scribbler.expect("joined");
    exchange(&endpoint, "round before");
    // It has lanes to both, and one of ours.
    scribbler.tell("talk");
    let ours = Message::new(Selector::unicast("scribbler"), "hello".to_owned());
    endpoint.0.send(ours).unwrap();
    scribbler.expect("talked");
    scribbler.tell("scribble");
    let said = scribbler.line();
    let bytes = said.strip_prefix("scribbling ").unwrap().parse::<usize>();
    assert!(bytes.unwrap() > 128 << 10, "{said}");
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS || start.elapsed() < TIME {
        exchange(&endpoint, &format!("round {rounds}"));
        rounds += 1;
    }
    // Who comes now is let in, although the memory of the controller is among what is scribbled over.
    let fresh = bus.peer("echo", &["fresh", "test"]);
    fresh.expect("joined");
    scribbler.kill();
    exchange(&endpoint, "round after");
    let first = Message::new(Selector::unicast("fresh"), "round fresh".to_owned());
    endpoint.0.send(first).unwrap();
    while endpoint.1.recv(Some(DEADLINE)).unwrap().payload != "round fresh" {}
    comes_to_rest(&echo);
    comes_to_rest(&fresh);
    println!("{rounds} rounds in {:?} beside {said}", start.elapsed());
    echo.kill();
}
