//! `stranger HOW COUNT`: a process that does not keep to the protocol. It says `started`, and
//! bothers whoever serves the bus until it is killed, with COUNT connections at a time:
//!
//! * `garbage`: sends packets of random lengths and bytes.
//! * `half`: says hello as it should, and then nothing more.
//! * `silent`: connects, and says nothing.

use super::{Job, say};
use ipmb_core::{Credential, Greeter};
use ipmb_tests::bad;
use std::{os::fd::OwnedFd, thread};

pub(super) fn run(job: &Job) {
    let how = job.argument(0);
    let socket = bad::socket(&job.directory, bad::IDENTIFIER);
    let credential = Credential::new(bad::IDENTIFIER, "wrong");
    let count: usize = job.number(1);
    let mut connections: Vec<OwnedFd> = Vec::new();
    let mut seed: u64 = 1;
    for round in 0_u64.. {
        let connection = bad::connect(&socket).expect("it is served");
        match how {
            "garbage" => {
                for _ in 0..4 {
                    let garbage = bad::garbage(&mut seed);
                    // Whoever is cut off has nobody to send to.
                    let _ = bad::send(&connection, &garbage);
                }
            }
            "half" => {
                let (_, hello) = Greeter::start(&credential, [7; 32]);
                let _ = bad::send(&connection, &hello);
            }
            "silent" => {}
            how => panic!("how is {how}?"),
        }
        connections.push(connection);
        if connections.len() > count {
            connections.remove(0);
        }
        if round == count as u64 {
            say("started");
        }
        if round > count as u64 {
            thread::sleep(bad::PAUSE);
        }
    }
}
