//! Memory regions across processes: who holds them, and when they are used again.

use ipmb::{
    EndpointReceiver, EndpointSender, MemoryRegion, MemoryRegistry, Message, Selector, label,
};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    proc::{descriptors, eventually},
};
use std::{cell::Cell, rc::Rc};

struct Scene {
    bus: Bus,
    sender: EndpointSender<()>,
    receiver: EndpointReceiver<()>,
    keeper: Peer,
}

impl Scene {
    fn new() -> Self {
        let bus = Bus::new();
        let (sender, receiver) =
            ipmb::join::<(), ()>(bus.options(label!("test")), Some(DEADLINE)).unwrap();
        let keeper = bus.peer("keeper", &["keeper", "test"]);
        keeper.expect("joined");
        Self {
            bus,
            sender,
            receiver,
            keeper,
        }
    }

    fn send(&self, region: MemoryRegion) {
        let mut message = Message::new(Selector::unicast("keeper"), ());
        message.memory_regions.push(region);
        self.sender.send(message).unwrap();
    }

    fn ask(&mut self, command: &str, answer: &str) {
        self.keeper.tell(command);
        self.keeper.expect(answer);
    }
}

#[test]
fn both_see_the_same_memory() {
    let mut scene = Scene::new();
    let mut region = MemoryRegion::new(1 << 20);
    region.map(..).unwrap()[0] = 7;
    scene.send(region.clone().unwrap());
    scene.ask("recv", "7 2");
    scene.ask("write 9", "written");
    assert_eq!(region.map(..1).unwrap(), [9]);
    assert_eq!(region.ref_count(), 2);
    scene.ask("drop", "dropped");
    assert_eq!(region.ref_count(), 1);
}

#[test]
fn holders_are_counted_while_the_message_is_on_its_way() {
    let mut scene = Scene::new();
    let region = MemoryRegion::new(4096);
    scene.send(region.clone().unwrap());
    scene.send(region.clone().unwrap());
    assert_eq!(region.ref_count(), 3);
    scene.ask("recv", "0 3");
    scene.ask("recv", "0 3");
    scene.ask("drop", "dropped");
    assert_eq!(region.ref_count(), 2);
    scene.keeper.kill();
    assert_eq!(region.ref_count(), 2, "nobody has looked yet");
}

#[test]
fn a_region_seen_before_costs_no_descriptor() {
    let mut scene = Scene::new();
    let region = MemoryRegion::new(4096);
    let mut counts = Vec::new();
    for _ in 0..20 {
        scene.send(region.clone().unwrap());
        scene.ask("recv", "0 2");
        counts.push(descriptors(scene.keeper.pid()));
        scene.ask("drop", "dropped");
    }
    let steady = counts[1];
    assert!(counts[1..].iter().all(|&now| now == steady), "{counts:?}");
}

#[test]
fn a_region_comes_back_and_goes_again() {
    let mut scene = Scene::new();
    let mut region = MemoryRegion::new(4096);
    for round in 0..50_u8 {
        region.map(..1).unwrap()[0] = round;
        scene.send(region);
        scene.ask("recv", &format!("{round} 1"));
        scene.ask("return", "returned");
        let mut message = scene.receiver.recv(Some(DEADLINE)).unwrap();
        region = message.memory_regions.remove(0);
        assert_eq!(region.map(..1).unwrap(), [round]);
        assert_eq!(region.ref_count(), 1);
    }
}

#[test]
fn a_registry_reuses_what_nobody_holds() {
    let mut scene = Scene::new();
    let mut registry = MemoryRegistry::default();
    let freed = Rc::new(Cell::new(0));
    let count = |freed: &Rc<Cell<u32>>| {
        let freed = Rc::clone(freed);
        move || freed.set(freed.get() + 1)
    };
    let mut first = registry.alloc_with_free(4096, Some("frame"), count(&freed));
    first.map(..1).unwrap()[0] = 42;
    scene.send(first);
    scene.ask("recv", "42 2");
    // It is held: another one is made, and `free` waits.
    let mut second = registry.alloc(4096, Some("frame"));
    assert_eq!(second.map(..1).unwrap(), [0]);
    drop(second);
    assert_eq!(freed.get(), 0);
    scene.ask("drop", "dropped");
    registry.maintain();
    assert_eq!(freed.get(), 1);
    let mut again = registry.alloc(4096, Some("frame"));
    assert_eq!(
        again.map(..1).unwrap(),
        [42],
        "the first one, as it was left"
    );
    drop((again, registry));
    assert_eq!(freed.get(), 1, "`free` runs once");
}

#[test]
fn a_holder_that_is_killed_does_not_keep_a_region_for_ever() {
    let mut scene = Scene::new();
    let mut registry = MemoryRegistry::default();
    let mut region = registry.alloc(4096, None);
    region.map(..1).unwrap()[0] = 42;
    scene.send(region);
    scene.ask("recv", "42 2");
    scene.keeper.kill();
    let mut again = registry.alloc(4096, None);
    assert_eq!(again.map(..1).unwrap(), [42], "the same one");
}

/// A message from somebody who has died, as it comes out of the lane.
fn first_byte(receiver: &EndpointReceiver<()>) -> u8 {
    let mut message = receiver.recv(Some(DEADLINE)).unwrap();
    message.memory_regions[0].map(..1).unwrap()[0]
}

