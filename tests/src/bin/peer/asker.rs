//! `asker [busy]`: told a text, it asks who has the label `clerk` that, and says what it is replied. If
//! it is busy, another thread sends to nobody all the time. It is never the controller.

use super::{Job, hear, say};
use ipmb::{EndpointSender, Message, Selector, label};
use std::thread;

pub(super) fn run(job: &Job) {
    let options = job.options(label!("asker")).with_controller_affinity(false);
    let (sender, _receiver) = ipmb::join::<String, ()>(options, None).expect("joins");
    if job.arguments.first().is_some_and(|it| it == "busy") {
        let sender = sender.clone();
        thread::spawn(move || be_busy(&sender));
    }
    say("joined");
    while let Some(line) = hear() {
        let question = Message::new(Selector::unicast("clerk"), line);
        let mut pending = sender.request(question).expect("asks");
        say(pending.wait::<String>(None).expect("a reply").payload);
    }
    std::process::exit(0)
}

/// Looks at the directory for each message.
fn be_busy(sender: &EndpointSender<String>) {
    while sender
        .send(Message::new(Selector::unicast("nobody"), String::new()))
        .is_ok()
    {
        thread::yield_now();
    }
}
