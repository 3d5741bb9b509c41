//! G2: messages from one sender to one receiver arrive in the order sent, through growth.
//! (Through failover: see G3. Through parking: see G6.)

use ipmb::{EndpointReceiver, EndpointSender, Message, Selector, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    crowd::{Crowd, Pace},
    failover::Controllers,
    proc::{eventually, is_stopped},
    raw::Raw,
};
use rustix::process::Signal;
use std::{
    thread,
    time::{Duration, Instant},
};

#[test]
fn g2_order_is_kept_while_lanes_grow() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    // Nobody reads at first: the lanes grow from 64 KiB to the receivers' budget.
    let crowd = Crowd::start(&bus, Pace::Full);
    let start = Instant::now();
    let messages = crowd.finish(0);
    println!("{messages} messages in {:?}", start.elapsed());
    controller.finish();
}

/// A process that is stopped, as by a debugger, for longer than a new controller waits for it: to those who have not
/// sent to it before it is gone, until it goes on.
#[test]
fn g2_order_is_kept_with_who_was_given_up_and_comes_back() {
    const PAUSE: Duration = Duration::from_millis(5);
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let sleeper = bus.peer("loner", &["sleeper"]);
    sleeper.expect("joined");
    let (mut friend, mut stranger) = (
        Counting::join(&bus, "friend"),
        Counting::join(&bus, "stranger"),
    );
    (0..50).for_each(|_| friend.send());
    sleeper.signal(Signal::STOP);
    eventually("it is stopped", true, || is_stopped(sleeper.pid()));
    friend.send();
    controllers.kill_and_wait();
    controllers.replace();
    // With the new controller, for which the sleeper is still somebody who may come back.
    let observer = Raw::join(&bus.path(), "observer", 7).unwrap();
    let end = Instant::now() + DEADLINE;
    while observer.find("sleeper").is_ok() {
        assert!(Instant::now() < end, "it is given up");
        friend.send();
        thread::sleep(PAUSE);
    }
    let mut both = || {
        friend.send();
        stranger.send();
    };
    (0..50).for_each(|_| both());
    sleeper.signal(Signal::CONT);
    while observer.find("sleeper").is_err() {
        assert!(Instant::now() < end, "it comes back");
        both();
        thread::sleep(PAUSE);
    }
    let back = stranger.next;
    (0..50).for_each(|_| {
        friend.send();
        stranger.send();
    });
    let all: Vec<u64> = (0..friend.next).collect();
    let is_unicast = |number: &u64| number % 2 == 1;
    let not_missed: Vec<u64> = (0..stranger.next)
        .filter(|number| is_unicast(number) || *number > back)
        .collect();
    let (of_friend, mut of_stranger) = received(&sleeper, [friend.last(), stranger.last()]);
    assert_eq!(of_friend, all);
    println!(
        "{} of a friend, {} of {} of a stranger",
        all.len(),
        of_stranger.len(),
        stranger.next
    );
    assert!(
        of_stranger.len() < stranger.next as usize,
        "it was never given up"
    );
    of_stranger.retain(|number| is_unicast(number) || *number > back);
    assert_eq!(of_stranger, not_missed);
}

/// Numbers its messages. The even ones are for whoever is there, the odd ones may wait.
struct Counting {
    name: &'static str,
    sender: EndpointSender<String>,
    _receiver: EndpointReceiver<()>,
    next: u64,
}

impl Counting {
    fn join(bus: &Bus, name: &'static str) -> Self {
        let options = bus.options(label!(name)).with_controller_affinity(false);
        let (sender, receiver) = ipmb::join(options, Some(DEADLINE)).unwrap();
        Self {
            name,
            sender,
            _receiver: receiver,
            next: 0,
        }
    }

    fn send(&mut self) {
        let mut selector = Selector::multicast("sleeper");
        if self.next % 2 == 1 {
            selector = Selector::unicast("sleeper");
            selector.ttl = 2 * DEADLINE;
        }
        let text = format!("{} {}", self.name, self.next);
        self.sender.send(Message::new(selector, text)).unwrap();
        self.next += 1;
    }

    fn last(&self) -> String {
        format!("{} {}", self.name, self.next - 1)
    }
}

/// The numbers that it has received from the friend, and from the stranger, until the last ones.
fn received(peer: &Peer, last: [String; 2]) -> (Vec<u64>, Vec<u64>) {
    let (mut of_friend, mut of_stranger) = (Vec::new(), Vec::new());
    let mut left = last.len();
    while left > 0 {
        let line = peer.line();
        left -= usize::from(last.contains(&line));
        let (name, number) = line.split_once(' ').unwrap();
        match name {
            "friend" => of_friend.push(number.parse().unwrap()),
            _ => of_stranger.push(number.parse().unwrap()),
        }
    }
    (of_friend, of_stranger)
}
