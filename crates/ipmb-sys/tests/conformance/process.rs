//! Helper processes.

use std::env;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use ipmb_sys::{BorrowedObject, Channel, OwnedObject, wait_readable};

pub const NOBODY: u32 = 65534;
/// Only ends tests that have failed already.
pub const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));
const ROLE: &str = "IPMB_SYS_TEST_ROLE";

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// A process that plays a role, and the line to it.
pub struct Helper {
    process: Child,
    line: Channel,
}

impl Helper {
    pub fn spawn(role: &str) -> Self {
        Self::start(role, |_| {})
    }

    /// As a user without privileges (who we are already, unless we are root).
    pub fn spawn_as_nobody(role: &str) -> Self {
        Self::start(role, |command| {
            if is_root() {
                command.uid(NOBODY).gid(NOBODY);
            }
        })
    }

    pub fn start(role: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let (line, theirs) = Channel::pair().unwrap();
        // Not by its path, which may lead through a directory that is closed to other users.
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["helper", "--exact", "--nocapture"])
            .env(ROLE, role)
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(std::process::Stdio::null());
        prepare(&mut command);
        let process = command.spawn().unwrap();
        Self { process, line }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn tell(&self, bytes: &[u8], objects: &[BorrowedObject<'_>]) {
        self.line.try_send(bytes, objects).unwrap();
    }

    pub fn hear(&self) -> (String, Vec<OwnedObject>) {
        hear(&self.line)
    }

    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for the end of a role that checks for itself.
    pub fn succeed(mut self) {
        assert!(self.process.wait().unwrap().success());
    }
}

/// The helper's own end of the line.
pub struct Actor {
    pub line: Channel,
}

impl Actor {
    pub fn new() -> Self {
        // SAFETY: standard input of a helper is its line, and nobody else uses it.
        let line = unsafe { OwnedFd::from_raw_fd(0) };
        Self {
            line: Channel::from_object(line).unwrap(),
        }
    }

    pub fn tell(&self, bytes: &[u8], objects: &[BorrowedObject<'_>]) {
        self.line.try_send(bytes, objects).unwrap();
    }

    pub fn hear(&self) -> (String, Vec<OwnedObject>) {
        hear(&self.line)
    }

    /// Until the test kills us, or is gone itself.
    pub fn linger(&self) {
        let _ = wait_readable(self.line.as_fd(), None);
    }
}

fn hear(line: &Channel) -> (String, Vec<OwnedObject>) {
    assert!(wait_readable(line.as_fd(), PATIENCE).unwrap(), "no answer");
    let (mut bytes, mut objects) = (Vec::new(), Vec::new());
    line.try_recv(&mut bytes, &mut objects).unwrap();
    (String::from_utf8(bytes).unwrap(), objects)
}

/// Descriptors that this process has open.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Lets this process have only so many more descriptors.
pub fn starve(more: usize) -> libc::rlimit {
    // Numbers count, not descriptors: fill the gaps below first, and keep what filled them.
    let mut before = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let next = std::fs::File::open("/dev/null").unwrap();
    let highest = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .max()
        .unwrap();
    let lowest_free = std::os::fd::AsRawFd::as_raw_fd(&next);
    drop(next);
    for _ in lowest_free as u64..=highest {
        // SAFETY: leaks a copy of standard error, which is open.
        unsafe { libc::dup(2) };
    }
    let first_free = std::os::fd::AsRawFd::as_raw_fd(&std::fs::File::open("/dev/null").unwrap());
    // SAFETY: both are pointers to live structs.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut before), 0);
        let starved = libc::rlimit {
            rlim_cur: first_free as u64 + more as u64,
            rlim_max: before.rlim_max,
        };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &starved), 0);
    }
    before
}

pub fn set_descriptor_limit(limit: &libc::rlimit) {
    // SAFETY: a pointer to a live struct.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }, 0);
}

/// A directory that user scope accepts.
pub fn temporary() -> tempfile::TempDir {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    tempfile::Builder::new()
        .permissions(private)
        .tempdir()
        .unwrap()
}
