//! Messages without attachments.

use std::time::{Duration, Instant};

use ipmb::{Bytes, Message, RequestError, Selector, SendError};

use super::bus::pair;
use crate::ledger::{Content, Fate, Parcel, filler_of};
use crate::stage::Stage;

/// Some that have no two things in common.
const SIZES: [usize; 3] = [0, 16, 3_000];
/// Beyond the first lane, and beyond what is written in one piece.
const LARGE: [usize; 2] = [200_000, 3_000_000];

fn bytes(bytes: usize) -> Content {
    Content { bytes, objects: 0 }
}

pub fn first_contact(stage: &Stage) {
    let (Some(alice), Some(bob)) = (stage.join("alice"), stage.join("bob")) else {
        return;
    };
    stage.arm();
    stage.send(&alice, "bob", bytes(10));
    stage.send(&bob, "alice", bytes(10));
    stage.receive_all(&bob);
    stage.receive_all(&alice);
    stage.check(&[&alice, &bob]);
}

pub fn small(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    // To one who sleeps: to others they take no system call.
    stage.while_receiving(&bob, || {
        for size in SIZES {
            stage.send(&alice, "bob", bytes(size));
            stage.await_all(&bob);
        }
    });
    stage.check(&[&alice, &bob]);
}

pub fn large(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    stage.while_receiving(&bob, || {
        for size in LARGE {
            stage.send(&alice, "bob", bytes(size));
        }
        stage.send(&alice, "bob", bytes(10));
    });
    stage.check(&[&alice, &bob]);
}

/// All of it was there before faults begin.
pub fn receive(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    for size in SIZES.into_iter().chain([100_000]) {
        stage.send(&alice, "bob", bytes(size));
        let objects = Content {
            bytes: size,
            objects: 2,
        };
        stage.send(&alice, "bob", objects);
    }
    stage.arm();
    stage.receive_all(&bob);
    stage.check(&[&alice, &bob]);
}

/// They wait for who is not there yet: in their message to the controller, in memory of their own, and
/// with objects.
pub fn parked(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    for (size, objects) in [(10, 0), (100_000, 0), (10, 2)] {
        let content = Content {
            bytes: size,
            objects,
        };
        let selector = Selector {
            ttl: Duration::from_secs(60),
            ..Selector::unicast("carol")
        };
        stage.send_by(&alice, "carol", content, selector, |number| {
            Some(Bytes::from(vec![filler_of(number); size]))
        });
    }
    let carol = stage.join("carol");
    if let Some(carol) = &carol {
        stage.send(&alice, "carol", bytes(10));
        stage.receive_all(carol);
    }
    stage.disarm();
    if let Some(carol) = stage.join_at_last("carol", carol) {
        stage.check(&[&alice, &bob, &carol]);
    }
}

pub fn multicast(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    let Some(carol) = stage.join("carol") else {
        return;
    };
    stage.check(&[&alice, &bob, &carol]);
    stage.arm();
    for size in [16, 3_000] {
        let message = || {
            let filler = Bytes::from(vec![7; size]);
            Message::new(
                Selector::multicast(ipmb::LabelOp::from("bob").or("carol")),
                Parcel { number: 0, filler },
            )
        };
        match alice.sender.send_timeout(message(), stage.patience()) {
            Ok(()) => {
                for member in [&bob, &carol] {
                    match member.receiver.recv(Some(stage.patience())) {
                        Ok(message) if message.payload.filler.len() == size => {}
                        Ok(_) => stage.wrong(format!("{} got something else", member.name)),
                        Err(ipmb::RecvError::Timeout) => stage.late("a multicast is due"),
                        Err(error) => stage.wrong(format!("{}: {error:?}", member.name)),
                    }
                }
            }
            Err(error) => {
                stage.judge(&error.reason, "a multicast");
                // So many have it all the same.
                let got = [&bob, &carol].map(|member| member.receiver.try_recv());
                let got = got.iter().filter(|it| matches!(it, Ok(Some(_)))).count();
                if got != error.delivered {
                    stage.wrong(format!("{got} of a multicast to {}", error.delivered));
                }
            }
        }
    }
    stage.check(&[&alice, &bob, &carol]);
}

pub fn request(stage: &Stage) {
    let Some((alice, bob)) = pair(stage) else {
        return;
    };
    stage.arm();
    for size in [10, 100_000] {
        ask(stage, &alice, &bob, size);
    }
    stage.check(&[&alice, &bob]);
}

fn ask(stage: &Stage, alice: &crate::stage::Member, bob: &crate::stage::Member, size: usize) {
    let entered = stage.ledger().enter(
        "alice",
        "bob",
        bytes(size),
        Selector::unicast("bob"),
        |number| Some(Bytes::from(vec![filler_of(number); size])),
    );
    let Some((number, question)) = entered else {
        return;
    };
    let mut pending = match alice.sender.request(question) {
        Ok(pending) => pending,
        Err(RequestError::Send(error)) => {
            stage.ledger().settle(number, Fate::GivenBack);
            return stage.judge(&error, "alice asks");
        }
        Err(RequestError::Resources(_)) => {
            return stage.ledger().settle(number, Fate::GivenBack);
        }
        Err(error) => return stage.wrong(format!("alice asks: {error:?}")),
    };
    stage.ledger().settle(number, Fate::Sent);
    let mut asker = None;
    let end = Instant::now() + stage.patience();
    while asker.is_none() && Instant::now() < end {
        let question = stage.receive(bob, Duration::from_millis(50));
        asker = question.and_then(|question| question.reply_to());
    }
    let Some(asker) = asker else {
        return stage.late("bob is not asked");
    };
    let replied = (0..5).any(|_| {
        let filler = Bytes::from(vec![9; size]);
        match bob.sender.reply(asker, Parcel { number, filler }) {
            Ok(()) => true,
            Err(SendError::Resources(_)) => false,
            Err(error) => {
                stage.judge(&error, "bob replies");
                false
            }
        }
    });
    for _ in 0..5 {
        match pending.wait::<Parcel>(Some(stage.patience())) {
            Ok(reply) => {
                let Parcel { number: of, filler } = reply.payload;
                if of != number || filler != vec![9; size] {
                    stage.wrong("another reply".to_owned());
                }
                return;
            }
            Err(RequestError::Resources(_)) => {}
            Err(RequestError::Timeout) if replied => return stage.late("no reply"),
            Err(RequestError::Timeout) => return,
            Err(error) => return stage.wrong(format!("alice waits: {error:?}")),
        }
    }
}
