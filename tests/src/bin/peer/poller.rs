//! `poller LABEL ANSWER`: sends what it receives on to the label ANSWER, in an event loop.

use super::{Job, hear, say};
use ipmb::{Message, Selector, label};
use rustix::event::{PollFd, PollFlags, poll};
use std::thread;

pub(super) fn run(job: &Job) {
    let options = job.options(label!(job.argument(0)));
    let answer = job.argument(1).to_owned();
    let (sender, receiver) = ipmb::join::<String, String>(options, None).expect("joins");
    say("joined");
    thread::spawn(move || {
        loop {
            poll(&mut [PollFd::new(&receiver, PollFlags::IN)], None).expect("polls");
            while let Some(message) = receiver.try_recv().expect("receives") {
                let selector = Selector::unicast(answer.as_str());
                sender
                    .send(Message::new(selector, message.payload))
                    .expect("sends");
            }
        }
    });
    while hear().is_some() {}
}
