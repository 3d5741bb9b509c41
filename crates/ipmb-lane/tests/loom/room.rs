//! A producer that waits for room.

use super::common::*;
use ipmb_lane::*;

fn wait_for_room() {
    let (mut producer, mut consumer) = lane(false);
    for number in 0..8 {
        push(&mut producer, number).unwrap();
    }
    let doorbell = Doorbell::new();
    let bell = doorbell.clone();
    let receiver = thread::spawn(move || {
        for number in 0..8 {
            assert_eq!(pop(&mut consumer), Some(number));
            // Often enough, and the last time is when all is popped.
            if number % 4 == 3 && consumer.wants_room() {
                bell.ring();
            }
        }
    });
    while push(&mut producer, 8).is_err() {
        producer.want_room(8);
        if !producer.room_for(8) {
            doorbell.sleep();
        }
        producer.cancel_want_room();
    }
    receiver.join().unwrap();
}

#[test]
fn a_sender_that_waits_for_room_is_woken() {
    explore(3, wait_for_room);
}

#[test]
#[should_panic(expected = "deadlock")]
fn loom_finds_the_room_that_is_not_noticed_without_fences() {
    explore_weakened(Weak::Fences, 3, wait_for_room);
}
