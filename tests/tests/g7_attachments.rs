//! G7: attachments arrive with their message and are closed exactly once, on every error path too.
//!
//! Whether they are closed shows in how many descriptors the processes have open, and in whether
//! a pipe whose writing end was sent comes to its end.

use ipmb::{Message, Selector, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    proc::{descriptors, eventually},
};
use std::{
    io::Read,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

const COUNTS: [usize; 6] = [0, 1, 5, 253, 254, 1000];

/// Two peers that have met, and nothing else that would cost a descriptor later.
struct Pair {
    /// Keeps the runtime directory.
    _bus: Bus,
    alice: Peer,
    bob: Peer,
}

impl Pair {
    fn new() -> Self {
        let bus = Bus::new();
        let alice = bus.peer("attachments", &["alice"]);
        alice.expect("joined");
        let bob = bus.peer("attachments", &["bob"]);
        bob.expect("joined");
        let mut pair = Self {
            _bus: bus,
            alice,
            bob,
        };
        pair.exchange(1, 1);
        pair.settle();
        quiet(&mut pair.alice);
        quiet(&mut pair.bob);
        pair
    }

    fn exchange(&mut self, objects: usize, regions: usize) {
        let send = format!("send bob {objects} {regions} 10 0 5000");
        assert_eq!(self.alice.ask(&send), "sent");
        self.bob_gets(objects, regions, 10);
    }

    fn bob_gets(&mut self, objects: usize, regions: usize, bytes: usize) {
        let expected = format!("{objects} objects, {regions} regions, {bytes} bytes");
        assert_eq!(self.bob.ask("recv"), expected);
    }

    fn bob_has_nothing(&mut self) {
        assert_eq!(self.bob.ask("try_recv"), "nothing");
    }

    /// The sender lets go of regions that have arrived when it sends again, the receiver of those
    /// that nobody holds when it looks again.
    fn settle(&mut self) {
        self.exchange(0, 0);
        self.bob_has_nothing();
    }

    fn descriptors(&self) -> [usize; 2] {
        [&self.alice, &self.bob].map(|peer| descriptors(peer.pid()))
    }

    /// Both have as many descriptors open as they had before, or one more: what it takes to wait for
    /// room is made when it is needed, and kept.
    fn nothing_is_left(&mut self, before: [usize; 2]) {
        self.settle();
        eventually("more descriptors than one", [0, 0], || {
            let [alice, bob] = self.descriptors();
            [(alice, before[0]), (bob, before[1])].map(|(now, then)| now.saturating_sub(then + 1))
        });
    }
}

#[test]
fn g7_any_number_of_objects_and_regions_arrives_and_is_closed() {
    let mut pair = Pair::new();
    let before = pair.descriptors();
    for count in COUNTS {
        for (objects, regions) in [(count, 0), (0, count), (count, count)] {
            pair.exchange(objects, regions);
            pair.nothing_is_left(before);
        }
    }
}

#[test]
fn g7_a_message_that_was_not_sent_in_time_comes_back_whole() {
    let mut pair = Pair::new();
    let before = pair.descriptors();
    for count in COUNTS {
        // More than the lane takes: some of it is under way when patience ends.
        let send = format!("send bob {count} {count} 300000 0 20");
        let expected = format!("Timeout, {count} objects and {count} regions came back");
        assert_eq!(pair.alice.ask(&send), expected);
        pair.nothing_is_left(before);
        pair.exchange(count, 1);
        pair.nothing_is_left(before);
    }
}

#[test]
fn g7_a_full_inbox_gives_attachments_back() {
    let mut pair = Pair::new();
    let before = pair.descriptors();
    let mut full = 0;
    while pair.alice.ask("send bob 0 0 10000 0 20") == "sent" {
        full += 1;
    }
    for count in COUNTS {
        let send = format!("send bob {count} {count} 10000 0 20");
        let expected = format!("Timeout, {count} objects and {count} regions came back");
        assert_eq!(pair.alice.ask(&send), expected);
    }
    for _ in 0..full {
        pair.bob_gets(0, 0, 10000);
    }
    pair.nothing_is_left(before);
    pair.exchange(5, 5);
    pair.nothing_is_left(before);
}

#[test]
fn g7_what_does_not_decode_or_is_not_known_is_closed() {
    let mut pair = Pair::new();
    let before = pair.descriptors();
    for count in COUNTS {
        assert_eq!(pair.alice.ask(&format!("lie bob {count} {count}")), "sent");
        assert_eq!(pair.bob.ask("recv"), "no text");
        assert_eq!(
            pair.alice.ask(&format!("stray bob {count} {count}")),
            "sent"
        );
        pair.exchange(count, 0);
        pair.nothing_is_left(before);
    }
}

#[test]
fn g7_nothing_is_left_of_what_a_dead_receiver_did_not_read() {
    let bus = Bus::new();
    let mut alice = bus.peer("attachments", &["alice"]);
    alice.expect("joined");
    quiet(&mut alice);
    let before = descriptors(alice.pid());
    for count in COUNTS {
        let mut bob = bus.peer("attachments", &["bob"]);
        bob.expect("joined");
        let send = format!("send bob {count} {count} 10 0 5000");
        assert_eq!(alice.ask(&send), "sent");
        bob.kill();
        // One is kept for good: what it takes to wait for room.
        eventually("more descriptors than one", true, || {
            descriptors(alice.pid()) <= before + 1
        });
    }
}

#[test]
fn g7_nothing_is_left_of_what_a_deaf_receiver_did_not_read() {
    let bus = Bus::new();
    let mut alice = bus.peer("attachments", &["alice"]);
    alice.expect("joined");
    for count in COUNTS {
        let mut bob = bus.peer("attachments", &["bob"]);
        bob.expect("joined");
        assert_eq!(alice.ask("send bob 1 1 10 0 5000"), "sent");
        assert_eq!(bob.ask("recv"), "1 objects, 1 regions, 10 bytes");
        assert_eq!(bob.ask("try_recv"), "nothing");
        quiet(&mut alice);
        quiet(&mut bob);
        let before = [descriptors(alice.pid()), descriptors(bob.pid())];
        let send = format!("send bob {count} {count} 10 0 5000");
        assert_eq!(alice.ask(&send), "sent");
        assert_eq!(bob.ask("deafen"), "deaf");
        // Nobody matches any more, so it is dropped.
        assert_eq!(alice.ask(&send), "sent");
        eventually("more descriptors than before", [0, 0], || {
            let more = |peer: &Peer, before: usize| descriptors(peer.pid()).saturating_sub(before);
            [more(&alice, before[0]), more(&bob, before[1])]
        });
    }
}

#[test]
fn g7_the_kernel_closes_an_object_that_was_sent_to_the_dead() {
    let bus = Bus::new();
    let (sender, _receiver) =
        ipmb::join::<String, ()>(bus.options(label!("test")), Some(DEADLINE)).unwrap();
    let mut bob = bus.peer("attachments", &["bob"]);
    bob.expect("joined");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut message = Message::new(Selector::unicast("bob"), "unread".to_owned());
    message.objects.push(OwnedFd::from(writer).into());
    sender.send(message).unwrap();
    bob.kill();
    // Its end comes when no process and no message has the other end any more.
    assert!(readable(&reader), "the pipe has not come to its end");
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn g7_parked_messages_keep_their_attachments() {
    for count in COUNTS.map(|count| count.min(500)) {
        let bus = Bus::new();
        let mut controller = bus.peer("attachments", &["controller"]);
        controller.expect("joined");
        let mut alice = bus.peer("attachments", &["alice"]);
        alice.expect("joined");
        quiet(&mut alice);
        let before = [controller.pid(), alice.pid()].map(descriptors);
        let send = format!("send bob {count} {count} 10 5000 5000");
        assert_eq!(alice.ask(&send), "sent");
        let mut bob = bus.peer("attachments", &["bob"]);
        bob.expect("joined");
        let expected = format!("{count} objects, {count} regions, 10 bytes");
        assert_eq!(bob.ask("recv"), expected);
        assert_eq!(bob.ask("try_recv"), "nothing");
        assert_eq!(controller.ask("try_recv"), "nothing");
        bob.kill();
        eventually("descriptors of controller and alice", before, || {
            [controller.pid(), alice.pid()].map(descriptors)
        });
    }
}

#[test]
fn g7_parked_messages_that_expire_are_closed() {
    let bus = Bus::new();
    let controller = bus.peer("attachments", &["controller"]);
    controller.expect("joined");
    let mut alice = bus.peer("attachments", &["alice"]);
    alice.expect("joined");
    quiet(&mut alice);
    let before = [controller.pid(), alice.pid()].map(descriptors);
    for count in COUNTS.map(|count| count.min(500)) {
        let send = format!("send bob {count} {count} 10 50 5000");
        assert_eq!(alice.ask(&send), "sent");
        eventually("descriptors of controller and alice", before, || {
            [controller.pid(), alice.pid()].map(descriptors)
        });
    }
}

#[test]
fn g7_more_than_can_be_parked_comes_back() {
    let bus = Bus::new();
    let controller = bus.peer("attachments", &["controller"]);
    controller.expect("joined");
    let mut alice = bus.peer("attachments", &["alice"]);
    alice.expect("joined");
    quiet(&mut alice);
    let before = [controller.pid(), alice.pid()].map(descriptors);
    let answer = alice.ask("send bob 2000 2 10 5000 5000");
    assert!(
        answer.starts_with("ParkRefused(")
            && answer.ends_with("2000 objects and 2 regions came back"),
        "{answer}"
    );
    eventually("descriptors of controller and alice", before, || {
        [controller.pid(), alice.pid()].map(descriptors)
    });
}

/// Waits until the controller and the peer's own driver are done with what they had to do before:
/// they answer a request that takes no descriptors after that.
fn quiet(peer: &mut Peer) {
    assert_eq!(peer.ask("send nobody 0 0 10 1 5000"), "sent");
}

fn readable(object: impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut wanted = [PollFd::new(&object, PollFlags::IN)];
    let limit = Duration::from_secs(5).try_into().unwrap();
    poll(&mut wanted, Some(&limit)).unwrap() == 1
}
