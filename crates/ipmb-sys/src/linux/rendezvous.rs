//! Where the endpoints of one bus find each other.
//!
//! Two names in the directory: a socket, and a "lock file" that is a FIFO. The FIFO makes one
//! object of three things:
//!
//! * byte 0, locked exclusively: the seat. Its holder has the FIFO open for writing.
//! * byte 1, locked shared: membership.
//! * the pipe itself: everybody keeps a reading end open and can poll it. When a process dies, the
//!   kernel drops the locks of a description before it releases the pipe's end, so that a hang-up
//!   (the last writer is gone) means that the seat is free, at once and for all, without timers.
//!   One byte in the pipe, which nobody reads but the next holder, means "serving".

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::geteuid;

use super::lock::{self, Lock};
use super::poller::wait_for;
use super::{BorrowedObject, Channel, ForkGuard, Obstacle, RuntimeDirectory, Scope, Seat, call};

/// One bus, seen from one endpoint that wants to join or has joined.
#[derive(Debug)]
pub struct Rendezvous {
    _guard: ForkGuard,
    watch: OwnedFd,
    place: Arc<Place>,
}

/// What is known about the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// There is one and it accepts connections. It may be gone by the time that you connect, or
    /// still about to replace one that died: then connecting says
    /// [`NoController`](ConnectError::NoController).
    Serving,
    /// There is none: take the seat, or wait for one who does.
    Vacant,
    /// Somebody has the seat and does not serve yet.
    Pending,
}

/// Why there is no connection to the controller.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody serves the bus.
    #[error("the bus has no controller: take the seat, or wait for one who does")]
    NoController,
    /// More connections wait to be accepted than the kernel queues.
    #[error("the controller is busy: connect again")]
    Busy,
    /// Somebody else serves under this name.
    #[error("the bus is served by user {uid}, who is not you: do not talk to it")]
    Foreign {
        /// Who it is.
        uid: u32,
    },
    /// The process or the system has no descriptors left.
    #[error("no descriptors are left: close some or raise RLIMIT_NOFILE")]
    NoDescriptors,
    /// Anything else.
    #[error("the controller cannot be reached: {0}")]
    Io(#[from] io::Error),
}

pub(crate) const SEAT: u16 = 0;
const MEMBERS: u16 = 1;

impl Rendezvous {
    /// Opens the bus that has this key; creates its lock file if need be.
    ///
    /// # Errors
    ///
    /// An [`Obstacle`] if something else stands where the lock file should be; descriptors running
    /// out; what a file system can say.
    pub fn open(directory: RuntimeDirectory, key: [u8; 16]) -> io::Result<Self> {
        let place = Arc::new(Place {
            directory,
            key: u128::from_be_bytes(key),
        });
        let watch = place.open_lock_file()?;
        // A reader that never had a writer does not count as hung up. One that comes and goes
        // makes it so, unless there is a real one.
        drop(place.open_lock(OFlags::RDWR)?);
        Ok(Self {
            _guard: ForkGuard::guard(watch.as_fd()),
            watch,
            place,
        })
    }

