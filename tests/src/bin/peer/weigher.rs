//! `weigher LABEL LIMIT`: prints size and checksum of what it receives.

use super::{Job, hear, say};
use ipmb::{BytesMessage, label};
use ipmb_tests::checksum;
use std::thread;

pub(super) fn run(job: &Job) {
    let options = job
        .options(label!("weigher", job.argument(0)))
        .with_message_limit(job.number(1));
    let (_sender, receiver) = ipmb::join::<(), BytesMessage>(options, None).expect("joins");
    say("joined");
    thread::spawn(move || {
        while let Ok(message) = receiver.recv(None) {
            let data = message.payload.data;
            say(format_args!("{} {:x}", data.len(), checksum(&data)));
        }
    });
    while hear().is_some() {}
}
