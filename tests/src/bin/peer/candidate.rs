//! `candidate`: is there to be the controller.

use super::{Job, hear, say};
use ipmb::label;

pub(super) fn run(job: &Job) {
    let options = job.options(label!("candidate"));
    let _endpoint = ipmb::join::<(), ()>(options, None).expect("joins");
    say("joined");
    while hear().is_some() {}
}
