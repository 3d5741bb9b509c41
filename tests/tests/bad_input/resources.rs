//! No descriptors and no memory.

use super::{assert_starts, join, poor};
use ipmb_tests::{Bus, Peer, proc::descriptors};
use std::time::{Duration, Instant};

/// What is refused is refused at once.
fn at_once(peer: &mut Peer, question: &str, start: &str) {
    let asked = Instant::now();
    let answer = peer.ask(question);
    assert_starts(&answer, start);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(5), "{question}: {took:?}");
}

const LACK: &str = "Err(Resources(Os { code: 24";

#[test]
fn to_join_without_descriptors_is_an_error_and_can_be_tried_again() {
    for first in [true, false] {
        let bus = Bus::new();
        let mut alice = poor(&bus, "alice");
        if !first {
            assert_eq!(join(&mut alice), "Ok(())");
        }
        let mut bob = poor(&bus, "bob");
        let before = descriptors(bob.pid());
        assert_eq!(bob.ask("no descriptors"), "none");
        let poor = descriptors(bob.pid());
        for _ in 0..3 {
            let asked = Instant::now();
            let answer = join(&mut bob);
            assert!(
                answer.starts_with(LACK) || answer.starts_with("Err(RuntimeDirectory(Io"),
                "{answer}"
            );
            assert!(asked.elapsed() < Duration::from_secs(5));
            assert_eq!(descriptors(bob.pid()), poor);
        }
        assert_eq!(bob.ask("descriptors"), "some");
        assert_eq!(descriptors(bob.pid()), before);
        assert_eq!(join(&mut bob), "Ok(())");
        if first {
            assert_eq!(join(&mut alice), "Ok(())");
        }
        assert_eq!(alice.ask("send bob 5 0"), "Ok(())");
        assert_eq!(bob.ask("recv"), "Ok(\"5 bytes, 0 objects\")");
    }
}

#[test]
fn a_first_send_without_descriptors_is_an_error_and_can_be_tried_again() {
    let tried = (0..TRIES).any(|_| {
        let bus = Bus::new();
        let candidate = bus.peer("candidate", &[]);
        candidate.expect("joined");
        first_send_without_descriptors(&bus)
    });
    assert!(tried);
}

#[test]
fn a_first_send_of_a_controller_without_descriptors_loses_nothing() {
    let tried = (0..TRIES).any(|_| first_send_without_descriptors(&Bus::new()));
    assert!(tried);
}

/// So often it may happen that a process closes a descriptor, of somebody who has just joined, after
/// it was made to open all it can.
const TRIES: u32 = 20;

/// False: there was a descriptor after all.
fn first_send_without_descriptors(bus: &Bus) -> bool {
    let (mut alice, mut bob) = (poor(bus, "alice"), poor(bus, "bob"));
    assert_eq!(join(&mut alice), "Ok(())");
    assert_eq!(join(&mut bob), "Ok(())");
    assert_eq!(alice.ask("no descriptors"), "none");
    for message in ["send bob 1 1", "send bob 2 0"] {
        let said = alice.ask(message);
        if said == "Ok(())" {
            return false;
        }
        assert_starts(&said, LACK);
    }
    assert_eq!(alice.ask("descriptors"), "some");
    // The lack may be reported once more to who sends next.
    let said = alice.ask("send bob 3 0");
    if said != "Ok(())" {
        assert_starts(&said, LACK);
        assert_eq!(alice.ask("send bob 3 0"), "Ok(())");
    }
    for bytes in 4..10 {
        assert_eq!(alice.ask(&format!("send bob {bytes} 0")), "Ok(())");
    }
    for bytes in 3..10 {
        let heard = format!("Ok(\"{bytes} bytes, 0 objects\")");
        assert_eq!(bob.ask("recv"), heard);
    }
    // The other way round, too.
    assert_eq!(bob.ask("send alice 1 1"), "Ok(())");
    assert_eq!(alice.ask("recv"), "Ok(\"1 bytes, 1 objects\")");
    true
}

