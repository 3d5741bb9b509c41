//! `keeper LABEL ANSWER`: holds memory regions as it is told, and prints what it sees.
//!
//! * `recv`: receives a message with one region, keeps it, prints its first byte and its holders,
//!   or `poor` if there are no descriptors for it;
//! * `spare N`: has N free descriptors from now on; `rich`: has enough again;
//! * `write N`: writes N into the first byte of the oldest region that it keeps;
//! * `drop`: drops the oldest region that it keeps;
//! * `return`: sends the oldest region that it keeps to ANSWER;
//! * `alloc N`: keeps a region from its registry, with N as the first byte;
//! * `turn`: counts the oldest region that it keeps as the newest;
//! * `give LABEL`: sends the oldest region that it keeps to LABEL, and keeps it.

use super::{Job, hear, say};
use ipmb::{MemoryRegistry, Message, RecvError, Selector, label};
use ipmb_tests::DEADLINE;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{collections::VecDeque, fs::File};

/// So many descriptors it has at most when it is to have few.
const MOST: u64 = 128;

pub(super) fn run(job: &Job) {
    let options = job.options(label!(job.argument(0)));
    let answer = job.argument(1).to_owned();
    let (sender, receiver) = ipmb::join::<(), ()>(options, Some(DEADLINE)).expect("joins");
    say("joined");
    let mut kept = VecDeque::new();
    let mut ballast = Vec::new();
    let mut registry = MemoryRegistry::default();
    while let Some(line) = hear() {
        match line.as_str() {
            "recv" => {
                let mut message = match receiver.recv(Some(DEADLINE)) {
                    Err(RecvError::Resources(_)) => {
                        say("poor");
                        continue;
                    }
                    message => message.expect("a message"),
                };
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
            "turn" => {
                kept.rotate_left(1);
                say("turned");
            }
            "rich" => {
                ballast.clear();
                say("rich");
            }
            line if line.starts_with("spare ") => {
                let most = Some(MOST);
                let limit = Rlimit {
                    current: most,
                    maximum: most,
                };
                setrlimit(Resource::Nofile, limit).expect("it is less than before");
                while let Ok(null) = File::open("/dev/null") {
                    ballast.push(null);
                }
                let spare: usize = line["spare ".len()..].parse().expect("a number");
                ballast.truncate(ballast.len() - spare);
                say("spare");
            }
            line if line.starts_with("alloc ") => {
                let mut region = registry.alloc(4096, None);
                let number = line["alloc ".len()..].parse().expect("a number");
                region.map(..1).expect("memory")[0] = number;
                kept.push_back(region);
                say("allocated");
            }
            line if line.starts_with("give ") => {
                let mut message = Message::new(Selector::unicast(&line["give ".len()..]), ());
                let region = kept.front().expect("one is kept");
                message.memory_regions.push(region.clone().expect("a hold"));
                sender.send(message).expect("sends");
                say("given");
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
