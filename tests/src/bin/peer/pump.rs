//! `pump LABEL TARGET`: an endpoint without affinity. Told
//!
//! * `pump COUNT`: sends so many small messages to TARGET, and says `pumped`.
//! * `drain`: receives up to the last of a run, and says how many nanoseconds there were between
//!   the first and the last.
//! * `fill`: sends to TARGET until it is full, says `full`, and waits until it is killed.

use super::{Job, hear, say};
use ipmb::{Message, Selector, SendError, label};
use ipmb_tests::DEADLINE;
use std::time::Instant;

pub(super) fn run(job: &Job) {
    let options = job
        .options(label!(job.argument(0), "member"))
        .with_controller_affinity(false)
        .with_inbox_budget(1 << 20);
    let (sender, receiver) = ipmb::join::<u64, u64>(options, None).expect("joins");
    let message = |left| Message::new(Selector::unicast(job.argument(1)), left);
    say("joined");
    while let Some(line) = hear() {
        match line.split_once(' ') {
            Some(("pump", count)) => {
                let count: u64 = count.parse().expect("a number");
                for left in (0..count).rev() {
                    sender.send(message(left)).expect("sends");
                }
                say("pumped");
            }
            None if line == "drain" => {
                let mut first = None;
                loop {
                    let received = receiver.recv(Some(DEADLINE)).expect("receives");
                    let first = *first.get_or_insert_with(Instant::now);
                    if received.payload == 0 {
                        say(first.elapsed().as_nanos());
                        break;
                    }
                }
            }
            None if line == "fill" => {
                while !matches!(
                    sender.send_timeout(message(1), std::time::Duration::from_millis(20)),
                    Err(error) if matches!(error.reason, SendError::Timeout)
                ) {}
                say("full");
                let _ = sender.send(message(1));
            }
            _ => panic!("what does {line:?} mean?"),
        }
    }
}
