//! Lanes: order, wrapping, fragments, growth.

use super::common::*;
use ipmb_lane::*;

#[test]
fn ring_keeps_order_and_bytes_through_full_and_wrap() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(false);
        for number in 0..7 {
            push(&mut producer, number).unwrap();
        }
        assert_eq!(pop(&mut consumer), Some(0));
        let sender = thread::spawn(move || {
            for number in 7..10 {
                while push(&mut producer, number).is_err() {
                    thread::yield_now();
                }
            }
        });
        for number in 1..10 {
            let popped = loop {
                match pop(&mut consumer) {
                    Some(popped) => break popped,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(popped, number);
        }
        sender.join().unwrap();
    });
}

#[test]
fn fragments_stream_through_padding() {
    explore(2, || {
        let (mut producer, mut consumer) = lane(false);
        for number in 0..7 {
            push(&mut producer, number).unwrap();
            assert_eq!(pop(&mut consumer), Some(number));
        }
        let sender = thread::spawn(move || {
            let message = *b"a message of 27 bytes here.";
            let mut sent = 0;
            while sent < message.len() {
                match producer.push_fragment(0, 27, sent as u64, &[&message[sent..]]) {
                    Ok(len) => sent += len,
                    Err(Full) => thread::yield_now(),
                }
            }
        });
        let mut out = Vec::new();
        loop {
            match consumer.pop(&mut out, 27).unwrap() {
                Popped::Message { .. } => break,
                Popped::Empty => thread::yield_now(),
                _ => {}
            }
        }
        assert_eq!(out, b"a message of 27 bytes here.");
        sender.join().unwrap();
    });
}

#[test]
fn retired_means_all_is_popped() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(false);
        let sender = thread::spawn(move || {
            push(&mut producer, 0).unwrap();
            push(&mut producer, 1).unwrap();
            producer.retire();
        });
        let mut popped = 0;
        for _ in 0..3 {
            if consumer.is_retired() {
                assert_eq!(popped, 2);
            }
            popped += pop(&mut consumer).map_or(0, |_| 1);
        }
        sender.join().unwrap();
        while pop(&mut consumer).is_some() {}
        assert!(consumer.is_retired());
    });
}

#[test]
fn a_larger_lane_takes_over_in_order() {
    explore(3, || {
        let (mut old, mut first) = lane(false);
        let (mut new, mut second) = lane(false);
        let sender = thread::spawn(move || {
            push(&mut old, 0).unwrap();
            push(&mut old, 1).unwrap();
            old.retire();
            push(&mut new, 2).unwrap();
        });
        let mut received = Vec::new();
        let mut look = || {
            let popped = match first.is_retired() {
                true => pop(&mut second),
                false => pop(&mut first),
            };
            received.extend(popped);
        };
        (0..4).for_each(|_| look());
        sender.join().unwrap();
        (0..3).for_each(|_| look());
        assert_eq!(received, [0, 1, 2]);
    });
}

/// What has come is the beginning of what was sent, in whole messages, whenever one looks.
fn messages_from_who_dies() {
    let (mut producer, mut consumer) = lane(false);
    for number in 0..6 {
        push(&mut producer, number).unwrap();
        assert_eq!(pop(&mut consumer), Some(number));
    }
    let sender = thread::spawn(move || {
        // They go on at the beginning of the ring.
        for text in [*b"first...", *b"second.."] {
            let mut grant = producer.reserve(8).unwrap();
            grant.write(&text).unwrap();
            grant.commit(3);
        }
    });
    let mut received = Vec::new();
    for _ in 0..3 {
        let mut out = Vec::new();
        match consumer.pop(&mut out, 100).unwrap() {
            Popped::Message { tag } => {
                assert_eq!(tag, 3);
                received.push(out);
            }
            other => assert_eq!(other, Popped::Empty),
        }
    }
    let all: [&[u8]; 2] = [b"first...", b"second.."];
    assert_eq!(received, all[..received.len()]);
    sender.join().unwrap();
}

#[test]
fn a_producer_that_dies_leaves_whole_messages() {
    explore(3, messages_from_who_dies);
}

#[test]
#[should_panic]
fn loom_finds_a_message_that_is_published_too_early() {
    explore_weakened(Weak::Stores, 3, messages_from_who_dies);
}

#[test]
#[should_panic]
fn loom_finds_a_message_that_is_read_too_early() {
    explore_weakened(Weak::Loads, 3, messages_from_who_dies);
}

#[test]
fn a_producer_that_dies_amid_fragments_leaves_no_message() {
    explore(3, || {
        let (mut producer, mut consumer) = lane(false);
        let sender = thread::spawn(move || {
            let message = *b"0123456789abcdefghijklmn";
            for offset in [0, 8, 16] {
                let sent = producer.push_fragment(0, 24, offset as u64, &[&message[offset..]]);
                assert_eq!(sent, Ok(8));
            }
        });
        let mut out = Vec::new();
        for _ in 0..4 {
            match consumer.pop(&mut out, 100).unwrap() {
                Popped::Message { .. } => assert_eq!(out, b"0123456789abcdefghijklmn"),
                _ => assert!(out.is_empty()),
            }
        }
        sender.join().unwrap();
    });
}
