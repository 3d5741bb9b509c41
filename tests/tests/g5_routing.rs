//! G5: unicast goes to exactly one, the endpoint that joined first among those that match;
//! multicast to all that match, the sender's own endpoint included.

use ipmb::{
    EndpointReceiver, EndpointSender, Label, LabelOp, Message, Selector, SelectorMode, label,
};
use ipmb_tests::{Bus, DEADLINE, Peer};

type Endpoint = (EndpointSender<String>, EndpointReceiver<String>);

#[test]
fn g5_unicast_goes_to_the_first_that_joined_and_to_nobody_else() {
    let bus = Bus::new();
    let test = join(&bus, label!("test"));
    let mut listeners: Vec<Peer> = (0..4).map(|_| listener(&bus, &["all", "codec"])).collect();
    while !listeners.is_empty() {
        for n in 0..100 {
            send(&test, Selector::unicast("codec"), &format!("one {n}"));
        }
        // What was sent to the wrong one would come before this.
        send(&test, Selector::multicast("all"), "end");
        let (first, others) = listeners.split_first().unwrap();
        for n in 0..100 {
            first.expect(&format!("one {n}"));
        }
        first.expect("end");
        others.iter().for_each(|other| other.expect("end"));
        listeners.remove(0).kill();
        // The next one is it, as soon as word of that death has spread.
        while !listeners.is_empty() {
            send(&test, Selector::unicast("codec"), "now you");
            send(&test, Selector::multicast("all"), "end");
            let line = listeners[0].line();
            if line == "now you" {
                listeners[0].expect("end");
            }
            listeners[1..].iter().for_each(|other| other.expect("end"));
            if line == "now you" {
                break;
            }
            assert_eq!(line, "end");
        }
    }
}

#[test]
fn g5_all_senders_agree_on_who_joined_first() {
    let bus = Bus::new();
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let names: Vec<String> = (0..8).map(|n| format!("sender{n}")).collect();
    let mut senders: Vec<Peer> = names.iter().map(|name| listener(&bus, &[name])).collect();
    let codecs: Vec<Peer> = (0..4).map(|_| listener(&bus, &["codec", "all"])).collect();
    for sender in &mut senders {
        sender.tell("one codec hello");
        sender.expect("said");
        codecs[0].expect("hello");
    }
    let test = join(&bus, label!());
    send(&test, Selector::multicast("all"), "end");
    codecs.iter().for_each(|codec| codec.expect("end"));
}

#[test]
fn g5_who_joined_first_stays_first_under_another_controller() {
    let bus = Bus::new();
    let mut controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    let listeners: Vec<Peer> = (0..4).map(|_| listener(&bus, &["all"])).collect();
    let test = join(&bus, label!("test"));
    controller.kill();
    let late = listener(&bus, &["all"]);
    for n in 0..10 {
        send(&test, Selector::unicast("all"), &format!("one {n}"));
    }
    let newcomer = join(&bus, label!("newcomer"));
    send(&newcomer, Selector::unicast("all"), "from the newcomer");
    for n in 0..10 {
        listeners[0].expect(&format!("one {n}"));
    }
    listeners[0].expect("from the newcomer");
    send(&test, Selector::multicast("all"), "end");
    for listener in listeners.iter().chain([&late]) {
        listener.expect("end");
    }
}

#[test]
fn g5_multicast_goes_to_all_and_to_the_sender_itself() {
    let bus = Bus::new();
    let test = join(&bus, label!("all", "test"));
    let deaf_to_it = listener(&bus, &["other"]);
    let listeners: Vec<Peer> = (0..20).map(|_| listener(&bus, &["all"])).collect();
    for n in 0..100 {
        send(&test, Selector::multicast("all"), &format!("all {n}"));
    }
    send(&test, Selector::multicast(LabelOp::True), "end");
    for n in 0..100 {
        let text = format!("all {n}");
        listeners.iter().for_each(|listener| listener.expect(&text));
        assert_eq!(hear(&test), text);
    }
    listeners.iter().for_each(|listener| listener.expect("end"));
    deaf_to_it.expect("end");
    assert_eq!(hear(&test), "end");
}

#[test]
fn g5_unicast_to_oneself() {
    let bus = Bus::new();
    let test = join(&bus, label!("all"));
    let other = listener(&bus, &["all"]);
    send(&test, Selector::unicast("all"), "mine");
    assert_eq!(hear(&test), "mine");
    send(&test, Selector::multicast("all"), "ours");
    assert_eq!(hear(&test), "ours");
    other.expect("ours");
}

