//! `squatter HOW`: puts up the socket of the bus, as somebody else, and serves on it:
//!
//! * `foreign UID`: is that user.
//! * `old`: is of an old version of ipmb.
//! * `garbage`: answers with anything.
//! * `silent`: never answers.

use super::{Job, say};
use ipmb_core::{Credential, Doorkeeper, DoorkeeperStep, Version};
use ipmb_tests::bad;

pub(super) fn run(job: &Job) {
    if job.argument(0) == "foreign" {
        let uid = rustix::process::Uid::from_raw(job.number(1));
        rustix::thread::set_thread_uid(uid).expect("root may");
    }
    let listener = bad::serve(&bad::socket(&job.directory, bad::IDENTIFIER));
    say("serving");
    let credential = Credential::new(bad::IDENTIFIER, "token").with_version(Version::new(0, 8, 5));
    let mut seed = 1;
    let mut connections = Vec::new();
    loop {
        let connection = rustix::net::accept(&listener).expect("somebody comes");
        match job.argument(0) {
            "old" => {
                let hello = bad::receive(&connection).expect("it says hello");
                let answer = Doorkeeper::new(&credential, [3; 32]).handle(&hello);
                let answer = match answer {
                    Ok(DoorkeeperStep::Send(packet)) => packet,
                    Err((_, Some(refusal))) => refusal,
                    other => panic!("no answer but {other:?}"),
                };
                bad::send(&connection, &answer).expect("it listens");
            }
            "garbage" => {
                let _ = bad::send(&connection, &bad::garbage(&mut seed));
            }
            _ => {}
        }
        connections.push(connection);
    }
}
