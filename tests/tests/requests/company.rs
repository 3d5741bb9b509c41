//! Others receive, poll, or send while a reply is waited for.

use super::{clerk, join, reply, request, wait_asleep};
use ipmb::{Message, RecvError, RequestError, Selector, label};
use ipmb_tests::{
    Bus, DEADLINE,
    proc::eventually,
    readiness::{is_quiet, is_readable},
};
use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

#[test]
fn what_comes_before_the_reply_is_kept_in_order() {
    const COUNT: usize = 1000;
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let clerk = clerk(&bus);
    for round in 0..3 {
        let chat = format!("chat {COUNT} {}", 10 + 500 * round);
        let mut pending = sender.request(request(&chat)).unwrap();
        let mut echo = sender.request(request("echo it")).unwrap();
        // What was asked later comes behind all that was sent before.
        assert_eq!(reply(&mut echo), "it");
        assert_eq!(reply(&mut pending), "done");
        assert!(is_readable(&receiver));
        for number in 0..COUNT {
            let text = receiver.recv(Some(DEADLINE)).unwrap().payload;
            assert_eq!(text.parse::<usize>().unwrap(), number);
        }
        assert!(receiver.try_recv().unwrap().is_none());
        assert!(is_quiet(&receiver));
    }
    clerk.finish();
}

#[test]
fn what_was_kept_comes_before_what_is_sent_later() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let clerk = clerk(&bus);
    let mut number = 0;
    for _ in 0..200 {
        let mut first = sender.request(request("chat 5 4")).unwrap();
        let mut second = sender.request(request("chat 5 4")).unwrap();
        assert_eq!(reply(&mut first), "done");
        // Received from what was kept, and from the lane.
        for _ in 0..2 {
            let text = receiver.recv(Some(DEADLINE)).unwrap().payload;
            assert_eq!(text.parse::<usize>().unwrap(), number);
            number = (number + 1) % 5;
        }
        assert_eq!(reply(&mut second), "done");
        for _ in 0..8 {
            let text = receiver.recv(Some(DEADLINE)).unwrap().payload;
            assert_eq!(text.parse::<usize>().unwrap(), number);
            number = (number + 1) % 5;
        }
    }
    clerk.finish();
}

#[test]
fn messages_of_others_stay_where_they_are() {
    const COUNT: usize = 100_000;
    let bus = Bus::new();
    let options = bus.options(label!("test")).with_inbox_budget(64 << 10);
    let (sender, receiver) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    let clerk = clerk(&bus);
    let options = bus.options(label!("other"));
    let (other, _others) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    thread::scope(|scope| {
        // It sends more than there is room for, and has to wait until somebody receives.
        scope.spawn(|| {
            for number in 0..COUNT {
                let message = Message::new(Selector::unicast("test"), number.to_string());
                other.send(message).unwrap();
            }
        });
        for number in 0..100 {
            let mut pending = sender.request(request(&format!("echo {number}"))).unwrap();
            assert_eq!(reply(&mut pending), number.to_string());
        }
        for number in 0..COUNT {
            let text = receiver.recv(Some(DEADLINE)).unwrap().payload;
            assert_eq!(text, number.to_string());
        }
    });
    clerk.finish();
}

#[test]
fn too_much_before_the_reply_is_an_error_and_nothing_is_lost() {
    const COUNT: usize = 1000;
    let bus = Bus::new();
    let options = bus.options(label!("test")).with_inbox_budget(64 << 10);
    let (sender, receiver) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    let clerk = clerk(&bus);
    let mut pending = sender.request(request("chat 1000 1000")).unwrap();
    let mut received = 0;
    let mut full = 0;
    loop {
        match pending.wait::<String>(Some(DEADLINE)) {
            Ok(reply) => break assert_eq!(reply.payload, "done"),
            Err(RequestError::InboxFull) => full += 1,
            Err(error) => panic!("{error}"),
        }
        while let Some(message) = receiver.try_recv().unwrap() {
            assert_eq!(message.payload.parse::<usize>().unwrap(), received);
            received += 1;
        }
    }
    assert!(full > 0);
    while received < COUNT {
        let text = receiver.recv(Some(DEADLINE)).unwrap().payload;
        assert_eq!(text.parse::<usize>().unwrap(), received);
        received += 1;
    }
    clerk.finish();
}

