//! The receiver's descriptor polls readable exactly while a message waits.

use ipmb::{BytesMessage, EndpointReceiver, EndpointSender, Message, Selector, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    proc::{State, eventually, thread_state},
    readiness::{is_quiet, is_readable, poll_for},
    traffic::{self, Seen},
};
use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// More than so many senders, and the receiver looks at the ready set instead of at each lane.
const FEW: u16 = 16;

#[test]
fn nothing_is_readable_before_the_first_message() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    assert!(is_quiet(&receiver));
    assert!(receiver.try_recv().unwrap().is_none());
    assert!(is_quiet(&receiver));
}

#[test]
fn one_message_from_another_process_is_readable_until_it_is_received() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    assert!(is_quiet(&receiver));
    let mut speaker = speaker(&bus, 0);
    say(&mut speaker, "one test 1");
    assert!(is_readable(&receiver));
    assert!(is_readable(&receiver), "looking changes nothing");
    receive_some(&receiver, 1);
    assert!(is_quiet(&receiver));
    assert!(receiver.try_recv().unwrap().is_none());
    assert!(is_quiet(&receiver));
    speaker.finish();
}

#[test]
fn it_is_readable_even_if_the_message_came_before_anybody_looked() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    let mut speaker = speaker(&bus, 0);
    say(&mut speaker, "one test 2");
    receive_some(&receiver, 1);
    // Now is the first look.
    assert!(is_readable(&receiver));
    receive_some(&receiver, 1);
    assert!(is_quiet(&receiver));
    speaker.finish();
}

#[test]
fn it_stays_readable_until_the_last_of_several_is_received() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    assert!(is_quiet(&receiver));
    let mut speaker = speaker(&bus, 0);
    for _ in 0..100 {
        say(&mut speaker, "one test 3");
        for _ in 0..3 {
            assert!(is_readable(&receiver));
            receive_some(&receiver, 1);
        }
        assert!(is_quiet(&receiver));
    }
    speaker.finish();
}

#[test]
fn messages_that_were_parked_are_readable_at_join() {
    let bus = Bus::new();
    let mut parker = bus.peer("parker", &["0"]);
    let controller = bus.peer("candidate", &[]);
    controller.expect("joined");
    parker.expect("joined");
    parker.tell("send test 3 600000");
    parker.expect("sent 3");
    let (_sender, receiver) = join(&bus);
    for _ in 0..3 {
        assert!(is_readable(&receiver));
        receive_some(&receiver, 1);
    }
    assert!(is_quiet(&receiver));
    parker.finish();
}

#[test]
fn a_multicast_is_readable_for_all() {
    let bus = Bus::new();
    let (sender, first) = join(&bus);
    let (_sender, second) = join(&bus);
    assert!(is_quiet(&first) && is_quiet(&second));
    let mut speaker = speaker(&bus, 0);
    say(&mut speaker, "all test 1");
    assert!(is_readable(&first) && is_readable(&second));
    receive_some(&first, 1);
    assert!(is_quiet(&first) && is_readable(&second));
    receive_some(&second, 1);
    // From one of them, to both.
    let selector = Selector::multicast("test");
    sender
        .send(Message::new(selector, traffic::message(1, 0)))
        .unwrap();
    for receiver in [&first, &second] {
        assert!(is_readable(receiver));
        receive_some(receiver, 1);
        assert!(is_quiet(receiver));
    }
    speaker.finish();
}

#[test]
fn those_who_come_and_go_without_a_word_make_nothing_readable() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    assert!(is_quiet(&receiver));
    let options = bus.options(label!("listener"));
    for _ in 0..20 {
        let (_, silent) = ipmb::join::<(), BytesMessage>(options.clone(), Some(DEADLINE)).unwrap();
        let selector = Selector::unicast("listener");
        sender
            .send(Message::new(selector, traffic::probe()))
            .unwrap();
        silent.recv(Some(DEADLINE)).unwrap();
        assert!(is_quiet(&receiver));
        drop(silent);
        assert!(is_quiet(&receiver));
    }
    // What we have heard of their leaving by now is all of it, or nearly.
    let mut speaker = speaker(&bus, 0);
    say(&mut speaker, "one test 1");
    receive_some(&receiver, 1);
    assert!(is_quiet(&receiver));
    speaker.finish();
    stays_unreadable(&receiver);
}

