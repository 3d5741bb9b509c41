//! `secretive SEED LABEL`: joins with the token of that number, which it makes itself, so that it has no
//! copy of it but the one that it joins with. Says what came of it, and `left` when it was told to.

use super::{Job, hear, say};
use ipmb::{Label, Options};
use ipmb_tests::{DEADLINE, bad, memory::Secret};

pub(super) fn run(job: &Job) {
    let token = Secret::token(job.number(0));
    let label = Label::from([job.argument(1)]);
    let options =
        Options::new(bad::IDENTIFIER, label, token).with_runtime_directory(&job.directory);
    match ipmb::join::<(), ()>(options, Some(DEADLINE)) {
        Ok(endpoint) => {
            say("joined");
            hear();
            drop(endpoint);
            say("left");
        }
        Err(error) => say(format_args!("{error:?}")),
    }
    while hear().is_some() {}
}