#[test]
fn others_receive_while_many_wait_for_replies() {
    const ASKERS: usize = 4;
    const EACH: usize = 500;
    const CHAT: usize = 3;
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let clerk = clerk(&bus);
    let received = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for wait in [Duration::ZERO, Duration::from_millis(1), DEADLINE] {
            let (receiver, received, done) = (&receiver, &received, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    match receiver.recv(Some(wait)) {
                        Ok(message) if message.payload == "end" => {}
                        Ok(_) => drop(received.fetch_add(1, Ordering::Relaxed)),
                        Err(RecvError::Timeout) => thread::yield_now(),
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        let askers: Vec<_> = (0..ASKERS)
            .map(|asker| {
                let sender = sender.clone();
                scope.spawn(move || {
                    for number in 0..EACH {
                        let chat = sender.request(request(&format!("chat {CHAT} 4")));
                        let echo = sender.request(request(&format!("echo {asker}.{number}")));
                        assert_eq!(reply(&mut chat.unwrap()), "done");
                        assert_eq!(reply(&mut echo.unwrap()), format!("{asker}.{number}"));
                    }
                })
            })
            .collect();
        askers.into_iter().for_each(|asker| asker.join().unwrap());
        eventually("received", ASKERS * EACH * CHAT, || {
            received.load(Ordering::Relaxed)
        });
        done.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            let end = Message::new(Selector::unicast("test"), "end".to_owned());
            sender.send(end).unwrap();
        }
    });
    clerk.finish();
}

#[test]
fn who_receives_is_woken_while_somebody_waits_for_a_reply() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    let options = bus.options(label!("other"));
    let (other, _others) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    let hello = || Message::new(Selector::unicast("test"), "hello".to_owned());
    for _ in 0..100 {
        let pending = sender.request(request("keep it")).unwrap();
        clerk.expect("kept it");
        thread::scope(|scope| {
            let waiter = wait_asleep(scope, pending);
            let hearer = scope.spawn(|| receiver.recv(Some(DEADLINE)).unwrap().payload);
            other.send(hello()).unwrap();
            assert_eq!(hearer.join().unwrap(), "hello");
            assert_eq!(clerk.ask("answer now"), "answered");
            assert_eq!(waiter.join().unwrap().unwrap(), "now");
        });
    }
    clerk.finish();
}

#[test]
fn it_polls_readable_while_somebody_waits_for_a_reply() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    let options = bus.options(label!("other"));
    let (other, _others) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    let hello = || Message::new(Selector::unicast("test"), "hello".to_owned());
    // First contact.
    other.send(hello()).unwrap();
    assert_eq!(receiver.recv(Some(DEADLINE)).unwrap().payload, "hello");
    for _ in 0..100 {
        let pending = sender.request(request("keep it")).unwrap();
        clerk.expect("kept it");
        thread::scope(|scope| {
            let waiter = wait_asleep(scope, pending);
            for _ in 0..3 {
                other.send(hello()).unwrap();
                other.send(hello()).unwrap();
                for _ in 0..2 {
                    assert!(is_readable(&receiver));
                    assert_eq!(receiver.try_recv().unwrap().unwrap().payload, "hello");
                }
                assert!(is_quiet(&receiver));
                assert!(receiver.try_recv().unwrap().is_none());
            }
            // A message that nobody receives keeps nobody from sleeping, nor from being woken.
            other.send(hello()).unwrap();
            assert!(is_readable(&receiver));
            assert_eq!(clerk.ask("answer now"), "answered");
            assert_eq!(waiter.join().unwrap().unwrap(), "now");
        });
        assert!(is_readable(&receiver));
        assert_eq!(receiver.try_recv().unwrap().unwrap().payload, "hello");
        assert!(is_quiet(&receiver));
    }
    clerk.finish();
}

#[test]
fn a_reply_alone_is_not_readable_for_ever() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    assert!(is_quiet(&receiver));
    let mut pending = sender.request(request("keep it")).unwrap();
    clerk.expect("kept it");
    assert_eq!(clerk.ask("answer now"), "answered");
    // To an event loop that does not wait for it.
    eventually("readable", false, || {
        assert!(receiver.try_recv().unwrap().is_none());
        is_readable(&receiver)
    });
    assert_eq!(reply(&mut pending), "now");
    // And while somebody waits.
    for _ in 0..100 {
        let mut pending = sender.request(request("echo it")).unwrap();
        assert_eq!(reply(&mut pending), "it");
        assert!(is_quiet(&receiver));
    }
    clerk.finish();
}
