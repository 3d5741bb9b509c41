//! `echo LABEL ANSWER`: prints what it receives, and sends it on to the label ANSWER.

use super::{Job, hear, say};
use ipmb::{Message, RecvError, Selector, label};
use std::thread;

pub(super) fn run(job: &Job) {
    let options = job.options(label!(job.argument(0)));
    let answer = job.argument(1).to_owned();
    let (sender, receiver) = ipmb::join::<String, String>(options, None).expect("joins");
    say("joined");
    thread::spawn(move || {
        loop {
            let message = match receiver.recv(None) {
                Ok(message) => message,
                Err(RecvError::Decode(_)) => continue,
                Err(_) => return,
            };
            say(format_args!("got {}", message.payload));
            let selector = Selector::unicast(answer.as_str());
            sender
                .send(Message::new(selector, message.payload))
                .expect("sends");
        }
    });
    while hear().is_some() {}
}
