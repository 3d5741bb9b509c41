//! `squatter HOW`: puts up the socket of the bus, as somebody else, and serves on it:
//!
//! * `foreign UID`: is that user.
//! * `old`: is of an old version of ipmb.
//! * `garbage`: answers with anything.
//! * `silent`: never answers.
//! * `tokenless`: says to everybody that the token is wrong.
//! * `busy`: has its queue full, and accepts nobody.
//!
//! With `system` behind it, in the scope `System`, under the name of its own user.

use super::{Job, say};
use ipmb_core::{Credential, Doorkeeper, DoorkeeperStep, Version};
use ipmb_tests::bad;

pub(super) fn run(job: &Job) {
    if job.argument(0) == "foreign" {
        let uid = rustix::process::Uid::from_raw(job.number(1));
        rustix::thread::set_thread_uid(uid).expect("root may");
    }
    let mut place = bad::socket(&job.directory, bad::IDENTIFIER);
    if job.arguments.last().is_some_and(|it| it == "system") {
        let uid = rustix::process::geteuid().as_raw();
        place.set_extension(format!("{uid}.sock"));
    }
    let listener = bad::serve(&place);
    // Otherwise the umask keeps others out.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&place, open).expect("it is ours");
    if job.argument(0) == "busy" {
        rustix::net::listen(&listener, 0).expect("it listens");
        let _queue = bad::connect(&place).expect("one has room");
        say("serving");
        while super::hear().is_some() {}
        return;
    }
    say("serving");
    let credential = Credential::new(bad::IDENTIFIER, "token").with_version(Version::new(0, 8, 5));
    let mut seed = 1;
    let mut connections = Vec::new();
    loop {
        let connection = rustix::net::accept(&listener).expect("somebody comes");
        match job.argument(0) {
            "old" => {
                let Ok(hello) = bad::receive(&connection) else {
                    continue;
                };
                let answer = Doorkeeper::new(&credential, [3; 32]).handle(&hello);
                let answer = match answer {
                    Ok(DoorkeeperStep::Send(packet)) => packet,
                    Err((_, Some(refusal))) => refusal,
                    _ => continue,
                };
                // Who has heard enough has gone.
                let _ = bad::send(&connection, &answer);
            }
            "tokenless" => {
                let _ = bad::receive(&connection);
                let refusal = b"ipmb\x04\x01\x00\x00\x09\x00\x02";
                let _ = bad::send(&connection, refusal);
            }
            "garbage" => {
                let _ = bad::send(&connection, &bad::garbage(&mut seed));
            }
            _ => {}
        }
        connections.push(connection);
    }
}
