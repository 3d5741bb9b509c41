//! Loans across processes: messages that are not copied.

use ipmb::{
    Bytes, EndpointReceiver, EndpointSender, Message, MessageBox, Selector, SendError, label,
};
use ipmb_tests::{
    Bus, DEADLINE, Peer, Picture,
    proc::{descriptors, eventually},
};
use std::time::Duration;

#[derive(MessageBox)]
enum Sight {
    Bytes(Bytes),
    Picture(Picture),
    Word(String),
}

struct Scene {
    bus: Bus,
    sender: EndpointSender<Sight>,
    _receiver: EndpointReceiver<()>,
}

impl Scene {
    fn new() -> Self {
        let bus = Bus::new();
        let options = bus.options(label!("test"));
        let (sender, receiver) = ipmb::join(options, Some(DEADLINE)).unwrap();
        Self {
            bus,
            sender,
            _receiver: receiver,
        }
    }

    fn viewer(&self, overflow: &str) -> Peer {
        let viewer = self.bus.peer("viewer", &["viewer", overflow]);
        viewer.expect("joined");
        viewer
    }

    /// Bytes that begin and end with these numbers.
    fn bytes(&self, len: usize, first: u8, last: u8) -> Bytes {
        let mut loan = self.sender.loan(len).unwrap();
        if let Some(byte) = loan.first_mut() {
            *byte = first;
        }
        if let Some(byte) = loan.last_mut() {
            *byte = last;
        }
        loan.freeze()
    }

    fn send(&self, bytes: Bytes) {
        let message = Message::new(Selector::unicast("viewer"), Sight::Bytes(bytes));
        self.sender.send(message).unwrap();
    }

    fn lent(&self) -> usize {
        self.sender.loan_statistics().lent
    }
}

fn ask(viewer: &mut Peer, command: &str, answer: &str) {
    viewer.tell(command);
    viewer.expect(answer);
}

#[test]
fn loans_of_any_size_arrive_without_a_copy() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    for len in [0, 1, 4095, 4096, 4097, 100_000, 1 << 20, 64 << 20] {
        scene.send(scene.bytes(len, 1, if len == 1 { 1 } else { 2 }));
        let ends = match len {
            0 => "0 0",
            1 => "1 1",
            _ => "1 2",
        };
        ask(&mut viewer, "recv", &format!("{len} {ends} shared"));
        assert_eq!(scene.lent(), 1);
        ask(&mut viewer, "drop", "dropped");
        assert_eq!(scene.lent(), 0);
    }
}

#[test]
fn loans_stand_anywhere_in_a_message() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    let pixels = scene.bytes(200 * 100 + 2, 0, 0);
    let picture = Picture {
        width: 200,
        height: 100,
        note: Bytes::from(b"private".to_vec()),
        pixels: pixels.slice(1..=20_000),
    };
    let message = Message::new(Selector::unicast("viewer"), Sight::Picture(picture));
    scene.sender.send(message).unwrap();
    ask(&mut viewer, "recv", "20000 0 0 shared");
    assert_eq!(scene.lent(), 1);
    drop(pixels);
    ask(&mut viewer, "drop", "dropped");
    assert_eq!(scene.lent(), 0);
    scene.send(Bytes::from(vec![5; 100]));
    ask(&mut viewer, "recv", "100 5 5 copy");
}

#[test]
fn loans_are_written_once_for_all_receivers() {
    let scene = Scene::new();
    let mut viewers: Vec<_> = (0..3).map(|_| scene.viewer("block")).collect();
    let bytes = Sight::Bytes(scene.bytes(1 << 20, 3, 4));
    let message = Message::new(Selector::multicast("viewer"), bytes);
    scene.sender.send(message).unwrap();
    for viewer in &mut viewers {
        ask(viewer, "recv", "1048576 3 4 shared");
    }
    let statistics = scene.sender.loan_statistics();
    assert_eq!((statistics.lent, statistics.memory), (1, 1 << 20));
    for viewer in &mut viewers {
        assert_eq!(scene.lent(), 1);
        ask(viewer, "drop", "dropped");
    }
    assert_eq!(scene.lent(), 0);
}

