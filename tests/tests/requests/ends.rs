//! Somebody dies, leaves, or receives no more.

use super::{clerk, join, reply, request, wait_asleep};
use ipmb::{RequestError, label};
use ipmb_tests::{
    Bus, DEADLINE, Peer,
    failover::Controllers,
    proc::{eventually, is_stopped},
};
use rustix::process::Signal;
use std::thread;

/// Asks something that is kept, and does something to who keeps it while somebody waits for the
/// reply, and while nobody does.
fn ends(mut end: impl FnMut(Peer)) {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let (sender, _receiver) = join(&bus);
    for _ in 0..5 {
        let clerk = clerk(&bus);
        let waited = sender.request(request("keep one")).unwrap();
        clerk.expect("kept one");
        let mut unwaited = sender.request(request("keep two")).unwrap();
        clerk.expect("kept two");
        thread::scope(|scope| {
            let waiter = wait_asleep(scope, waited);
            end(clerk);
            assert_is_gone(waiter.join().unwrap());
        });
        assert_is_gone(unwaited.wait::<String>(Some(DEADLINE)));
    }
}

fn assert_is_gone<T>(result: Result<T, RequestError>) {
    match result {
        Err(RequestError::PeerGone) => {}
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a reply"),
    }
}

#[test]
fn who_is_asked_is_killed() {
    ends(|mut clerk| clerk.kill());
}

#[test]
fn who_is_asked_leaves() {
    ends(Peer::finish);
}

#[test]
fn who_is_asked_drops_its_receiver() {
    let mut deaf = Vec::new();
    ends(|mut clerk| {
        assert_eq!(clerk.ask("deaf"), "deaf");
        deaf.push(clerk);
    });
}

#[test]
fn who_is_asked_drops_its_receiver_while_there_is_no_controller() {
    let bus = Bus::new();
    let controllers = Controllers::start(&bus);
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    let mut clerk = clerk(&bus);
    let pending = sender.request(request("keep it")).unwrap();
    clerk.expect("kept it");
    thread::scope(|scope| {
        let waiter = wait_asleep(scope, pending);
        controllers.kill_all();
        assert_eq!(clerk.ask("deaf"), "deaf");
        let _controllers = Controllers::start(&bus);
        assert_is_gone(waiter.join().unwrap());
    });
}

#[test]
fn what_was_replied_before_the_end_arrives() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let (sender, _receiver) = join(&bus);
    for _ in 0..20 {
        let mut clerk = clerk(&bus);
        let mut answered = sender.request(request("keep one")).unwrap();
        clerk.expect("kept one");
        assert_eq!(clerk.ask("answer last"), "answered");
        let mut unanswered = sender.request(request("keep two")).unwrap();
        clerk.expect("kept two");
        clerk.kill();
        assert_is_gone(unanswered.wait::<String>(Some(DEADLINE)));
        assert_eq!(reply(&mut answered), "last");
    }
}

#[test]
fn g3_a_reply_comes_though_who_sent_it_left_while_the_asker_was_stopped() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let mut asker = bus.peer("asker", &["busy"]);
    asker.expect("joined");
    for _ in 0..30 {
        let mut clerk = clerk(&bus);
        asker.tell("keep it");
        clerk.expect("kept it");
        asker.signal(Signal::STOP);
        eventually("the asker is stopped", true, || is_stopped(asker.pid()));
        assert_eq!(clerk.ask("answer at last"), "answered");
        clerk.finish();
        // Its threads may see that the clerk has left before they see what it has sent.
        asker.signal(Signal::CONT);
        asker.expect("at last");
    }
    asker.finish();
}

#[test]
fn who_asks_is_killed() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    for _ in 0..5 {
        let mut asker = bus.peer("asker", &[]);
        asker.expect("joined");
        asker.tell("keep it");
        clerk.expect("kept it");
        asker.kill();
        // This is no error.
        assert_eq!(clerk.ask("answer nobody"), "answered");
        let mut pending = sender.request(request("echo next")).unwrap();
        assert_eq!(reply(&mut pending), "next");
    }
    clerk.finish();
}

#[test]
fn g3_the_reply_comes_though_the_controller_is_killed() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let (sender, _receiver) = join(&bus);
    let mut clerk = clerk(&bus);
    let mut asker = bus.peer("asker", &[]);
    asker.expect("joined");
    for _ in 0..10 {
        let pending = sender.request(request("keep one")).unwrap();
        clerk.expect("kept one");
        asker.tell("keep two");
        clerk.expect("kept two");
        thread::scope(|scope| {
            let waiter = wait_asleep(scope, pending);
            controllers.kill_and_wait();
            assert_eq!(clerk.ask("answer all the same"), "answered");
            assert_eq!(waiter.join().unwrap().unwrap(), "all the same");
        });
        asker.expect("all the same");
        controllers.replace();
    }
    asker.finish();
    clerk.finish();
}

#[test]
fn an_end_is_noticed_without_a_controller() {
    let bus = Bus::new();
    let controllers = Controllers::start(&bus);
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    let mut clerk = clerk(&bus);
    let mut met = sender.request(request("echo hello")).unwrap();
    assert_eq!(reply(&mut met), "hello");
    let pending = sender.request(request("keep it")).unwrap();
    clerk.expect("kept it");
    thread::scope(|scope| {
        let waiter = wait_asleep(scope, pending);
        controllers.kill_all();
        clerk.kill();
        assert_is_gone(waiter.join().unwrap());
    });
}

#[test]
fn the_own_receiver_is_dropped_while_a_reply_is_waited_for() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let clerk = clerk(&bus);
    let pending = sender.request(request("keep it")).unwrap();
    clerk.expect("kept it");
    thread::scope(|scope| {
        let waiter = wait_asleep(scope, pending);
        drop(receiver);
        let error = waiter.join().unwrap().unwrap_err();
        assert!(matches!(error, RequestError::ReceiverDropped), "{error}");
    });
    let error = sender.request(request("echo again")).unwrap_err();
    assert!(matches!(error, RequestError::ReceiverDropped), "{error}");
}

#[test]
fn who_cannot_hear_the_reply_sends_no_request() {
    let bus = Bus::new();
    let (sender, receiver) = join(&bus);
    let options = bus.options(label!("clerk"));
    let (_other, clerk) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    sender.send(request("first")).unwrap();
    drop(receiver);
    let error = sender.request(request("asked")).unwrap_err();
    assert!(matches!(error, RequestError::ReceiverDropped), "{error}");
    sender.send(request("second")).unwrap();
    let heard = [(); 2].map(|()| clerk.recv(Some(DEADLINE)).unwrap().payload);
    assert_eq!(heard, ["first", "second"]);
}
