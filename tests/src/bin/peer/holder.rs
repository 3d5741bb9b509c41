//! `holder FILE HOW`: takes the lock of a bus that is its controller's, and does not serve. `marked`: says
//! in the lock file that it does.

use super::{Job, hear, say};
use std::{fs::OpenOptions, io::Write, os::fd::AsRawFd};

pub(super) fn run(job: &Job) {
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .open(job.argument(0));
    let mut file = options.expect("it lets us");
    // SAFETY: a struct of integers, for which zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    lock.l_len = 1;
    // SAFETY: the command takes a pointer to a `flock`, which is live and ours.
    let taken = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) };
    assert_eq!(taken, 0, "nobody holds it");
    if job.argument(1) == "marked" {
        file.write_all(&[1]).expect("a pipe has room");
    }
    say("holding");
    while hear().is_some() {}
}
