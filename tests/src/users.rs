//! Peers that run as other users. Only root can start them.

use crate::{Bus, Peer, program};
use rustix::fs::{Gid, Uid, chown};
use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::{
        fd::AsRawFd,
        unix::{fs::PermissionsExt, process::CommandExt},
    },
    path::Path,
    process::Command,
};

/// Users that need not have a name. Mallory is the one whose socket is asked first.
pub const ALICE: u32 = 65534;
/// Another one.
pub const BOB: u32 = 65533;
/// The one who is not invited.
pub const MALLORY: u32 = 65531;

/// Whether this test can be run. If not it says so, past the capture of the test's output.
pub fn are_there(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: {test}: only root can start processes of several users"
        );
    }
    root
}

/// The program `peer`, to be run as a user.
///
/// By a descriptor: the path may lead through directories that the user cannot enter.
pub fn command(uid: u32, role: &str, directory: &Path, arguments: &[&str]) -> (Command, File) {
    let program = File::open(program("peer")).expect("it was built");
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.arg(role).arg(directory).args(arguments);
    command.uid(uid).gid(uid).current_dir("/");
    (command, program)
}

/// A peer that runs as a user.
pub fn peer(uid: u32, role: &str, directory: &Path, arguments: &[&str]) -> Peer {
    let (command, _program) = command(uid, role, directory, arguments);
    Peer::spawn(command)
}

/// Makes the runtime directory of a bus that all users can join.
pub fn share(bus: &Bus) {
    fs::create_dir(bus.path()).expect("it is not there yet");
    chmod(&bus.path(), 0o1777);
    let parent = bus.path().with_file_name("");
    chmod(&parent, 0o711);
}

/// Makes the runtime directory of a bus of one user.
pub fn make_over(bus: &Bus, uid: u32) {
    fs::create_dir(bus.path()).expect("it is not there yet");
    chmod(&bus.path(), 0o700);
    give(&bus.path(), uid);
    chmod(&bus.path().with_file_name(""), 0o711);
}

/// Changes the mode of a file.
pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("root may");
}

/// Changes the owner of a file, but not of what it links to.
pub fn give(path: &Path, uid: u32) {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    let (flags, here) = (rustix::fs::AtFlags::SYMLINK_NOFOLLOW, rustix::fs::CWD);
    match fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        true => rustix::fs::chownat(here, path, Some(user), Some(group), flags),
        false => chown(path, Some(user), Some(group)),
    }
    .expect("root may");
}
