//! `keeper LABEL ANSWER`: holds memory regions as it is told, and prints what it sees.
//!
//! * `recv`: receives a message with one region, keeps it, prints its first byte and its holders;
//! * `write N`: writes N into the first byte of the oldest region that it keeps;
//! * `drop`: drops the oldest region that it keeps;
//! * `return`: sends the oldest region that it keeps to ANSWER.

use super::{Job, hear, say};
use ipmb::{Message, Selector, label};
use ipmb_tests::DEADLINE;
use std::collections::VecDeque;

pub(super) fn run(job: &Job) {
    let options = job.options(label!(job.argument(0)));
    let answer = job.argument(1).to_owned();
    let (sender, receiver) = ipmb::join::<(), ()>(options, Some(DEADLINE)).expect("joins");
    say("joined");
    let mut kept = VecDeque::new();
    while let Some(line) = hear() {
        match line.as_str() {
            "recv" => {
                let mut message = receiver.recv(Some(DEADLINE)).expect("a message");
                let mut region = message.memory_regions.remove(0);
                let first = region.map(..1).expect("memory")[0];
                say(format_args!("{first} {}", region.ref_count()));
                kept.push_back(region);
            }
            "drop" => {
                kept.pop_front().expect("one is kept");
                say("dropped");
            }
            "return" => {
                let mut message = Message::new(Selector::unicast(answer.as_str()), ());
                let region = kept.pop_front().expect("one is kept");
                message.memory_regions.push(region);
                sender.send(message).expect("sends");
                say("returned");
            }
            line => {
                let number = line.strip_prefix("write ").expect("a command");
                let region = kept.front_mut().expect("one is kept");
                region.map(..1).expect("memory")[0] = number.parse().expect("a number");
                say("written");
            }
        }
    }
}
