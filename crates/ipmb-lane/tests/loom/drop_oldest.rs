//! Lanes whose producer drops the oldest message.

use super::common::*;
use ipmb_lane::*;

#[test]
fn dropping_the_oldest_races_with_popping_it() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(true);
        for number in 0..8 {
            push(&mut producer, number).unwrap();
        }
        let sender = thread::spawn(move || {
            for number in 8..10 {
                while push(&mut producer, number).is_err() {
                    assert!(producer.drop_oldest().is_some());
                }
            }
        });
        let mut received = Vec::new();
        received.extend(pop(&mut consumer));
        received.extend(pop(&mut consumer));
        sender.join().unwrap();
        received.extend(std::iter::from_fn(|| pop(&mut consumer)));
        assert!(received.is_sorted_by(|a, b| a < b), "{received:?}");
        assert_eq!(received.last(), Some(&9));
        assert_eq!(received.len() as u64 + consumer.dropped(), 10);
    });
}

#[test]
fn dropping_races_with_a_message_in_fragments() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(true);
        let message = *b"0123456789abcdef";
        assert_eq!(producer.push_fragment(0, 16, 0, &[&message]), Ok(8));
        assert_eq!(producer.push_fragment(0, 16, 8, &[&message[8..]]), Ok(8));
        let sender = thread::spawn(move || {
            let dropped = producer.drop_oldest().is_some();
            push(&mut producer, 1).unwrap();
            push(&mut producer, 2).unwrap();
            dropped
        });
        let mut received = Vec::new();
        let mut look = || {
            let mut out = Vec::new();
            let popped = consumer.pop(&mut out, 16).unwrap();
            if popped == (Popped::Message { tag: 0 }) {
                received.push(out);
            }
            popped
        };
        look();
        look();
        let dropped = sender.join().unwrap();
        while look() != Popped::Empty {}
        let mut expected = vec![1u64.to_le_bytes().to_vec(), 2u64.to_le_bytes().to_vec()];
        if !dropped {
            expected.insert(0, message.to_vec());
        }
        assert_eq!(received, expected);
        assert_eq!(u64::from(dropped), consumer.dropped());
    });
}

#[test]
fn a_producer_that_dies_while_it_drops_leaves_whole_messages() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(true);
        for number in 0..8 {
            push(&mut producer, number).unwrap();
        }
        let sender = thread::spawn(move || {
            producer.drop_oldest();
            let _ = push(&mut producer, 8);
        });
        let received: Vec<u64> = (0..3).filter_map(|_| pop(&mut consumer)).collect();
        assert!(received.is_sorted_by(|a, b| a < b), "{received:?}");
        // At most the one that was to be dropped is missing.
        assert!(received.len() == 3 && received[2] <= 3, "{received:?}");
        sender.join().unwrap();
    });
}