#[test]
fn a_sender_that_is_killed_makes_nothing_readable() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    assert!(is_quiet(&receiver));
    for number in 0..10 {
        let mut speaker = speaker(&bus, number);
        say(&mut speaker, "one test 2");
        assert!(is_readable(&receiver));
        receive_some(&receiver, 1);
        speaker.kill();
        assert!(is_readable(&receiver), "what it sent is there still");
        receive_some(&receiver, 1);
        assert!(is_quiet(&receiver));
    }
    stays_unreadable(&receiver);
}

#[test]
fn a_message_of_an_unknown_type_is_readable_until_it_is_skipped() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    assert!(is_quiet(&receiver));
    let mut speaker = speaker(&bus, 0);
    say(&mut speaker, "one test 1");
    receive_some(&receiver, 1);
    say(&mut speaker, "stray test");
    assert!(is_readable(&receiver));
    assert!(receiver.try_recv().unwrap().is_none());
    assert!(is_quiet(&receiver));
    assert_eq!(receiver.statistics().skipped, 1);
    say(&mut speaker, "stray test");
    say(&mut speaker, "one test 1");
    assert!(is_readable(&receiver));
    receive_some(&receiver, 1);
    assert!(is_quiet(&receiver));
    speaker.finish();
}

#[test]
fn many_senders_are_all_heard() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    assert!(is_quiet(&receiver));
    let mut speakers: Vec<Peer> = (0..FEW + 4).map(|number| speaker(&bus, number)).collect();
    let mut seen = Seen::default();
    for speaker in &mut speakers {
        say(speaker, "one test 1");
        assert!(is_readable(&receiver));
        seen.check(&receive(&receiver)).unwrap();
        assert!(is_quiet(&receiver));
    }
    // One at a time: in order, and then to and fro.
    for round in 0..20 {
        for index in 0..speakers.len() {
            let index = (index * (2 * round + 1)) % speakers.len();
            say(&mut speakers[index], "one test 1");
            assert!(is_readable(&receiver));
            let message = receiver.try_recv().unwrap().expect("it is readable");
            seen.check(&message.payload).unwrap();
            assert!(is_quiet(&receiver));
        }
    }
    // All at once.
    for _ in 0..20 {
        for speaker in &mut speakers {
            say(speaker, "one test 3");
        }
        for _ in 0..3 * speakers.len() {
            assert!(is_readable(&receiver));
            let message = receiver.try_recv().unwrap().expect("it is readable");
            seen.check(&message.payload).unwrap();
        }
        assert!(is_quiet(&receiver));
    }
    // Some of them leave, and others come.
    for speaker in speakers.drain(..FEW as usize / 2) {
        speaker.finish();
    }
    for number in 100..100 + FEW {
        speakers.push(speaker(&bus, number));
    }
    for speaker in &mut speakers {
        say(speaker, "one test 1");
        assert!(is_readable(&receiver));
        seen.check(&receive(&receiver)).unwrap();
        assert!(is_quiet(&receiver));
    }
    speakers.into_iter().for_each(Peer::finish);
}

#[test]
fn waiting_and_polling_can_be_mixed() {
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    let mut speaker = speaker(&bus, 0);
    for round in 0..50 {
        say(&mut speaker, "one test 3");
        receiver.recv(Some(DEADLINE)).unwrap();
        assert!(is_readable(&receiver));
        receiver.recv(None).unwrap();
        assert!(is_readable(&receiver));
        receive_some(&receiver, 1);
        assert!(is_quiet(&receiver));
        // A wait that ends in vain, and one that does not.
        receiver.recv(Some(Duration::from_millis(1))).unwrap_err();
        assert!(is_quiet(&receiver));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| receiver.recv(Some(DEADLINE)).unwrap());
            say(&mut speaker, "one test 1");
            waiting.join().unwrap();
        });
        assert!(is_quiet(&receiver), "round {round}");
    }
    speaker.finish();
}