    /// To wait on: readable means [`Serving`](Watch::Serving), hang-up (readable or not) means
    /// [`Vacant`](Watch::Vacant).
    ///
    /// Both hold on, so wait for that which is not the case; and a hang-up is taken back when
    /// another endpoint tries for the seat, so ask [`watch`](Self::watch) what is true now.
    pub fn watch_object(&self) -> BorrowedObject<'_> {
        self.watch.as_fd()
    }

    /// What is true now.
    pub fn watch(&self) -> io::Result<Watch> {
        let found = wait_for(self.watch_object(), PollFlags::IN, Some(Duration::ZERO))?;
        if found.contains(PollFlags::HUP) || !lock::held_by_other(self.watch_object(), SEAT)? {
            return Ok(Watch::Vacant);
        }
        Ok(if found.contains(PollFlags::IN) {
            Watch::Serving
        } else {
            Watch::Pending
        })
    }

    /// Becomes a member, until [`resign`](Self::resign), drop or death.
    pub fn enlist(&self) -> io::Result<()> {
        // Only an exclusive lock could be in the way, which nobody takes who keeps the rules.
        match lock::try_lock(self.watch_object(), MEMBERS, Lock::Shared)? {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another process has locked the members' byte of the lock file: stop it",
            )),
        }
    }

    /// Is no member any more.
    pub fn resign(&self) {
        // Giving back a lock has no reason to fail.
        let _ = lock::unlock(self.watch_object(), MEMBERS);
    }

    /// Whether there are members other than this one, also of this process.
    pub fn members_present(&self) -> io::Result<bool> {
        lock::held_by_other(self.watch_object(), MEMBERS)
    }

    /// Takes the seat; `None` if it is taken, also by this process.
    ///
    /// # Errors
    ///
    /// `NotFound` if the lock file was removed or replaced: open the rendezvous again.
    pub fn try_seat(&self) -> io::Result<Option<Seat>> {
        let lock = self.place.open_lock(OFlags::RDWR)?;
        let (ours, theirs) = (call::fstat(&self.watch)?, call::fstat(&lock)?);
        if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the lock file of the bus was replaced while in use: join again",
            ));
        }
        if !lock::try_lock(lock.as_fd(), SEAT, Lock::Exclusive)? {
            return Ok(None);
        }
        Seat::new(lock, Arc::clone(&self.place)).map(Some)
    }

    /// Who holds the lock file's first byte, and nobody can be connected to: what to say of that.
    pub fn unserved(&self) -> Obstacle {
        Obstacle::Unserved {
            path: self.place.directory.path().join(self.place.lock_name()),
        }
    }

    /// Connects to the controller. Does not wait for it to accept.
    ///
    /// In user scope it is one of the same user. In system scope it is the first to answer of:
    /// root's, ours, that of the lowest user id; and who answers under the name of a user is that
    /// user.
    pub fn connect(&self) -> Result<Channel, ConnectError> {
        self.connect_ranked(|_| Some(0))
    }

    /// The same, and in system scope, where anybody can put up a socket, those users come first that
    /// have a lower rank, and those that have none are left out.
    pub fn connect_ranked(
        &self,
        rank: impl Fn(u32) -> Option<u8>,
    ) -> Result<Channel, ConnectError> {
        let own = geteuid().as_raw();
        if self.place.directory.scope() == Scope::User {
            return self.place.connect_to(own);
        }
        let hosts = self.place.hosts().map_err(ConnectError::Io)?;
        let ranked = hosts.into_iter().filter_map(|uid| Some((rank(uid)?, uid)));
        let mut hosts: Vec<(u8, u32)> = ranked.collect();
        hosts.sort_unstable_by_key(|(rank, uid)| (*rank, *uid != 0, *uid != own, *uid));
        let mut result = Err(ConnectError::NoController);
        for (_, uid) in hosts {
            match self.place.connect_to(uid) {
                Ok(channel) => return Ok(channel),
                Err(e @ ConnectError::NoDescriptors) => return Err(e),
                Err(e @ ConnectError::Busy) => result = Err(e),
                // Whatever else it is, it is no controller, and may be there to keep us from one.
                Err(_) => {}
            }
        }
        result
    }
}

impl Drop for Rendezvous {
    fn drop(&mut self) {
        // As for a `Seat`: a copy in a process that is being spawned shall not count.
        self.resign();
    }
}

/// The names of one bus in its directory.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: RuntimeDirectory,
    key: u128,
}

impl Place {
    /// `<key>.sock`; in system scope one per user, as nobody can replace the file of another in a
    /// sticky directory.
    pub(crate) fn socket_name(&self, uid: u32) -> String {
        match self.directory.scope() {
            Scope::User => format!("{:032x}.sock", self.key),
            Scope::System => format!("{:032x}.{uid}.sock", self.key),
        }
    }

