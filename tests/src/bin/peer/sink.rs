//! `sink NUMBER SOURCES`: receives when it is told to, and checks that nothing is lost, nothing
//! comes twice and all is in order. Says `done MESSAGES` when every source has said that it is;
//! then waits to be told to look for more, and says `probes PROBES`.

use super::{Job, hear, say};
use ipmb::{BytesMessage, label};
use ipmb_tests::{DEADLINE, traffic::Seen};

/// Small, so that lanes are full soon.
const BUDGET: u64 = 1 << 20;

pub(super) fn run(job: &Job) {
    let options = job
        .options(label!("sink", format!("sink{}", job.argument(0))))
        .with_controller_affinity(false)
        .with_inbox_budget(BUDGET);
    let (_sender, receiver) = ipmb::join::<(), BytesMessage>(options, None).expect("joins");
    say("joined");
    hear();
    let mut seen = Seen::default();
    while seen.done < job.number(1) {
        match receiver.recv(Some(DEADLINE)) {
            Ok(message) => check(&mut seen, &message.payload),
            Err(error) => broken(error.to_string()),
        }
    }
    say(format_args!("done {}", seen.total));
    hear();
    while let Some(message) = receiver.try_recv().expect("receives") {
        check(&mut seen, &message.payload);
    }
    say(format_args!("probes {}", seen.probes));
    while hear().is_some() {}
}

fn check(seen: &mut Seen, message: &BytesMessage) {
    if let Err(error) = seen.check(message) {
        broken(error);
    }
}

fn broken(why: String) {
    say(format_args!("broken: {why}"));
    std::process::exit(1);
}
