//! `namesake identifier NUMBER`: joins the bus with that unusual identifier;
//! `namesake label WORDS LENGTH`: joins with a label of so many words of so many bytes.
//! Prints what it receives.

use super::{Job, hear, say};
use ipmb::{Options, label};
use ipmb_tests::{DEADLINE, names};
use std::thread;

pub(super) fn run(job: &Job) {
    let options = match job.argument(0) {
        "identifier" => Options::new(
            &names::identifiers()[job.number::<usize>(1)],
            label!("namesake"),
            "token",
        )
        .with_runtime_directory(&job.directory),
        _ => job.options(names::label(job.number(1), job.number(2))),
    };
    let (_sender, receiver) = match ipmb::join::<(), String>(options, Some(DEADLINE)) {
        Ok(endpoint) => endpoint,
        Err(error) => return say(format_args!("{error:?}")),
    };
    say("joined");
    thread::spawn(move || {
        while let Ok(message) = receiver.recv(None) {
            say(message.payload);
        }
    });
    while hear().is_some() {}
}
