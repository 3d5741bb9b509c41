//! `relay REAL FAKE`: listens on a socket of its own, connects to the real one, and passes on what both
//! say. Says `serving`, and then the bytes of each packet, in digits.

use super::{Job, say};
use ipmb_tests::bad;
use std::{os::fd::OwnedFd, path::Path, thread};

pub(super) fn run(job: &Job) {
    let (real, fake) = (Path::new(job.argument(0)), Path::new(job.argument(1)));
    let listener = bad::serve(fake);
    // For all to connect to, whatever the umask is.
    let _ = std::fs::set_permissions(fake, std::os::unix::fs::PermissionsExt::from_mode(0o666));
    say("serving");
    loop {
        let caller = rustix::net::accept(&listener).expect("somebody comes");
        let controller = bad::connect(real).expect("it is served");
        let back = (clone(&controller), clone(&caller));
        thread::spawn(move || pass(&back.0, &back.1));
        pass(&caller, &controller);
    }
}

fn pass(from: &OwnedFd, to: &OwnedFd) {
    while let Ok(packet) = bad::receive(from)
        && !packet.is_empty()
        && bad::send(to, &packet).is_ok()
    {
        let digits: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
        say(digits);
    }
    // Who is cut off by one side is cut off by the other.
    for end in [from, to] {
        let _ = rustix::net::shutdown(end, rustix::net::Shutdown::Both);
    }
}

fn clone(socket: &OwnedFd) -> OwnedFd {
    socket.try_clone().expect("a free descriptor")
}
