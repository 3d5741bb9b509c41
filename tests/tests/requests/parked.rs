//! Requests that nobody matches yet.

use super::{clerk, join, patient, reply, request, wait_asleep};
use ipmb::{RequestError, label};
use ipmb_tests::{Bus, DEADLINE, failover::Controllers};
use std::{thread, time::Duration};

#[test]
fn without_a_ttl_it_is_an_error_that_nobody_matches() {
    let bus = Bus::new();
    let (sender, _receiver) = join(&bus);
    let error = sender.request(request("echo it")).unwrap_err();
    assert!(matches!(error, RequestError::NobodyMatches), "{error}");
}

#[test]
fn whoever_joins_replies() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let (sender, _receiver) = join(&bus);
    for _ in 0..5 {
        let waited = sender.request(patient("echo one", DEADLINE)).unwrap();
        let mut unwaited = sender.request(patient("echo two", DEADLINE)).unwrap();
        let clerk = thread::scope(|scope| {
            let waiter = wait_asleep(scope, waited);
            let clerk = clerk(&bus);
            assert_eq!(waiter.join().unwrap().unwrap(), "one");
            clerk
        });
        assert_eq!(reply(&mut unwaited), "two");
        clerk.finish();
        // This makes sure that the word of its end has reached the controller.
        drop(join(&bus));
    }
}

#[test]
fn whoever_joins_replies_though_controllers_are_killed() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let options = bus.options(label!("test")).with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<String, String>(options, Some(DEADLINE)).unwrap();
    for _ in 0..10 {
        let mut pending = sender.request(patient("keep it", DEADLINE)).unwrap();
        controllers.kill();
        let mut clerk = clerk(&bus);
        controllers.replace();
        clerk.expect("kept it");
        controllers.kill();
        assert_eq!(clerk.ask("answer late"), "answered");
        assert_eq!(reply(&mut pending), "late");
        controllers.replace();
        clerk.finish();
        drop(join(&bus));
    }
}

#[test]
fn whoever_joined_dies() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let (sender, _receiver) = join(&bus);
    for _ in 0..5 {
        let pending = sender.request(patient("keep it", DEADLINE)).unwrap();
        thread::scope(|scope| {
            let waiter = wait_asleep(scope, pending);
            let mut clerk = clerk(&bus);
            clerk.expect("kept it");
            clerk.kill();
            let error = waiter.join().unwrap().unwrap_err();
            assert!(matches!(error, RequestError::PeerGone), "{error}");
        });
        drop(join(&bus));
    }
}

#[test]
fn whoever_joined_drops_its_receiver() {
    let bus = Bus::new();
    let _controllers = Controllers::start(&bus);
    let (sender, _receiver) = join(&bus);
    for _ in 0..5 {
        let pending = sender.request(patient("keep it", DEADLINE)).unwrap();
        thread::scope(|scope| {
            let waiter = wait_asleep(scope, pending);
            let mut clerk = clerk(&bus);
            clerk.expect("kept it");
            assert_eq!(clerk.ask("deaf"), "deaf");
            let error = waiter.join().unwrap().unwrap_err();
            assert!(matches!(error, RequestError::PeerGone), "{error}");
        });
    }
}

#[test]
fn nobody_comes_in_time() {
    let bus = Bus::new();
    let mut controllers = Controllers::start(&bus);
    let (sender, _receiver) = join(&bus);
    for controller_dies in [false, true] {
        let ttl = Duration::from_millis(100);
        let mut pending = sender.request(patient("echo it", ttl)).unwrap();
        if controller_dies {
            controllers.kill();
            controllers.replace();
        }
        let error = pending.wait::<String>(Some(DEADLINE)).unwrap_err();
        assert!(matches!(error, RequestError::Expired), "{error}");
    }
}