#[test]
fn g5_selectors_are_boolean_expressions() {
    let bus = Bus::new();
    let test = join(&bus, label!("test"));
    let labels: [&[&str]; 5] = [
        &["audio", "codec"],
        &["video", "codec"],
        &["video"],
        &["audio", "video", "gpu"],
        &[],
    ];
    let listeners: Vec<Peer> = labels.iter().map(|words| listener(&bus, words)).collect();
    let leaf = |word: &str| LabelOp::from(word);
    let expressions = [
        leaf("codec").and("audio"),
        leaf("audio").or("video"),
        leaf("audio").and("video").and("gpu"),
        leaf("codec").and(!leaf("audio")),
        !leaf("codec"),
        !leaf("audio").or("video"),
        (!leaf("audio").and("codec")).or(leaf("gpu").and("audio")),
        !!leaf("video"),
        leaf("nobody"),
        leaf("codec").and(LabelOp::False),
        leaf("codec").or(LabelOp::True),
        LabelOp::True,
        LabelOp::False,
    ];
    for (index, expression) in expressions.iter().enumerate() {
        for mode in [SelectorMode::Unicast, SelectorMode::Multicast] {
            let text = format!("{mode:?} {index}");
            let selector = match mode {
                SelectorMode::Unicast => Selector::unicast(expression.clone()),
                SelectorMode::Multicast => Selector::multicast(expression.clone()),
            };
            send(&test, selector, &text);
            send(&test, Selector::multicast(LabelOp::True), "end");
            // The test's own endpoint joined first.
            let mut first = true;
            let mut is_meant = |label: &Label| {
                expression.validate(label)
                    && (mode == SelectorMode::Multicast || std::mem::take(&mut first))
            };
            if is_meant(&label!("test")) {
                assert_eq!(hear(&test), text);
            }
            assert_eq!(hear(&test), "end");
            for (listener, words) in listeners.iter().zip(labels) {
                if is_meant(&Label::from(words.iter())) {
                    listener.expect(&text);
                }
                listener.expect("end");
            }
        }
    }
}

#[test]
fn g5_an_endpoint_without_a_receiver_is_not_meant_and_still_sends() {
    let bus = Bus::new();
    let test = join(&bus, label!("test"));
    let mut first = listener(&bus, &["codec"]);
    let second = listener(&bus, &["codec"]);
    send(&test, Selector::unicast("codec"), "to the first");
    first.expect("to the first");
    first.tell("deaf");
    first.expect("deaf");
    // The word of it may still be on its way to the controller.
    let mut strays = 0;
    loop {
        send(&test, Selector::unicast("codec"), "to the second");
        send(&test, Selector::multicast("codec"), "to all");
        match second.line().as_str() {
            "to the second" => break,
            "to all" => strays += 1,
            line => panic!("{line}"),
        }
    }
    second.expect("to all");
    println!("{strays} messages were sent to the receiver after it was dropped");
    first.tell("all test from the first");
    first.expect("said");
    assert_eq!(hear(&test), "from the first");
    // It cannot be contacted anew, either.
    let late = join(&bus, label!("late"));
    send(&late, Selector::unicast("codec"), "from the late one");
    second.expect("from the late one");
}

#[test]
fn g5_nobody_is_meant_when_all_receivers_are_dropped() {
    let bus = Bus::new();
    let (sender, receiver) =
        ipmb::join::<String, String>(bus.options(label!("only")), Some(DEADLINE)).unwrap();
    drop(receiver);
    for selector in [Selector::unicast("only"), Selector::multicast("only")] {
        sender
            .send(Message::new(selector, "to nobody".into()))
            .unwrap();
    }
}

fn join(bus: &Bus, label: Label) -> Endpoint {
    ipmb::join(bus.options(label), Some(DEADLINE)).unwrap()
}

fn listener(bus: &Bus, words: &[&str]) -> Peer {
    let listener = bus.peer("listener", words);
    listener.expect("joined");
    listener
}

fn send((sender, _): &Endpoint, selector: Selector, text: &str) {
    sender.send(Message::new(selector, text.into())).unwrap();
}

fn hear((_, receiver): &Endpoint) -> String {
    receiver.recv(Some(DEADLINE)).unwrap().payload
}
