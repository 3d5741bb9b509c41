//! More parked than anybody wants to keep.

use super::{Scene, patiently};
use ipmb_core::{Body, LabelOp, MAX_INLINE_BODY, Selector, ToController, ToMember};
use ipmb_tests::raw::{Failure, Raw};
use std::time::Duration;

/// What was parked is to be gone soon after the attack.
const TTL: Duration = Duration::from_secs(2);

fn park(sequence: u64, label_op: LabelOp, ttl: Duration, bytes: usize) -> ToController {
    ToController::Park {
        sequence,
        selector: Selector {
            ttl,
            ..Selector::unicast(label_op)
        },
        over: 0,
        body: Body::Inline(vec![0; bytes]),
        objects: 0,
    }
}

/// Reads what there is of answers.
fn listen(scene: &mut Scene, raw: &mut Raw) {
    while let Ok(Some((message, _))) = raw.hear(Duration::ZERO) {
        scene.refused += u64::from(matches!(message, ToMember::ParkRefused { .. }));
    }
}

pub fn many(scene: &mut Scene) -> Result<(), Failure> {
    let mut raw = scene.join()?;
    for sequence in 0..100_000 {
        if !scene.goes_on() {
            break;
        }
        let message = park(sequence, LabelOp::from("nobody"), TTL, 100);
        raw.say(&message, &[])?;
        scene.tried += 1;
        if sequence % 32 == 0 {
            listen(scene, &mut raw);
        }
    }
    patiently(|| false);
    listen(scene, &mut raw);
    Ok(())
}

/// Expressions that take long to work out, and words that take much room.
pub fn selectors(scene: &mut Scene) -> Result<(), Failure> {
    let mut raw = scene.join()?;
    let deep = (0..200_000).fold(LabelOp::from("nobody"), |op, _| {
        LabelOp::Or(Box::new(LabelOp::False), Box::new(op))
    });
    let long = LabelOp::from("x".repeat(1 << 20));
    let mut sequence = 0;
    while scene.goes_on() {
        for label_op in [&deep, &long] {
            let message = park(sequence, label_op.clone(), TTL, 10);
            sequence += 1;
            scene.tried += 1;
            // Another one goes on when the controller has had enough of this one.
            if raw.say(&message, &[]).is_err() {
                raw = scene.join()?;
            }
            listen(scene, &mut raw);
        }
        if sequence % 256 == 0 {
            raw = scene.join()?;
        }
    }
    Ok(())
}

/// Fills the way of whoever comes next under the label of the visitors.
pub fn newcomer(scene: &mut Scene) -> Result<(), Failure> {
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(scene.join()?);
    }
    for sequence in 0.. {
        if !scene.goes_on() {
            break;
        }
        for index in 0..all.len() {
            let message = park(
                sequence,
                LabelOp::from("visitor"),
                TTL,
                MAX_INLINE_BODY - 100,
            );
            all[index].say(&message, &[])?;
            scene.tried += 1;
            let mut raw = all.swap_remove(index);
            listen(scene, &mut raw);
            all.push(raw);
        }
    }
    Ok(())
}
