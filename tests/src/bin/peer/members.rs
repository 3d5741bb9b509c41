//! `members COUNT NAME`: many endpoints with the labels `member` and `NAME`. Each has to get the numbers that are
//! sent to all of them, from 0 on, each exactly once. It is told:
//!
//! * `join`: all join, one after the other; `joined`;
//! * `expect COUNT`: each receives so many, which have to be the next; `received`;
//! * `nothing`: none has anything more; `nothing`;
//! * `look`: each sends a message to nobody, and so has to know who is there; `looked`;
//! * `leave`: drops all; `left`.

use super::{Job, hear, raise_descriptor_limit, say};
use ipmb::{BytesMessage, EndpointReceiver, EndpointSender, Message, Selector, label};
use ipmb_tests::{DEADLINE, scale, traffic};
use std::time::Duration;

struct Member {
    sender: EndpointSender<BytesMessage>,
    receiver: EndpointReceiver<BytesMessage>,
    next: u64,
}

pub(super) fn run(job: &Job) {
    raise_descriptor_limit();
    let mut members = Vec::with_capacity(job.number(0));
    say("ready");
    while let Some(line) = hear() {
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("join", _) => {
                for _ in 0..job.number(0) {
                    members.push(Member::join(job));
                }
                say("joined");
            }
            ("expect", count) => {
                let count: u64 = count.parse().expect("a number");
                members.iter_mut().for_each(|member| member.expect(count));
                say("received");
            }
            ("nothing", _) => {
                members.iter().for_each(Member::expect_nothing);
                say("nothing");
            }
            ("look", _) => {
                members.iter().for_each(Member::look);
                say("looked");
            }
            ("leave", _) => {
                members.clear();
                say("left");
            }
            _ => panic!("what is {line:?}?"),
        }
    }
}

impl Member {
    fn join(job: &Job) -> Self {
        let options = job.options(label!(scale::MEMBER, job.argument(1)));
        let (sender, receiver) = ipmb::join(options, Some(DEADLINE)).expect("joins");
        Self {
            sender,
            receiver,
            next: 0,
        }
    }

    fn expect(&mut self, count: u64) {
        for _ in 0..count {
            let message = self.receiver.recv(Some(DEADLINE)).expect("receives");
            assert_eq!(scale::number_of(&message.payload), self.next);
            self.next += 1;
        }
    }

    fn look(&self) {
        let mut selector = Selector::unicast("nobody");
        selector.ttl = Duration::ZERO;
        let message = Message::new(selector, traffic::large(1));
        self.sender.send(message).expect("sends");
    }

    fn expect_nothing(&self) {
        let more = self.receiver.try_recv().expect("receives");
        assert!(more.is_none(), "a message came twice: {more:?}");
    }
}
