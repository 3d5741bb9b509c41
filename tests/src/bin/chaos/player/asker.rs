//! A thread that sends requests, and waits for the replies.

use super::{ASKER, Mode, Scene, fault, outcome, speaker::Pen};
use ipmb::{Pending, RequestError};
use ipmb_tests::chaos::{
    mail::{self, Mail},
    record::{End, Event, Id, Outcome},
};
use std::time::Duration;

pub(super) fn run(scene: &Scene) {
    let mut pen = Pen::new(scene, ASKER);
    while scene.stage.may_begin(|| pen.tidy_up()) {
        // Replies may be dropped, too.
        if scene.words.is_lossy() {
            scene.stage.rest(Duration::from_millis(20));
            continue;
        }
        let mut pending = Vec::new();
        for _ in 0..pen.dice.among(1..=4) {
            pending.extend(ask(scene, &mut pen));
        }
        for (id, pending) in pending {
            let end = wait(scene, &mut pen, pending);
            scene.write(Event::Over(id, end));
        }
        scene.stage.rest(pen.dice.micros(0..=20_000));
    }
}

fn ask(scene: &Scene, pen: &mut Pen<'_>) -> Option<(Id, Pending)> {
    let to = pen.somebody(true);
    let (id, message) = pen.write(to, None)?;
    let (outcome, pending) = match scene.sender.request(message) {
        Ok(pending) => (Outcome::Sent, Some((id, pending))),
        // Or nobody who could hear the reply.
        Err(RequestError::NobodyMatches | RequestError::ReceiverDropped) => (Outcome::Nobody, None),
        Err(RequestError::Send(error)) => (outcome(&error, 0), None),
        Err(error) => {
            fault("Failed", &format!("request: {error}"));
            (Outcome::Failed, None)
        }
    };
    scene.write(Event::Returned(id, outcome));
    pending
}

fn wait(scene: &Scene, pen: &mut Pen<'_>, mut pending: Pending) -> End {
    loop {
        let timeout = pen.dice.micros(0..=100_000);
        match pending.wait::<Mail>(Some(timeout)) {
            Ok(mut reply) => match mail::read(&mut reply) {
                Ok((id, _)) => return End::Reply(id),
                Err(error) => {
                    fault("Damaged", &error);
                    return End::Failed;
                }
            },
            Err(RequestError::ReceiverDropped) => return End::Dropped,
            Err(RequestError::PeerGone) => return End::PeerGone,
            Err(RequestError::Expired) => return End::Expired,
            Err(RequestError::Timeout) => {}
            // Somebody reads, and makes room.
            Err(RequestError::InboxFull) => scene.stage.rest(Duration::from_millis(5)),
            Err(error) => {
                fault("Failed", &format!("wait: {error}"));
                return End::Failed;
            }
        }
        match scene.stage.mode() {
            Mode::Leave | Mode::Gone => return End::Dropped,
            Mode::Play | Mode::Deaf if pen.dice.chance(20) => return End::Dropped,
            Mode::Play | Mode::Deaf | Mode::Quiet => {}
        }
    }
}