    /// An address holds 107 bytes of path: a longer one goes by way of the descriptor.
    pub(crate) fn address(&self, name: &str) -> io::Result<SocketAddrUnix> {
        const MAX_PATH: usize = 107;
        let path = self.directory.path().join(name);
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(SocketAddrUnix::new(&path)?);
        }
        let directory = std::os::fd::AsRawFd::as_raw_fd(&self.directory.as_fd());
        Ok(SocketAddrUnix::new(format!(
            "/proc/self/fd/{directory}/{name}"
        ))?)
    }

    fn lock_name(&self) -> String {
        format!("{:032x}.lock", self.key)
    }

    fn open_lock(&self, access: OFlags) -> io::Result<OwnedFd> {
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let name = self.lock_name();
        let directory = self.directory.as_fd();
        retry_on_intr(|| call::openat(directory, name.as_str(), flags, Mode::empty())).map_err(
            |error| {
                Obstacle::explain(&self.directory, &name, error, |path| {
                    Obstacle::NotALockFile { path }
                })
            },
        )
    }

    /// The reading end, of a file that is what it should be.
    fn open_lock_file(&self) -> io::Result<OwnedFd> {
        let mode = self.directory.scope().file_mode();
        match call::mkfifoat(self.directory.as_fd(), self.lock_name(), mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let lock = self.open_lock(OFlags::RDONLY)?;
        let found = call::fstat(&lock)?;
        let ours = found.st_uid == geteuid().as_raw();
        let path = || self.directory.path().join(self.lock_name());
        if FileType::from_raw_mode(found.st_mode) != FileType::Fifo {
            return Err(Obstacle::NotALockFile { path: path() }.into());
        }
        if !ours && self.directory.scope() == Scope::User {
            let uid = found.st_uid;
            return Err(Obstacle::Foreign { path: path(), uid }.into());
        }
        // It may be a FIFO of ours from elsewhere, which others got into a directory that they can write
        // to: its mode is not to be changed.
        if found.st_nlink > 1 {
            return Err(Obstacle::Linked { path: path() }.into());
        }
        if ours && found.st_mode & 0o777 != mode.as_raw_mode() {
            // The umask of its creator.
            call::fchmod(&lock, mode)?;
        }
        Ok(lock)
    }

    /// Why something cannot be replaced by the bus's socket.
    pub(crate) fn not_a_socket(&self, name: &str, error: Errno) -> io::Error {
        Obstacle::explain(&self.directory, name, error, |path| Obstacle::NotASocket {
            path,
        })
    }

    /// Users that have a socket for this bus: not those in whose name another made one.
    fn hosts(&self) -> io::Result<Vec<u32>> {
        let prefix = format!("{:032x}.", self.key);
        let mut hosts = Vec::new();
        for entry in call::read_directory(self.directory.as_fd())? {
            let entry = entry?;
            let host = entry.file_name().to_str().ok().and_then(|name| {
                let uid = name.strip_prefix(&prefix)?.strip_suffix(".sock")?;
                uid.parse()
                    .ok()
                    .filter(|uid| self.socket_name(*uid) == name)
            });
            let Some(uid) = host else { continue };
            // A link would lead to somebody else's socket.
            let found = call::statat(
                self.directory.as_fd(),
                entry.file_name(),
                AtFlags::SYMLINK_NOFOLLOW,
            );
            if found.is_ok_and(|found| {
                found.st_uid == uid && FileType::from_raw_mode(found.st_mode) == FileType::Socket
            }) {
                hosts.push(uid);
            }
        }
        Ok(hosts)
    }

    fn connect_to(&self, uid: u32) -> Result<Channel, ConnectError> {
        let address = self.address(&self.socket_name(uid))?;
        let socket = new_socket().map_err(refusal)?;
        retry_on_intr(|| call::connect(&socket, &address)).map_err(|error| match error {
            Errno::PROTOTYPE => {
                let name = self.socket_name(uid);
                ConnectError::Io(self.not_a_socket(&name, error))
            }
            error => refusal(error),
        })?;
        let channel = Channel::from(socket);
        let peer = channel.peer_credentials()?;
        if peer.uid != uid {
            return Err(ConnectError::Foreign { uid: peer.uid });
        }
        Ok(channel)
    }
}

pub(crate) fn new_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    call::socket(AddressFamily::UNIX, SocketType::SEQPACKET, flags)
}

fn refusal(error: Errno) -> ConnectError {
    match error {
        Errno::NOENT | Errno::CONNREFUSED => ConnectError::NoController,
        Errno::AGAIN => ConnectError::Busy,
        Errno::MFILE | Errno::NFILE => ConnectError::NoDescriptors,
        e => ConnectError::Io(e.into()),
    }
}
