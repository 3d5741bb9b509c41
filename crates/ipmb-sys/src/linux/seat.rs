//! The controller's seat, and the socket that only its holder may put up.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{Shutdown, SocketFlags};
use rustix::process::geteuid;

use super::lock;
use super::rendezvous::{Place, SEAT, new_socket};
use super::{Channel, ForkGuard, call};

/// The right to be controller, until it is dropped or its process dies.
///
/// Withdraw the [`Listener`] before you drop it.
#[derive(Debug)]
pub struct Seat {
    _guard: ForkGuard,
    lock: OwnedFd,
    place: Arc<Place>,
}

/// Accepts connections to the bus. Dropped, it leaves its socket file behind, as a crash would: the
/// next holder of the seat replaces it.
#[derive(Debug)]
pub struct Listener {
    _guard: ForkGuard,
    socket: OwnedFd,
    place: Arc<Place>,
    file: (u64, u64),
}

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

impl Seat {
    pub(crate) fn new(lock: OwnedFd, place: Arc<Place>) -> io::Result<Self> {
        let seat = Self {
            _guard: ForkGuard::guard(lock.as_fd()),
            lock,
            place,
        };
        seat.silence()?;
        Ok(seat)
    }

    /// Puts the socket up, in place of one that a predecessor left, and then tells all who watch.
    ///
    /// # Errors
    ///
    /// An [`Obstacle`](super::Obstacle) if something stands in its place that cannot be replaced.
    pub fn serve(&self) -> io::Result<Listener> {
        let name = self.place.socket_name(geteuid().as_raw());
        // Under another name until it listens: who finds the socket can connect. The name is
        // always the same, so that the next one cleans up after a crash in the middle.
        let draft = format!("{name}.new");
        self.place.unlink(&draft)?;
        let socket = new_socket()?;
        call::bind(&socket, &self.place.address(&draft)?)
            .map_err(|error| self.place.not_a_socket(&draft, error))?;
        self.place.directory.open_up(&draft)?;
        call::listen(&socket, BACKLOG)?;
        let file = self.place.identity(&draft)?;
        let directory = self.place.directory.as_fd();
        call::renameat(directory, draft.as_str(), directory, name.as_str())
            .map_err(|error| self.place.not_a_socket(&name, error))?;
        let listener = Listener {
            _guard: ForkGuard::guard(socket.as_fd()),
            socket,
            place: Arc::clone(&self.place),
            file,
        };
        self.silence()?;
        match retry_on_intr(|| call::write(&self.lock, &[1])) {
            // Full: somebody else wrote, and it is readable all the same.
            Ok(_) | Err(Errno::AGAIN) => Ok(listener),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes back the word of whoever sat here before.
    fn silence(&self) -> io::Result<()> {
        // The pipe holds 64 KiB unless somebody changed it; who writes faster than we read does
        // not keep us here.
        let mut bytes = [0; 4096];
        for _ in 0..256 {
            match retry_on_intr(|| call::read(&self.lock, &mut bytes)) {
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

impl Listener {
    /// The next connection; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// Descriptors running out: the connection waits, and the listener stays readable.
    pub fn accept(&self) -> io::Result<Option<Channel>> {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match call::accept(&self.socket, flags) {
                Ok(socket) => return Ok(Some(socket.into())),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Stops listening and removes the socket file, if it is still this one's. Call it while the
    /// [`Seat`] is held, or it may be the successor's.
    pub fn withdraw(self) {
        let name = self.place.socket_name(geteuid().as_raw());
        if self
            .place
            .identity(&name)
            .is_ok_and(|file| file == self.file)
        {
            // If it stays, it is replaced by the next one.
            let _ = self.place.unlink(&name);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Closing alone would not do while a process that another thread is spawning still has a
        // copy, for the moment until its `exec`.
        let _ = lock::unlock(self.lock.as_fd(), SEAT);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // As above: nobody shall connect to what nobody accepts from.
        let _ = call::shutdown(&self.socket, Shutdown::Both);
    }
}

impl AsFd for Listener {
    /// Readable when there is a connection to accept.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Place {
    fn identity(&self, name: &str) -> io::Result<(u64, u64)> {
        let found = call::statat(self.directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((found.st_dev, found.st_ino))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        match call::unlinkat(self.directory.as_fd(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(self.not_a_socket(name, e)),
        }
    }
}
