//! G6: a message that matches nobody waits for the first match up to its ttl; with ttl 0 it is
//! dropped, and `send` is Ok. And what waits is neither lost (G3) nor overtaken (G2).

use ipmb::{BytesMessage, EndpointReceiver, Message, Selector, SendError, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    failover::Controllers,
    raw::Raw,
    traffic::{Seen, large},
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// A ttl that does not end.
const LONG: u64 = 600_000;

#[test]
fn g6_a_message_waits_for_the_first_that_matches() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    tell(&mut parker, &format!("send late 10 {LONG}"), "sent 10");
    let first = join(&bus, "late");
    let second = join(&bus, "late");
    let mut seen = Seen::default();
    take(&first, &mut seen, 10);
    // Only one gets it, and what is sent from now on follows.
    tell(&mut parker, &format!("send late 10 {LONG}"), "sent 20");
    take(&first, &mut seen, 20);
    assert!(second.try_recv().unwrap().is_none());
    assert!(first.try_recv().unwrap().is_none());
    parker.finish();
}

#[test]
fn g6_a_message_waits_after_its_sender_has_left() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    tell(&mut parker, &format!("send late 100 {LONG}"), "sent 100");
    parker.finish();
    take_all(&bus, "late", 100);
}

#[test]
fn g6_a_message_waits_after_its_sender_was_killed() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    tell(&mut parker, &format!("send late 100 {LONG}"), "sent 100");
    parker.kill();
    take_all(&bus, "late", 100);
}

#[test]
fn g6_a_message_goes_to_the_next_if_the_first_does_not_come_back_and_its_sender_has_left() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    tell(&mut parker, &format!("send late 10 {LONG}"), "sent 10");
    // It never says that they have arrived, and so the next controller cannot know; nor does it go there.
    let _first = Raw::join(&bus.path(), "late", 9).unwrap();
    let next = join(&bus, "late");
    controllers.kill_and_wait();
    parker.finish();
    take(&next, &mut Seen::default(), 10);
    assert!(next.try_recv().unwrap().is_none());
}

#[test]
fn g6_a_ttl_ends_while_there_is_no_controller() {
    let bus = Bus::new();
    let controllers = Controllers::start(&bus);
    let options = bus.options(label!("loner")).with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<String, ()>(options, Some(DEADLINE)).unwrap();
    controllers.kill_all();
    let (done, is_done) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // By the second, if not before the first, it is known that there is none.
        for number in 0..3 {
            let mut selector = Selector::unicast("nobody");
            selector.ttl = Duration::from_millis(50);
            sender
                .send(Message::new(selector, number.to_string()))
                .unwrap();
            done.send(number).unwrap();
        }
    });
    for number in 0..3 {
        assert_eq!(is_done.recv_timeout(DEADLINE), Ok(number));
    }
}

#[test]
fn g6_a_message_waits_while_controllers_are_killed() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    for round in 0..20 {
        let label = format!("late{round}");
        tell(&mut parker, &format!("send {label} 30 {LONG}"), "sent 30");
        controllers.kill();
        if round % 2 == 1 {
            controllers.replace();
            controllers.kill();
        }
        take_all(&bus, &label, 30);
        controllers.replace();
    }
    parker.finish();
}

#[test]
fn g6_a_message_waits_when_the_controller_is_killed_and_then_its_sender_leaves() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    for round in 0..20 {
        let mut parker = parker(&bus, 0);
        let label = format!("late{round}");
        tell(&mut parker, &format!("send {label} 30 {LONG}"), "sent 30");
        controllers.kill_and_wait();
        parker.finish();
        take_all(&bus, &label, 30);
        controllers.replace();
    }
}

#[test]
fn g6_a_message_is_dropped_when_its_ttl_ends() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    for controller_dies in [false, true] {
        let label = format!("late{controller_dies}");
        let ttl = Duration::from_millis(200);
        let start = Instant::now();
        tell(&mut parker, &format!("send {label} 10 200"), "sent 10");
        if controller_dies {
            controllers.kill();
            controllers.replace();
        }
        // Of those that were sent last, too.
        thread::sleep(start.elapsed() + ttl);
        let receiver = join(&bus, &label);
        tell(&mut parker, &format!("send {label} 1 0"), "sent 11");
        let message = receiver.recv(Some(DEADLINE)).unwrap();
        assert_eq!(message.payload.data[..8], 10u64.to_le_bytes());
    }
    parker.finish();
}

#[test]
fn g6_without_a_ttl_a_message_is_dropped_at_once() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    tell(&mut parker, "send late 10 0", "sent 10");
    let receiver = join(&bus, "late");
    tell(&mut parker, "send late 1 0", "sent 11");
    let message = receiver.recv(Some(DEADLINE)).unwrap();
    assert_eq!(message.payload.data[..8], 10u64.to_le_bytes());
    parker.finish();
}

