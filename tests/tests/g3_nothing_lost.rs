//! G3: nothing lost, nothing twice, between endpoints that live, whoever else dies, the
//! controller included; and order is kept meanwhile.

use ipmb::{EndpointSender, Message, Selector, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    crowd::{Crowd, Pace},
    failover::{Controllers, KILLS, PROBES, Pauses},
};
use std::{ops::Range, time::Duration};

#[test]
fn g3_nothing_is_lost_while_50_controllers_are_killed() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let crowd = Crowd::start(&bus, Pace::Full);
    let pauses = Pauses::measure(&mut controllers, Crowd::PROBED);
    let messages = crowd.finish(PROBES);
    println!("{KILLS} kills of the controller among {messages} messages:\n{pauses}");
    // Sixteen processes keep the processors busy, and have to take part in each failover: here
    // it is the scheduler that is slow. See G9 for the goal.
    pauses.assert(Duration::from_secs(1));
}

#[test]
fn g3_nothing_is_lost_whoever_the_controller_is() {
    let bus = Bus::new();
    let mut listeners: Vec<Peer> = (0..10).map(|_| listener(&bus, "listener")).collect();
    let sender = sender(&bus);
    let mut sent = 0;
    for round in 0..40 {
        let served = listeners
            .iter()
            .position(|listener| Some(listener.pid()) == bus.controller());
        let controller = listeners.remove(served.expect("one of them is the controller"));
        match round % 2 {
            0 => controller.signal(rustix::process::Signal::KILL),
            _ => controller.finish(),
        }
        let first = sent;
        say(&sender, &mut sent, 100);
        // Whatever is sent from now on reaches this one, too.
        let fresh = listener(&bus, "listener");
        hear(&listeners, first..sent);
        listeners.push(fresh);
        let first = sent;
        say(&sender, &mut sent, 100);
        hear(&listeners, first..sent);
        // From one that nobody knows yet.
        say(&self::sender(&bus), &mut sent, 1);
        hear(&listeners, sent - 1..sent);
    }
}

#[test]
fn g3_nothing_is_lost_when_there_is_no_controller_for_a_while() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let listeners: Vec<Peer> = (0..3).map(|_| listener(&bus, "loner")).collect();
    let sender = sender(&bus);
    let mut sent = 0;
    say(&sender, &mut sent, 1);
    hear(&listeners, 0..1);
    for _ in 0..20 {
        controllers.kill_all();
        // Those who know each other need nobody.
        let first = sent;
        for _ in 0..100 {
            let message = Message::new(Selector::unicast("all"), sent.to_string());
            sender.send(message).unwrap();
            sent += 1;
        }
        hear(&listeners[..1], first..sent);
        // These know nothing of the bus before they join.
        controllers = Controllers::start(&bus);
        let message = Message::new(Selector::unicast("all"), "hello".to_owned());
        self::sender(&bus).send(message).unwrap();
        listeners[0].expect("hello");
    }
    sender
        .send(Message::new(Selector::multicast("all"), "end".to_owned()))
        .unwrap();
    listeners[0].expect("end");
    for listener in &listeners[1..] {
        listener.expect("end");
    }
}

/// `listener`: one that may be the controller. `loner`: one that never is.
fn listener(bus: &Bus, role: &str) -> Peer {
    let listener = bus.peer(role, &["all"]);
    listener.expect("joined");
    listener
}

fn sender(bus: &Bus) -> EndpointSender<String> {
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let (sender, _) = ipmb::join::<String, ()>(options, Some(DEADLINE)).unwrap();
    sender
}

/// Sends so many numbers to all.
fn say(sender: &EndpointSender<String>, next: &mut u64, count: u64) {
    for number in *next..*next + count {
        let message = Message::new(Selector::multicast("all"), number.to_string());
        sender.send(message).unwrap();
    }
    *next += count;
}

/// All of them have to get these numbers next.
fn hear(listeners: &[Peer], numbers: Range<u64>) {
    for number in numbers {
        let line = number.to_string();
        listeners.iter().for_each(|listener| listener.expect(&line));
    }
}
