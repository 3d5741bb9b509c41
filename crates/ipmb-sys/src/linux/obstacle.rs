//! What stands in the runtime directory where the files of a bus have to be.

use std::io;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{RuntimeDirectory, call};

/// Something is in the way of a bus in its runtime directory. It is left as it is, and never followed.
///
/// What fails because of it says so in the [`io::Error`] that it returns: [`Obstacle::of`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// Not a FIFO, and so not the lock file of a bus.
    #[error("{path} is not the lock file of a bus: remove it", path = path.display())]
    NotALockFile {
        /// Where it is.
        path: PathBuf,
    },
    /// A lock file that has several names: one of them may be another program's.
    #[error("{path} has another name elsewhere (a hard link), so it is not the lock file of a bus alone: remove it", path = path.display())]
    Linked {
        /// Where it is.
        path: PathBuf,
    },
    /// A file of somebody else.
    #[error("{path} belongs to user {uid}: have it removed (only that user and the directory's owner can), or use another runtime directory", path = path.display())]
    Foreign {
        /// Where it is.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Neither a socket nor something that a socket can replace.
    #[error("{path} is in the place of the bus's socket: remove it", path = path.display())]
    NotASocket {
        /// Where it is.
        path: PathBuf,
    },
    /// Somebody holds the seat, and nobody can be connected to.
    #[error("a process has locked {path} and does not serve the bus: `fuser {path}` finds it; stop it", path = path.display())]
    Unserved {
        /// Where it is.
        path: PathBuf,
    },
}

impl Obstacle {
    /// What an error of this crate says is in the way, if that is what it says.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Why a file of the bus cannot be used, given what the kernel said to that.
    pub(crate) fn explain(
        directory: &RuntimeDirectory,
        name: &str,
        error: Errno,
        otherwise: fn(PathBuf) -> Self,
    ) -> io::Error {
        let foreign = matches!(error, Errno::ACCESS | Errno::PERM);
        let misfit = matches!(
            error,
            Errno::LOOP
                | Errno::NXIO
                | Errno::ISDIR
                | Errno::NOTDIR
                | Errno::NOTEMPTY
                | Errno::EXIST
                | Errno::ADDRINUSE
                | Errno::PROTOTYPE
        );
        let path = directory.path().join(name);
        match call::statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if (foreign || misfit) && found.st_uid != geteuid().as_raw() => {
                let uid = found.st_uid;
                Self::Foreign { path, uid }.into()
            }
            Ok(_) if misfit => otherwise(path).into(),
            // Directories are not unlinked.
            Ok(found) if foreign && is_directory(&found) => otherwise(path).into(),
            _ => error.into(),
        }
    }
}

impl From<Obstacle> for io::Error {
    fn from(obstacle: Obstacle) -> Self {
        Self::new(io::ErrorKind::InvalidData, obstacle)
    }
}

fn is_directory(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Directory
}