#[test]
fn a_known_region_arrives_though_its_sender_was_killed() {
    let mut scene = Scene::new();
    let mut other = scene.bus.peer("keeper", &["other", "test"]);
    other.expect("joined");
    scene.ask("alloc 42", "allocated");
    // We know it from here on.
    scene.ask("give test", "given");
    assert_eq!(first_byte(&scene.receiver), 42);
    scene.ask("give other", "given");
    // Several new ones in front of it have us look for those that nobody holds.
    for new in 1..=8 {
        scene.ask(&format!("alloc {new}"), "allocated");
    }
    scene.ask("turn", "turned");
    for _ in 1..=8 {
        scene.ask("return", "returned");
    }
    scene.ask("return", "returned");
    scene.keeper.kill();
    // Whoever opens the region now gets the number that the killed process had in it.
    assert_eq!(other.ask("recv"), "42 1");
    assert_eq!(other.ask("drop"), "dropped");
    let arrived: Vec<u8> = (0..9).map(|_| first_byte(&scene.receiver)).collect();
    assert_eq!(arrived, [1, 2, 3, 4, 5, 6, 7, 8, 42]);
}

#[test]
fn what_a_killed_process_passed_on_is_not_handed_out_again() {
    let mut scene = Scene::new();
    let mut other = scene.bus.peer("keeper", &["other", "test"]);
    other.expect("joined");
    let mut registry = MemoryRegistry::default();
    let mut region = registry.alloc(4096, None);
    region.map(..1).unwrap()[0] = 42;
    scene.send(region);
    scene.ask("recv", "42 2");
    scene.ask("give other", "given");
    scene.ask("drop", "dropped");
    scene.keeper.kill();
    let mut next = registry.alloc(4096, None);
    next.map(..1).unwrap()[0] = 7;
    assert_eq!(other.ask("recv"), "42 2");
}

#[test]
fn nobody_takes_the_place_of_a_killed_process_in_what_it_passed_on() {
    let mut scene = Scene::new();
    let [mut other, mut third] = ["other", "third"].map(|label| {
        let peer = scene.bus.peer("keeper", &[label, "test"]);
        peer.expect("joined");
        peer
    });
    let mut registry = MemoryRegistry::default();
    let mut region = registry.alloc(4096, None);
    region.map(..1).unwrap()[0] = 42;
    scene.send(region.clone().unwrap());
    scene.ask("recv", "42 3");
    scene.ask("give other", "given");
    scene.ask("drop", "dropped");
    scene.keeper.kill();
    // Whoever opens the region now gets the number that the killed process had in it.
    let mut message = Message::new(Selector::unicast("third"), ());
    message.memory_regions.push(region);
    scene.sender.send(message).unwrap();
    assert_eq!(third.ask("recv"), "42 2");
    assert_eq!(third.ask("drop"), "dropped");
    let mut next = registry.alloc(4096, None);
    next.map(..1).unwrap()[0] = 7;
    assert_eq!(other.ask("recv"), "42 2");
}

#[test]
fn what_a_killed_receiver_never_read_comes_back() {
    let mut scene = Scene::new();
    let mut registry = MemoryRegistry::default();
    let region = registry.alloc(4096, None);
    let witness = region.clone().unwrap();
    scene.send(region);
    assert_eq!(witness.ref_count(), 3);
    scene.keeper.kill();
    eventually("holders", 2, || witness.ref_count());
}

#[test]
fn regions_that_are_not_used_again_leave_nothing_behind() {
    let mut scene = Scene::new();
    let mut counts = Vec::new();
    for _ in 0..20 {
        scene.send(MemoryRegion::new(1 << 20));
        scene.ask("recv", "0 1");
        scene.ask("drop", "dropped");
        counts.push(descriptors(scene.keeper.pid()));
    }
    let most = *counts[..5].iter().max().unwrap();
    assert!(counts[5..].iter().all(|&now| now <= most), "{counts:?}");
}

#[test]
fn a_region_waits_for_a_receiver_without_descriptors() {
    // It takes one descriptor.
    waits_without_descriptors(MemoryRegion::new(4096), &["spare 0"]);
}

#[test]
fn a_region_of_a_registry_waits_for_a_receiver_without_descriptors() {
    let mut registry = MemoryRegistry::default();
    let region = registry.alloc(4096, None);
    // It takes two: it gets stuck before the first, or between them.
    waits_without_descriptors(region, &["spare 0", "spare 1"]);
}

fn waits_without_descriptors(mut region: MemoryRegion, spares: &[&str]) {
    let mut scene = Scene::new();
    scene.send(MemoryRegion::new(4096));
    scene.ask("recv", "0 1");
    let holders = region.ref_count();
    region.map(..1).unwrap()[0] = 42;
    scene.send(region.clone().unwrap());
    for spare in spares {
        scene.ask(spare, "spare");
        scene.ask("recv", "poor");
        scene.ask("recv", "poor");
    }
    scene.ask("rich", "rich");
    scene.ask("recv", &format!("42 {}", holders + 1));
    // And it is known from now on.
    scene.send(region.clone().unwrap());
    scene.ask("recv", &format!("42 {}", holders + 2));
}
