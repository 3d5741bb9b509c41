//! Each request gets its own reply, once, and from whom it asked.

use super::{clerk, join, reply, request, wait_asleep};
use ipmb::{MemoryRegion, Message, Object, RequestError, Selector, label};
use ipmb_tests::{Bus, DEADLINE, proc::eventually};
use std::{io::Read, os::fd::OwnedFd, thread, time::Duration};

#[test]
fn each_of_many_requests_gets_its_reply() {
    const THREADS: usize = 8;
    const EACH: usize = 1000;
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let clerk = clerk(&bus);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let sender = sender.clone();
            scope.spawn(move || {
                for number in 0..EACH {
                    let text = format!("{thread}.{number}");
                    let mut pending = sender.request(request(&format!("echo {text}"))).unwrap();
                    assert_eq!(reply(&mut pending), text);
                }
            });
        }
    });
    clerk.finish();
}

#[test]
fn many_requests_at_once_get_their_replies_in_any_order() {
    const COUNT: usize = 8000;
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let clerk = clerk(&bus);
    let ask = |number| sender.request(request(&format!("echo {number}"))).unwrap();
    let mut pending: Vec<_> = (0..COUNT).map(ask).collect();
    for number in (0..COUNT).rev() {
        assert_eq!(reply(&mut pending[number]), number.to_string());
    }
    clerk.finish();
}

#[test]
fn a_reply_that_comes_after_the_timeout_can_still_be_waited_for() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    let mut pending = sender.request(request("keep it")).unwrap();
    clerk.expect("kept it");
    for timeout in [0, 1, 20] {
        let timeout = Some(Duration::from_millis(timeout));
        let error = pending.wait::<String>(timeout).unwrap_err();
        assert!(matches!(error, RequestError::Timeout), "{error}");
    }
    assert_eq!(clerk.ask("answer late"), "answered");
    assert_eq!(reply(&mut pending), "late");
    clerk.finish();
}

#[test]
fn who_sleeps_is_woken_by_the_reply() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    for _ in 0..100 {
        let pending = sender.request(request("keep it")).unwrap();
        clerk.expect("kept it");
        thread::scope(|scope| {
            let waiter = wait_asleep(scope, pending);
            assert_eq!(clerk.ask("answer now"), "answered");
            assert_eq!(waiter.join().unwrap().unwrap(), "now");
        });
    }
    clerk.finish();
}

#[test]
fn what_is_attached_travels_both_ways() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let clerk = clerk(&bus);
    // Before and after first contact.
    for _ in 0..3 {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut region = MemoryRegion::new(5);
        region.map(..).unwrap().copy_from_slice(b"hello");
        let mut question = request("return");
        question.objects.push(Object::from(OwnedFd::from(writer)));
        question.memory_regions.push(region);
        let mut pending = sender.request(question).unwrap();
        let mut reply = pending.wait::<String>(Some(DEADLINE)).unwrap();
        assert_eq!(reply.payload, "returned");
        assert_eq!(reply.memory_regions[0].map(..).unwrap(), b"hello");
        assert_eq!(reply.objects.len(), 1);
        drop(reply);
        // Nobody else has it open any more.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
    clerk.finish();
}

#[test]
fn large_replies_arrive() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let clerk = clerk(&bus);
    for size in [1 << 10, 100 << 10, 10 << 20] {
        let text = "x".repeat(size);
        let mut pending = sender.request(request(&format!("echo {text}"))).unwrap();
        assert!(reply(&mut pending) == text, "{size}");
    }
    clerk.finish();
}

#[test]
fn a_second_a_late_and_a_forged_reply_are_dropped_and_counted() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    let unexpected = |expected| {
        eventually("unexpected replies", expected, || {
            assert!(receiver.try_recv().unwrap().is_none());
            receiver.statistics().unexpected_replies
        });
    };

    let mut pending = sender.request(request("keep one")).unwrap();
    clerk.expect("kept one");
    assert_eq!(clerk.ask("forge false"), "forged");
    unexpected(1);
    assert_eq!(clerk.ask("twice true"), "answered");
    assert_eq!(reply(&mut pending), "true");
    unexpected(2);

    drop(sender.request(request("keep two")).unwrap());
    clerk.expect("kept two");
    assert_eq!(clerk.ask("answer late"), "answered");
    unexpected(3);
    clerk.finish();
}

#[test]
fn an_endpoint_can_ask_itself() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    thread::scope(|scope| {
        let clerk = sender.clone();
        let receiver = &receiver;
        scope.spawn(move || {
            for _ in 0..1000 {
                let question = receiver.recv(Some(DEADLINE)).unwrap();
                let to = question.reply_to().unwrap();
                clerk.reply(to, question.payload).unwrap();
            }
        });
        for number in 0..1000 {
            let question = Message::new(Selector::unicast("test"), number.to_string());
            let mut pending = sender.request(question).unwrap();
            assert_eq!(reply(&mut pending), number.to_string());
        }
    });
}

#[test]
fn a_message_that_is_no_request_has_nobody_to_reply_to() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let options = bus.options(label!("other"));
    let (other, answers) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    let message = Message::new(Selector::unicast("other"), "hello".to_owned());
    sender.send(message).unwrap();
    let heard = answers.recv(Some(DEADLINE)).unwrap();
    assert!(heard.reply_to().is_none());
    let mut pending = sender
        .request(Message::new(Selector::unicast("other"), "?".to_owned()))
        .unwrap();
    let question = answers.recv(Some(DEADLINE)).unwrap();
    let to = question.reply_to().unwrap();
    other.reply(to, "!".to_owned()).unwrap();
    assert_eq!(reply(&mut pending), "!");
    assert!(receiver.try_recv().unwrap().is_none());
}
