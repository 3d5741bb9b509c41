//! Mapping memory that a peer sent, who may be hostile.

use std::io;
use std::ops::RangeInclusive;

use rustix::fs::SealFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags};

use super::memory::{FIXED_SIZE, page_size};
use super::{BorrowedObject, Mapping, call};

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading; a write through the mapping ends the process.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

/// Why an object was not mapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A file, a socket, huge pages, or anything else whose pages can go away.
    #[error("the object is not shared memory: disconnect the peer that sent it")]
    NotMemory,
    /// Its size could still change, and reading past the new end would kill us.
    #[error(
        "the shared memory is not sealed against a change of its size: create it with `create_memory`"
    )]
    Unsealed,
    /// The size is not one that the caller accepts.
    #[error("the shared memory has {found} bytes, which is not a size expected here")]
    Size {
        /// Bytes that it has.
        found: u64,
    },
    /// The kernel refused, for example for want of memory, or writing to memory sealed against it.
    #[error("the shared memory could not be mapped: {0}")]
    Io(#[from] io::Error),
}

impl From<MapError> for io::Error {
    /// What the system said stays what it is; all else is `InvalidData`.
    fn from(error: MapError) -> Self {
        match error {
            MapError::Io(error) => error,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// Maps the whole object, if it is memory of a size in `len` that cannot change any more.
///
/// Whatever the peer does, every byte of the mapping stays readable. What it reads can change at
/// any time, unless [`is_immutable`].
pub fn map_memory(
    object: BorrowedObject<'_>,
    access: Access,
    len: RangeInclusive<usize>,
) -> Result<Mapping, MapError> {
    // The order matters: the size counts only once the seals are known to keep it.
    let seals = seals(object)?;
    if !seals.contains(FIXED_SIZE) {
        return Err(MapError::Unsealed);
    }
    let stat = call::fstat(object).map_err(io::Error::from)?;
    if usize::try_from(stat.st_blksize) != Ok(page_size()) {
        must_be_on_tmpfs(object)?;
    }
    let found = u64::try_from(stat.st_size).unwrap_or(0);
    let size = usize::try_from(found)
        .ok()
        .filter(|size| *size > 0 && len.contains(size))
        .ok_or(MapError::Size { found })?;
    let (protection, flags) = match access {
        // Before 6.7, memory sealed against writing cannot be mapped shared, not even for reading.
        // As nothing changes in it, a private mapping shows the same.
        Access::ReadOnly if seals.contains(SealFlags::WRITE) => {
            (ProtFlags::READ, MapFlags::PRIVATE)
        }
        Access::ReadOnly => (ProtFlags::READ, MapFlags::SHARED),
        Access::ReadWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
    };
    Mapping::new(object, size, protection, flags).map_err(|e| MapError::Io(e.into()))
}

/// Whether neither size nor contents of the object can ever change: what
/// [`publish_bytes`](super::publish_bytes) makes.
///
/// # Errors
///
/// [`MapError::NotMemory`], and what the system says if it cannot be told now.
pub fn is_immutable(object: BorrowedObject<'_>) -> Result<bool, MapError> {
    if !seals(object)?.contains(FIXED_SIZE | SealFlags::WRITE) {
        return Ok(false);
    }
    must_be_on_tmpfs(object).map(|()| true)
}

/// Only memory on tmpfs has seals, and huge pages.
fn seals(object: BorrowedObject<'_>) -> Result<SealFlags, MapError> {
    match call::get_seals(object) {
        Ok(seals) => Ok(seals),
        Err(Errno::INVAL | Errno::BADF) => Err(MapError::NotMemory),
        Err(e) => Err(MapError::Io(e.into())),
    }
}

/// Tells memory from huge pages, which can lose pages: punching a hole into them takes away what was
/// reserved for us. There is no need to ask if the object's block size is that of a page: huge pages
/// have their own. (Tmpfs may have that as well.)
fn must_be_on_tmpfs(object: BorrowedObject<'_>) -> Result<(), MapError> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let system = retry_on_intr(|| call::fstatfs(object)).map_err(io::Error::from)?;
    match system.f_type as u64 == TMPFS_MAGIC {
        true => Ok(()),
        false => Err(MapError::NotMemory),
    }
}
