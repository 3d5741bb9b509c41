//! `asker`: told a text, it asks who has the label `clerk` that, and says what it is replied. It is
//! never the controller.

use super::{Job, hear, say};
use ipmb::{Message, Selector, label};

pub(super) fn run(job: &Job) {
    let options = job.options(label!("asker")).with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<String, ()>(options, None).expect("joins");
    say("joined");
    while let Some(line) = hear() {
        let question = Message::new(Selector::unicast("clerk"), line);
        let mut pending = sender.request(question).expect("asks");
        say(pending.wait::<String>(None).expect("a reply").payload);
    }
}