#[test]
fn a_large_message_comes_through_an_event_loop() {
    const BYTES: usize = 20 << 20;
    let bus = Bus::new();
    let options = bus.options(label!("test")).with_inbox_budget(64 << 10);
    let (_sender, receiver) =
        ipmb::join::<BytesMessage, BytesMessage>(options, Some(DEADLINE)).unwrap();
    assert!(is_quiet(&receiver));
    let mut speaker = speaker(&bus, 0);
    speaker.tell(&format!("large test {BYTES}"));
    let message = loop {
        wait_readable(&receiver);
        if let Some(message) = receiver.try_recv().unwrap() {
            break message;
        }
    };
    assert!(message.payload == traffic::large(BYTES));
    speaker.expect("sent");
    assert!(is_quiet(&receiver));
    speaker.finish();
}

#[test]
fn a_thread_that_sleeps_in_poll_wakes() {
    const ROUNDS: u32 = 200;
    let bus = Bus::new();
    let (_sender, receiver) = join(&bus);
    let mut speaker = speaker(&bus, 0);
    let (asks, asked) = mpsc::channel();
    let (answers, answered) = mpsc::channel();
    let mut worst = Duration::ZERO;
    thread::scope(|scope| {
        scope.spawn(|| {
            let thread = rustix::thread::gettid().as_raw_nonzero().get() as u32;
            for () in asked {
                answers.send(thread).unwrap();
                wait_readable(&receiver);
                receive_some(&receiver, 1);
                assert!(is_quiet(&receiver));
                answers.send(thread).unwrap();
            }
        });
        for _ in 0..ROUNDS {
            asks.send(()).unwrap();
            let thread = answered.recv().unwrap();
            eventually("the thread", State::Sleeping, || thread_state(thread));
            let start = Instant::now();
            say(&mut speaker, "one test 1");
            answered.recv().unwrap();
            worst = worst.max(start.elapsed());
        }
        drop(asks);
    });
    println!("{ROUNDS} times woken from poll, at worst after {worst:?}");
    speaker.finish();
}

#[test]
fn no_wake_up_is_missed_by_those_who_poll() {
    const ROUNDS: u32 = 20_000;
    let bus = Bus::new();
    let (sender, receiver) =
        ipmb::join::<String, String>(bus.options(label!("test")), Some(DEADLINE)).unwrap();
    let peer = bus.peer("poller", &["peer", "test"]);
    peer.expect("joined");
    let start = Instant::now();
    for n in 0..ROUNDS {
        let selector = Selector::unicast("peer");
        sender.send(Message::new(selector, n.to_string())).unwrap();
        let answer = loop {
            wait_readable(&receiver);
            if let Some(message) = receiver.try_recv().unwrap() {
                break message.payload;
            }
        };
        assert_eq!(answer, n.to_string());
        assert!(receiver.try_recv().unwrap().is_none());
    }
    println!(
        "{ROUNDS} round trips through poll, {:?} each",
        start.elapsed() / ROUNDS
    );
    peer.finish();
}

fn join(bus: &Bus) -> (EndpointSender<BytesMessage>, EndpointReceiver<BytesMessage>) {
    ipmb::join(bus.options(label!("test")), Some(DEADLINE)).unwrap()
}

fn speaker(bus: &Bus, number: u16) -> Peer {
    let speaker = bus.peer("speaker", &[&number.to_string()]);
    speaker.expect("joined");
    speaker
}

fn say(speaker: &mut Peer, line: &str) {
    assert_eq!(speaker.ask(line), "sent");
}

/// Receives one that has been sent. At first contact the receiver's driver may still have to fetch
/// the lane: then it is readable again when that is done.
fn receive(receiver: &EndpointReceiver<BytesMessage>) -> BytesMessage {
    loop {
        wait_readable(receiver);
        if let Some(message) = receiver.try_recv().unwrap() {
            return message.payload;
        }
    }
}

fn receive_some(receiver: &EndpointReceiver<BytesMessage>, count: u32) {
    (0..count).for_each(|_| drop(receive(receiver)));
}

/// Waits until it is readable.
fn wait_readable<R>(receiver: &EndpointReceiver<R>) {
    assert!(poll_for(receiver, DEADLINE), "it never became readable");
}

/// Nothing can be waited for that does not happen: looks for a while.
fn stays_unreadable<R: ipmb::MessageBox>(receiver: &EndpointReceiver<R>) {
    assert!(is_quiet(receiver));
    let rung = poll_for(receiver, Duration::from_millis(100));
    assert!(!rung || is_quiet(receiver));
}
