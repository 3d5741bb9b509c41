//! The directory in which buses meet: found or made, and never trusted by its name alone.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::{env, io};

use rustix::fs::{Access, AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::geteuid;

use super::{ForkGuard, call};

/// Who can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Processes of one user.
    User,
    /// All processes of the machine. Anybody can be there: demand a token.
    System,
}

/// An open directory that is as safe as its [`Scope`] demands.
///
/// A shared `flock` on it keeps cleaners of temporary files away that respect such locks.
#[derive(Debug)]
pub struct RuntimeDirectory {
    _guard: ForkGuard,
    directory: OwnedFd,
    path: PathBuf,
    scope: Scope,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeDirectoryError {
    /// It belongs to somebody else.
    #[error("{path} belongs to user {uid}, not to {expected}: remove it, or set IPMB_RUNTIME_DIR to a directory of your own", path = path.display())]
    WrongOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
        /// Who should own it.
        expected: u32,
    },
    /// Others could write to it, or in user scope read it.
    #[error("{path} has mode {mode:04o}, which lets others in: chmod it to 0700 (or 1777 for the system scope)", path = path.display())]
    WrongMode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No files can be created in it.
    #[error("{path} is not writable: grant yourself write permission, or set IPMB_RUNTIME_DIR to another directory", path = path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
    },
    /// A file, or a symbolic link, which is not followed.
    #[error("{path} is not a directory (symbolic links are not followed): remove it or name another", path = path.display())]
    NotADirectory {
        /// What was named.
        path: PathBuf,
    },
    /// Anything else, for example a parent that does not exist.
    #[error("{path} cannot be opened or created ({error}): create its parent, or set IPMB_RUNTIME_DIR to another directory", path = path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
}

impl RuntimeDirectory {
    /// Opens the directory, and creates it if it is absent (but not its parents).
    ///
    /// User scope: `explicit`, else `$IPMB_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/ipmb` (if that
    /// variable names a directory of ours, which it does not after `su` and the like), else
    /// `/tmp/ipmb-<uid>`. It has to belong to the effective user and be closed to all others.
    /// System scope: `explicit`, else `/run/ipmb`. It has to belong to root or the effective user,
    /// and be sticky if others may write.
    pub fn resolve(explicit: Option<&Path>, scope: Scope) -> Result<Self, RuntimeDirectoryError> {
        let path = match (explicit, scope) {
            (Some(path), _) => path.to_owned(),
            (None, Scope::User) => default_for_user(),
            (None, Scope::System) => PathBuf::from("/run/ipmb"),
        };
        let failed = |error: Errno| RuntimeDirectoryError::Io {
            path: path.clone(),
            error: error.into(),
        };
        let absolute = std::path::absolute(&path).map_err(|error| RuntimeDirectoryError::Io {
            path: path.clone(),
            error,
        })?;
        let created = create(&absolute, scope).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match retry_on_intr(|| call::openat(CWD, &absolute, flags, Mode::empty())) {
            Ok(directory) => directory,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(RuntimeDirectoryError::NotADirectory { path: absolute });
            }
            Err(e) => return Err(failed(e)),
        };
        let found = call::fstat(&directory).map_err(failed)?;
        check(&found, &absolute, scope)?;
        if created {
            // The umask has taken bits away.
            call::fchmod(&directory, scope.directory_mode()).map_err(failed)?;
        }
        match call::accessat(
            &directory,
            ".",
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::EACCESS,
        ) {
            Ok(()) => {}
            Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) => {
                return Err(RuntimeDirectoryError::NotWritable { path: absolute });
            }
            Err(e) => return Err(failed(e)),
        }
        // A courtesy to tmpfiles.d(5); without it the directory is as good.
        let _ = call::flock(&directory, FlockOperation::NonBlockingLockShared);
        Ok(Self {
            _guard: ForkGuard::guard(directory.as_fd()),
            directory,
            path: absolute,
            scope,
        })
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who can meet in it.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    pub(crate) fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Gives a file in it the mode of its scope, whatever the umask.
    pub(crate) fn open_up(&self, name: &str) -> io::Result<()> {
        Ok(call::chmodat(
            &self.directory,
            name,
            self.scope.file_mode(),
            AtFlags::empty(),
        )?)
    }
}

impl Scope {
    fn directory_mode(self) -> Mode {
        Mode::from_raw_mode(match self {
            Self::User => 0o700,
            Self::System => 0o1777,
        })
    }

    pub(crate) fn file_mode(self) -> Mode {
        Mode::from_raw_mode(match self {
            Self::User => 0o600,
            Self::System => 0o666,
        })
    }
}

fn default_for_user() -> PathBuf {
    let uid = geteuid().as_raw();
    if let Some(path) = env::var_os("IPMB_RUNTIME_DIR").filter(|path| !path.is_empty()) {
        return path.into();
    }
    if let Some(base) = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)
        && base.is_absolute()
        && call::stat(&base).is_ok_and(|found| found.st_uid == uid)
    {
        return base.join("ipmb");
    }
    PathBuf::from(format!("/tmp/ipmb-{uid}"))
}

/// Whether it was not there before.
fn create(path: &Path, scope: Scope) -> Result<bool, Errno> {
    match call::mkdirat(CWD, path, scope.directory_mode()) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // Whether it exists is what `open` will say.
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) if call::stat(path).is_ok() => Ok(false),
        Err(e) => Err(e),
    }
}

fn check(found: &Stat, path: &Path, scope: Scope) -> Result<(), RuntimeDirectoryError> {
    let path = || path.to_owned();
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Err(RuntimeDirectoryError::NotADirectory { path: path() });
    }
    let (uid, expected) = (found.st_uid, geteuid().as_raw());
    if uid != expected && !(scope == Scope::System && uid == 0) {
        return Err(RuntimeDirectoryError::WrongOwner {
            path: path(),
            uid,
            expected,
        });
    }
    let mode = found.st_mode & 0o7777;
    let open_to_others = match scope {
        Scope::User => mode & 0o077 != 0,
        Scope::System => mode & 0o022 != 0 && mode & 0o1000 == 0,
    };
    if open_to_others {
        return Err(RuntimeDirectoryError::WrongMode { path: path(), mode });
    }
    Ok(())
}