#[test]
fn objects_wait_for_a_receiver_without_descriptors() {
    let bus = Bus::new();
    let (mut alice, mut bob) = (poor(&bus, "alice"), poor(&bus, "bob"));
    assert_eq!(join(&mut alice), "Ok(())");
    assert_eq!(join(&mut bob), "Ok(())");
    assert_eq!(alice.ask("send bob 1 1"), "Ok(())");
    assert_eq!(bob.ask("recv"), "Ok(\"1 bytes, 1 objects\")");
    let before = descriptors(bob.pid());
    assert_eq!(bob.ask("no descriptors"), "none");
    assert_eq!(alice.ask("send bob 2 3"), "Ok(())");
    assert_eq!(alice.ask("send bob 3 0"), "Ok(())");
    at_once(&mut bob, "recv", LACK);
    at_once(&mut bob, "recv", LACK);
    assert_eq!(bob.ask("descriptors"), "some");
    assert_eq!(bob.ask("recv"), "Ok(\"2 bytes, 3 objects\")");
    assert_eq!(bob.ask("recv"), "Ok(\"3 bytes, 0 objects\")");
    assert_eq!(descriptors(bob.pid()), before);
}

#[test]
fn a_first_message_waits_for_a_receiver_without_descriptors() {
    let bus = Bus::new();
    let candidate = bus.peer("candidate", &[]);
    candidate.expect("joined");
    let (mut alice, mut bob) = (poor(&bus, "alice"), poor(&bus, "bob"));
    assert_eq!(join(&mut alice), "Ok(())");
    assert_eq!(join(&mut bob), "Ok(())");
    assert_eq!(bob.ask("no descriptors"), "none");
    alice.tell("send bob 7 2");
    assert_eq!(bob.ask("descriptors"), "some");
    alice.expect("Ok(())");
    assert_eq!(bob.ask("recv"), "Ok(\"7 bytes, 2 objects\")");
}

#[test]
fn without_memory_there_are_errors_and_no_deaths() {
    for first in [true, false] {
        let bus = Bus::new();
        let (mut alice, mut bob) = (poor(&bus, "alice"), poor(&bus, "bob"));
        if !first {
            assert_eq!(join(&mut alice), "Ok(())");
        }
        assert_eq!(bob.ask("no memory"), "none");
        assert_starts(&join(&mut bob), "Err(Resources(");
        assert_starts(&bob.ask("region 100000000"), "Err(Os { code: 12");
        assert_eq!(bob.ask("memory"), "some");
        assert_eq!(join(&mut bob), "Ok(())");
        if first {
            assert_eq!(join(&mut alice), "Ok(())");
        }
        // Before and after first contact.
        for _ in 0..2 {
            assert_eq!(bob.ask("no memory"), "none");
            let answer = bob.ask("send alice 100 1");
            if answer == "Ok(())" {
                assert_eq!(alice.ask("recv"), "Ok(\"100 bytes, 1 objects\")");
            } else {
                assert_starts(&answer, "Err(Resources(");
            }
            assert_eq!(bob.ask("memory"), "some");
            assert_eq!(bob.ask("send alice 200 0"), "Ok(())");
            assert_eq!(alice.ask("recv"), "Ok(\"200 bytes, 0 objects\")");
        }
        assert_eq!(bob.ask("no memory"), "none");
        bob.tell("large alice");
        // Whoever waits for a large message waits for its sender.
        let received = alice.ask("recv");
        match bob.line().as_str() {
            "Ok(())" => assert_eq!(received, "Ok(\"67108864 bytes, 0 objects\")"),
            refused => {
                assert_starts(refused, "Err(Resources(");
                assert_eq!(received, "Err(Timeout)");
                assert_eq!(bob.ask("memory"), "some");
                bob.tell("large alice");
                assert_eq!(alice.ask("recv"), "Ok(\"67108864 bytes, 0 objects\")");
                bob.expect("Ok(())");
            }
        }
    }
}
