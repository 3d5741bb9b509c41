//! `joiner LABEL PIPE ROUNDS THREADS AFFINITY`: in each thread and round joins anew as
//! `LABEL-THREAD-ROUND`, says so on the pipe, and has to receive its own number.

use super::{Job, hear, say};
use ipmb::label;
use ipmb_tests::DEADLINE;
use std::{fs::File, io::Write, thread};

pub(super) fn run(job: &Job) {
    let pipe = File::options().write(true).open(job.argument(1));
    let pipe = &pipe.expect("the test made the pipe");
    let rounds: u32 = job.number(2);
    thread::scope(|scope| {
        for thread in 0..job.number(3) {
            scope.spawn(move || {
                for round in 0..rounds {
                    join_once(job, pipe, thread, round);
                }
            });
        }
    });
    say("done");
    while hear().is_some() {}
}

fn join_once(job: &Job, mut pipe: &File, thread: u32, round: u32) {
    let name = format!("{}-{thread}-{round}", job.argument(0));
    let options = job
        .options(label!(&name))
        .with_controller_affinity(job.argument(4) == "true");
    let (_sender, receiver) = ipmb::join::<(), u64>(options, Some(DEADLINE)).expect("joins");
    let number = (u64::from(thread) << 32) | u64::from(round);
    pipe.write_all(&number.to_le_bytes())
        .expect("the test reads");
    match receiver.recv(Some(DEADLINE)) {
        Ok(message) if message.payload == number => {}
        other => {
            say(format_args!("{name} got {other:?}"));
            std::process::exit(1);
        }
    }
}
