//! The thread that receives, and now and then does not for a while.

use super::{Mode, Scene, fault};
use ipmb::{EndpointReceiver, Message, RecvError, ReplyTo};
use ipmb_tests::chaos::{
    dice::Dice,
    mail::{self, Mail},
    record::{Event, Id},
};
use std::{sync::mpsc::Sender, time::Duration};

/// Not the number of a thread that sends.
const LISTENER: u8 = 100;
/// So many messages are held, with all that is attached to them.
const HELD: usize = 8;

pub(super) fn run(
    scene: &Scene,
    receiver: &EndpointReceiver<Mail>,
    questions: &Sender<(Id, ReplyTo)>,
) {
    let mut dice = scene.dice(LISTENER);
    let mut held: Vec<(Id, Message<Mail>)> = Vec::new();
    loop {
        let mode = scene.stage.mode();
        match mode {
            Mode::Gone | Mode::Deaf => return,
            Mode::Play if dice.chance(2) => scene.stage.rest(pause(&mut dice)),
            Mode::Play => {}
            Mode::Quiet | Mode::Leave => release(&mut held, 0),
        }
        match receiver.recv(Some(Duration::from_millis(20))) {
            Ok(mut message) => match mail::read(&mut message) {
                Ok((id, contents)) => {
                    scene.write(Event::Received(scene.session, id, contents));
                    if let Some(reply_to) = message.reply_to() {
                        // The clerk may have ended.
                        let _ = questions.send((id, reply_to));
                    }
                    if dice.chance(30) {
                        held.push((id, message));
                        release(&mut held, HELD);
                    }
                }
                Err(error) => fault("Damaged", &error),
            },
            Err(RecvError::Timeout) => release(&mut held, 0),
            Err(error) => fault("Failed", &format!("recv: {error}")),
        }
    }
}

/// Most pauses are short; some are long enough for lanes to fill.
fn pause(dice: &mut Dice) -> Duration {
    match dice.chance(100) {
        true => dice.micros(100_000..=600_000),
        false => dice.micros(0..=20_000),
    }
}

/// Drops all but so many, the oldest first. Nobody may have changed them meanwhile.
fn release(held: &mut Vec<(Id, Message<Mail>)>, but: usize) {
    for (id, mut message) in held.drain(..held.len().saturating_sub(but)) {
        if !mail::is_intact(id, &mut message) {
            fault("Damaged", &format!("{id:?} has changed while it was held"));
        }
    }
}
