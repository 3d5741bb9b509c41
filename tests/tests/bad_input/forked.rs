//! `fork` of a process that is on the bus.

use ipmb::{Message, Selector, label};
use ipmb_tests::{Bus, DEADLINE, Peer};
use rustix::process::{Pid, Signal, kill_process};

fn say(peer: &mut Peer, to: &str, text: &str) {
    assert_eq!(peer.ask(&format!("send {to} {text}")), "Ok(())");
}

/// With a controller of its own, and as the controller.
fn both(check: impl Fn(&Bus, Peer)) {
    for served in [true, false] {
        let bus = Bus::new();
        let candidate = served.then(|| {
            let candidate = bus.peer("candidate", &[]);
            candidate.expect("joined");
            candidate
        });
        let parent = bus.peer("forker", &["parent"]);
        parent.expect("joined");
        check(&bus, parent);
        drop(candidate);
    }
}

#[test]
fn a_forked_child_gets_errors_and_harms_nobody() {
    both(|bus, mut parent| {
        let options = bus.options(label!("test")).with_controller_affinity(false);
        let (sender, receiver) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
        for round in 0..20 {
            // The first time before first contact.
            assert_eq!(parent.ask("fork"), "status 0, 2 holders");
            say(&mut parent, "test", &format!("hello {round}"));
            let heard = receiver.recv(Some(DEADLINE)).unwrap().payload;
            assert_eq!(heard, format!("hello {round}"));
            let answer = Message::new(Selector::unicast("parent"), round.to_string());
            sender.send(answer).unwrap();
            parent.expect(&format!("got {round}"));
            // Who comes later finds everything as it should be.
            let options = bus.options(label!("later")).with_controller_affinity(false);
            let (_, later) = ipmb::join::<(), String>(options, Some(DEADLINE)).unwrap();
            say(&mut parent, "later", "welcome");
            assert_eq!(later.recv(Some(DEADLINE)).unwrap().payload, "welcome");
        }
    });
}

#[test]
fn a_forked_child_keeps_nothing_of_its_dead_parent_alive() {
    both(|bus, mut parent| {
        let options = bus.options(label!("test"));
        let (sender, receiver) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
        say(&mut parent, "test", "hello");
        assert_eq!(receiver.recv(Some(DEADLINE)).unwrap().payload, "hello");
        let child: i32 = parent.ask("child").parse().unwrap();
        let _child = Child(child);
        parent.kill();
        // Whoever has its label next gets what is sent to it.
        let next = bus.peer("listener", &["parent"]);
        next.expect("joined");
        let message = Message::new(Selector::unicast("parent"), "are you there?".to_owned());
        sender.send(message).unwrap();
        next.expect("are you there?");
    });
}

/// The child of a dead peer; nobody else knows of it.
struct Child(i32);

impl Drop for Child {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0).expect("a process id");
        let _ = kill_process(pid, Signal::KILL);
    }
}