#[test]
fn loans_sent_twice_are_lent_twice() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    let bytes = scene.bytes(10_000, 1, 1);
    scene.send(bytes.clone());
    scene.send(bytes);
    ask(&mut viewer, "recv", "10000 1 1 shared");
    ask(&mut viewer, "drop", "dropped");
    assert_eq!(scene.lent(), 1);
    ask(&mut viewer, "recv", "10000 1 1 shared");
    ask(&mut viewer, "drop", "dropped");
    assert_eq!(scene.lent(), 0);
}

#[test]
fn loans_come_back_from_a_receiver_that_is_killed() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    for number in 0..10 {
        scene.send(scene.bytes(5000, number, 0));
    }
    for number in 0..5 {
        ask(&mut viewer, "recv", &format!("5000 {number} 0 shared"));
    }
    assert_eq!(scene.lent(), 10);
    viewer.kill();
    eventually("loans", 0, || scene.lent());
}

#[test]
fn loans_stay_with_a_process_whose_receiver_was_dropped() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    for number in 0..4 {
        scene.send(scene.bytes(5000, number, 0));
    }
    ask(&mut viewer, "recv", "5000 0 0 shared");
    ask(&mut viewer, "recv", "5000 1 0 shared");
    ask(&mut viewer, "deafen", "deaf");
    // What was not received is given back.
    eventually("loans", 2, || scene.lent());
    for number in 100..200 {
        drop(scene.bytes(5000, number, 0));
    }
    ask(&mut viewer, "look", "0 2");
    ask(&mut viewer, "drop", "dropped");
    eventually("loans", 1, || scene.lent());
    viewer.kill();
    eventually("loans", 0, || scene.lent());
}

#[test]
fn loans_outlive_their_sender() {
    let Scene {
        bus,
        sender,
        _receiver: receiver,
    } = Scene::new();
    let mut viewer = bus.peer("viewer", &["viewer", "block"]);
    viewer.expect("joined");
    let send = |first: u8| {
        let mut loan = sender.loan(1 << 20).unwrap();
        loan.fill(first);
        let bytes = Sight::Bytes(loan.freeze());
        sender
            .send(Message::new(Selector::unicast("viewer"), bytes))
            .unwrap();
    };
    send(7);
    ask(&mut viewer, "recv", "1048576 7 7 shared");
    send(8);
    drop((sender, receiver));
    ask(&mut viewer, "look", "7 1");
    ask(&mut viewer, "recv", "1048576 8 8 shared");
    ask(&mut viewer, "clear", "cleared");
    viewer.finish();
}

#[test]
fn loans_that_are_parked_are_copied() {
    let scene = Scene::new();
    let mut selector = Selector::unicast("viewer");
    selector.ttl = DEADLINE;
    let bytes = Sight::Bytes(scene.bytes(300_000, 1, 2));
    scene.sender.send(Message::new(selector, bytes)).unwrap();
    assert_eq!(scene.lent(), 0);
    let mut viewer = scene.viewer("block");
    ask(&mut viewer, "recv", "300000 1 2 copy");
}

#[test]
fn loans_come_back_from_messages_that_nobody_gets() {
    let scene = Scene::new();
    // No receiver.
    scene.send(scene.bytes(5000, 1, 1));
    assert_eq!(scene.lent(), 0);
    // One that does not know the type, and one after it that it knows.
    let mut viewer = scene.viewer("block");
    let mut loan = scene.sender.loan(5000).unwrap();
    loan.fill(1);
    let stray = Message::new(Selector::unicast("viewer"), Stray(loan.freeze()));
    let options = scene.bus.options(label!("other"));
    let (other, _receiver) = ipmb::join::<Stray, ()>(options, Some(DEADLINE)).unwrap();
    let mut loan = other.loan(5000).unwrap();
    loan.fill(2);
    let own = Message::new(Selector::unicast("viewer"), Stray(loan.freeze()));
    other.send(own).unwrap();
    // Lent by another endpoint: copied.
    other.send(stray).unwrap();
    assert_eq!(scene.lent(), 0);
    scene.send(Bytes::from(vec![1]));
    ask(&mut viewer, "recv", "1 1 1 copy");
    // Whose messages come first is not said.
    ask(&mut viewer, "try_recv", "nothing");
    eventually("loans", 0, || other.loan_statistics().lent);
    let word = Sight::Word("no bytes at all".into());
    scene
        .sender
        .send(Message::new(Selector::unicast("viewer"), word))
        .unwrap();
    ask(&mut viewer, "try_recv", "nothing");
}

