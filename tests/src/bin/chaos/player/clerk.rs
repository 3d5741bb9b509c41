//! A thread that replies to requests, one at a time and each once.

use super::{CLERK, Mode, Scene, outcome, speaker::Pen};
use ipmb::ReplyTo;
use ipmb_tests::chaos::record::{Event, Id, Outcome, To};
use std::{sync::mpsc::Receiver, time::Duration};

pub(super) fn run(scene: &Scene, questions: &Receiver<(Id, ReplyTo)>) {
    let mut pen = Pen::new(scene, CLERK);
    while !matches!(scene.stage.mode(), Mode::Leave | Mode::Gone) {
        let Ok((request, reply_to)) = questions.recv_timeout(Duration::from_millis(20)) else {
            if scene.stage.mode() == Mode::Quiet {
                pen.tidy_up();
            }
            continue;
        };
        let Some((id, message)) = pen.write(To::Asker(request), Some(reply_to)) else {
            continue;
        };
        let outcome = match scene.sender.send(message) {
            Ok(()) => Outcome::Sent,
            Err(error) => outcome(&error, 0),
        };
        scene.write(Event::Returned(id, outcome));
    }
}
