//! The thinnest thread through all layers: two processes, there and back.

use ipmb::{Message, Selector, label};
use ipmb_tests::{Bus, DEADLINE};

#[test]
fn there_and_back_between_two_processes() {
    let bus = Bus::new();
    let (sender, receiver) =
        ipmb::join::<String, String>(bus.options(label!("test")), Some(DEADLINE)).unwrap();
    let peer = bus.peer("echo", &["peer", "test"]);
    peer.expect("joined");
    for n in 0..1000 {
        let text = format!("hello {n}");
        sender
            .send(Message::new(Selector::unicast("peer"), text.clone()))
            .unwrap();
        peer.expect(&format!("got {text}"));
        assert_eq!(receiver.recv(Some(DEADLINE)).unwrap().payload, text);
    }
    peer.finish();
}

#[test]
fn the_other_process_is_the_controller() {
    let bus = Bus::new();
    let mut peer = bus.peer("echo", &["peer", "test"]);
    peer.expect("joined");
    let (sender, receiver) =
        ipmb::join::<String, String>(bus.options(label!("test")), Some(DEADLINE)).unwrap();
    sender
        .send(Message::new(Selector::unicast("peer"), "one".to_owned()))
        .unwrap();
    assert_eq!(receiver.recv(Some(DEADLINE)).unwrap().payload, "one");
    peer.kill();
    let peer = bus.peer("echo", &["peer", "test"]);
    peer.expect("joined");
    sender
        .send(Message::new(Selector::unicast("peer"), "two".to_owned()))
        .unwrap();
    assert_eq!(receiver.recv(Some(DEADLINE)).unwrap().payload, "two");
}