#[derive(serde::Serialize, serde::Deserialize, ipmb::TypeUuid)]
#[uuid = "0f2bb0d6-52a1-4b39-8a8d-0d9c4b0f6f21"]
struct Stray(Bytes);

#[test]
fn loans_wait_until_the_receiver_has_read_others() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    let mut sent = 0;
    let refused = loop {
        let bytes = Sight::Bytes(scene.bytes(1 << 20, sent as u8, 0));
        let message = Message::new(Selector::unicast("viewer"), bytes);
        match scene
            .sender
            .send_timeout(message, Duration::from_millis(200))
        {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused.reason, SendError::Timeout));
    assert_eq!(sent, 16, "so many are always allowed");
    assert_eq!(scene.lent(), sent + 1);
    drop(refused);
    for number in 0..sent {
        ask(&mut viewer, "recv", &format!("1048576 {number} 0 shared"));
    }
    assert_eq!(scene.lent(), sent);
    ask(&mut viewer, "clear", "cleared");
    assert_eq!(scene.lent(), 0);
}

#[test]
fn loans_are_dropped_where_the_receiver_wants_it() {
    let scene = Scene::new();
    let mut newest = scene.viewer("newest");
    for number in 0..40 {
        scene.send(scene.bytes(1 << 20, number, 0));
    }
    assert_eq!(scene.lent(), 16);
    for number in 0..16 {
        ask(&mut newest, "recv", &format!("1048576 {number} 0 shared"));
    }
    ask(&mut newest, "try_recv", "nothing");
    newest.kill();

    let mut oldest = scene.viewer("oldest");
    for number in 0..40 {
        scene.send(scene.bytes(1 << 20, number, 0));
    }
    eventually("loans", 16, || scene.lent());
    for number in 24..40 {
        ask(&mut oldest, "recv", &format!("1048576 {number} 0 shared"));
    }
    ask(&mut oldest, "try_recv", "nothing");
    ask(&mut oldest, "clear", "cleared");
    assert_eq!(scene.lent(), 0);
}

#[test]
fn loans_wait_for_a_receiver_without_descriptors() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    scene.send(Bytes::from(vec![1]));
    ask(&mut viewer, "recv", "1 1 1 copy");
    scene.send(scene.bytes(5000, 1, 2));
    // The place where loans are given back takes one, and the memory another one.
    for command in ["poor 0", "poor 1"] {
        ask(&mut viewer, command, "poor");
        ask(&mut viewer, "recv", "poor");
    }
    ask(&mut viewer, "rich", "rich");
    ask(&mut viewer, "recv", "5000 1 2 shared");
}

#[test]
fn loans_to_a_receiver_that_keeps_too_many_are_copied() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    let bytes = scene.bytes(10, 1, 2);
    for _ in 0..8192 {
        scene.send(bytes.clone());
        ask(&mut viewer, "recv", "10 1 2 shared");
    }
    scene.send(bytes.clone());
    ask(&mut viewer, "recv", "10 1 2 copy");
    ask(&mut viewer, "clear", "cleared");
    scene.send(bytes);
    ask(&mut viewer, "recv", "10 1 2 shared");
}

#[test]
fn loans_leave_nothing_behind() {
    let scene = Scene::new();
    let mut viewer = scene.viewer("block");
    // As much as is on its way at a time, which depends on who runs when; not as much as has been sent.
    const MEMORY: usize = 64 << 20;
    const DESCRIPTORS: usize = 64;
    const ROUNDS: usize = 100_000;
    for _ in 0..4 {
        viewer.tell(&format!("count {}", ROUNDS / 4));
        for number in 0..ROUNDS / 4 {
            let len = [100, 5000, 70_000][number % 3];
            scene.send(scene.bytes(len, 1, 2));
        }
        viewer.expect("counted");
        eventually("loans", 0, || scene.lent());
        let memory = scene.sender.loan_statistics().memory;
        let open = descriptors(viewer.pid());
        assert!(
            open <= DESCRIPTORS && memory <= MEMORY,
            "{open} descriptors, {memory} bytes"
        );
    }
}