#[test]
fn g6_large_messages_wait_too() {
    let bus = Bus::new();
    let controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    let sizes = [63 << 10, 64 << 10, 65 << 10, 1 << 20, 20 << 20];
    for death in ["nobody's", "the sender's", "the controller's"] {
        let label = death.replace(' ', "-");
        for size in sizes {
            tell(&mut parker, &format!("large {label} {size} {LONG}"), "sent");
        }
        match death {
            "the sender's" => {
                parker.kill();
                parker = self::parker(&bus, 0);
            }
            "the controller's" => {
                controllers.kill();
            }
            _ => {}
        }
        let receiver = join(&bus, &label);
        for size in sizes {
            let message = receiver.recv(Some(DEADLINE)).unwrap();
            assert!(message.payload == large(size), "{size} bytes");
        }
    }
    parker.finish();
}

#[test]
fn g6_what_waited_is_not_overtaken() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let mut parkers: Vec<Peer> = (0..3).map(|number| parker(&bus, number)).collect();
    for round in 0..100 {
        stream_to_a_joiner(&bus, &mut parkers, &format!("late{round}"), || {});
    }
    parkers.into_iter().for_each(Peer::finish);
}

#[test]
fn g6_what_waited_is_not_overtaken_when_the_controller_is_killed() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let mut parkers: Vec<Peer> = (0..3).map(|number| parker(&bus, number)).collect();
    for round in 0..50 {
        stream_to_a_joiner(&bus, &mut parkers, &format!("late{round}"), || {
            controllers.kill();
        });
        controllers.replace();
    }
    parkers.into_iter().for_each(Peer::finish);
}

#[test]
fn g6_a_message_waits_for_the_next_when_the_receiver_is_dropped() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let mut parker = parker(&bus, 0);
    let (_sender, receiver) =
        ipmb::join::<(), BytesMessage>(bus.options(label!("late")), Some(DEADLINE)).unwrap();
    let mut seen = Seen::default();
    tell(&mut parker, &format!("send late 10 {LONG}"), "sent 10");
    take(&receiver, &mut seen, 10);
    drop(receiver);
    // This makes sure that the word of it has reached the controller.
    drop(join(&bus, "another"));
    tell(&mut parker, &format!("send late 10 {LONG}"), "sent 20");
    take(&join(&bus, "late"), &mut seen, 20);
    parker.finish();
}

#[test]
fn g6_who_parks_too_much_is_told() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<BytesMessage, ()>(options, Some(DEADLINE)).unwrap();
    let mut selector = Selector::unicast("late");
    selector.ttl = Duration::from_millis(LONG);
    let mut parked = 0;
    let error = loop {
        match sender.send(Message::new(selector.clone(), large(10 << 20))) {
            Ok(()) => parked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SendError::ParkRefused(_)), "{error}");
    assert_eq!(parked, 6);
    // What was taken is kept.
    let receiver = join(&bus, "late");
    for _ in 0..parked {
        receiver.recv(Some(DEADLINE)).unwrap();
    }
    // And there is room again.
    selector.label_op = "later".into();
    sender
        .send(Message::new(selector, large(10 << 20)))
        .unwrap();
}

/// Several stream to a label that somebody joins with meanwhile: everything arrives, once, in
/// order.
fn stream_to_a_joiner(bus: &Bus, parkers: &mut [Peer], label: &str, meanwhile: impl FnOnce()) {
    for parker in parkers.iter_mut() {
        tell(parker, &format!("stream {label} {LONG}"), "begun");
    }
    meanwhile();
    let receiver = join(bus, label);
    let mut seen = Seen::default();
    take(&receiver, &mut seen, 1000);
    parkers.iter_mut().for_each(|parker| parker.tell("stop"));
    while seen.done < parkers.len() {
        let message = receiver.recv(Some(DEADLINE)).unwrap();
        seen.check(&message.payload).unwrap();
    }
    parkers.iter().for_each(|parker| parker.expect("stopped"));
    assert!(receiver.try_recv().unwrap().is_none());
}

/// Receives until there were so many in all, and checks them.
fn take(receiver: &EndpointReceiver<BytesMessage>, seen: &mut Seen, total: u64) {
    while seen.total < total {
        let message = receiver.recv(Some(DEADLINE)).unwrap();
        seen.check(&message.payload).unwrap();
    }
}

/// Joins, and has to get so many messages and no more.
fn take_all(bus: &Bus, label: &str, total: u64) {
    let receiver = join(bus, label);
    take(&receiver, &mut Seen::default(), total);
    assert!(receiver.try_recv().unwrap().is_none());
}

/// A receiver that is not the controller.
fn join(bus: &Bus, label: &str) -> EndpointReceiver<BytesMessage> {
    let options = bus.options(label!(label)).with_controller_affinity(false);
    let (_, receiver) = ipmb::join::<(), BytesMessage>(options, Some(DEADLINE)).unwrap();
    receiver
}

fn parker(bus: &Bus, number: u16) -> Peer {
    let parker = bus.peer("parker", &[&number.to_string()]);
    parker.expect("joined");
    parker
}

fn tell(peer: &mut Peer, line: &str, answer: &str) {
    peer.tell(line);
    peer.expect(answer);
}
