//! Shared memory that its creator cannot take away again. (memfd_create(2), `F_ADD_SEALS`)

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::OnceLock;

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags};

use super::{OwnedObject, call};

/// A block of memory, mapped until it is dropped.
///
/// Other processes may write to it at any time: do not make references into it, and copy before
/// you validate.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    len: usize,
}

// SAFETY: an address range without a thread of its own; whoever reads or writes through the
// pointer answers for that.
unsafe impl Send for Mapping {}
// SAFETY: as above; the methods only hand out address and length.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// The first byte, aligned to [`page_size`]. Writing through it is allowed if the mapping was
    /// made for writing; else it ends the process.
    pub fn as_ptr(&self) -> *mut u8 {
        self.address.as_ptr()
    }

    /// Bytes that can be accessed, as the creator asked for them.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Maps the first `len` bytes, which the caller knows to be there for good.
    pub(crate) fn new(
        object: BorrowedFd<'_>,
        len: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> Result<Self, Errno> {
        // SAFETY: without a wish for an address, a new mapping disturbs no other.
        let address = unsafe { call::mmap(len, protection, flags, object)? };
        let address = NonNull::new(address.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { address, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, with this length, and nothing borrows from it. It cannot fail
        // with arguments that `mmap` gave.
        let _ = unsafe { call::munmap(self.address.as_ptr().cast(), self.len) };
    }
}

/// Who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// All who get the object: lanes, ready sets, memory regions.
    Shared,
    /// Its creator, through the mapping it got at creation. For all others, and for the creator
    /// from then on, it can only be mapped for reading.
    Published,
}

/// Makes `len` bytes of zeroed memory, whose size is fixed for good, and maps them for writing.
///
/// With `reserve`, pages are taken now: later, a machine without memory kills somebody when they
/// are touched first.
///
/// # Errors
///
/// `InvalidInput` for no bytes at all; `OutOfMemory` at once if the machine could never hold it,
/// and if pages cannot be had now; descriptors running out.
pub fn create_memory(
    purpose: Purpose,
    len: usize,
    reserve: bool,
) -> io::Result<(OwnedObject, Mapping)> {
    let object = new_object(len)?;
    if reserve {
        take_pages(&object, len as u64)?;
    }
    let writable = ProtFlags::READ | ProtFlags::WRITE;
    let mapping = Mapping::new(borrow(&object), len, writable, MapFlags::SHARED)?;
    // The mapping comes first: after the seal there is no other way to write.
    let write_seal = match purpose {
        Purpose::Shared => SealFlags::empty(),
        Purpose::Published => SealFlags::FUTURE_WRITE,
    };
    call::add_seals(&object, FIXED_SIZE | write_seal | SealFlags::SEAL)?;
    Ok((object, mapping))
}

/// Makes an object that holds these bytes, one slice after the other, and never changes again.
///
/// # Errors
///
/// As [`create_memory`].
pub fn publish_bytes(bytes: &[&[u8]]) -> io::Result<OwnedObject> {
    let len = bytes
        .iter()
        .try_fold(0_usize, |sum, part| sum.checked_add(part.len()));
    let object = new_object(len.ok_or(Errno::NOMEM)?)?;
    let mut offset = 0;
    for part in bytes {
        let mut rest = *part;
        while !rest.is_empty() {
            let written = retry_on_intr(|| call::pwrite(&object, rest, offset))?;
            rest = rest.get(written..).unwrap_or_default();
            offset += written as u64;
        }
    }
    call::add_seals(&object, FIXED_SIZE | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(object)
}

/// Bytes per page of memory.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

pub(crate) const FIXED_SIZE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

fn new_object(len: usize) -> io::Result<OwnedFd> {
    if len == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "shared memory has at least one byte: ask for more than none",
        ));
    }
    // Seldom more than was there before, and not worth a system call each time.
    static KNOWN: OnceLock<u64> = OnceLock::new();
    if len as u64 > *KNOWN.get_or_init(memory_of_the_machine)
        && len as u64 > memory_of_the_machine()
    {
        return Err(Errno::NOMEM.into());
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels from 6.3 on want to be told that nobody will execute it; older ones do not know how.
    let object =
        call::memfd_create("ipmb", flags | MemfdFlags::NOEXEC_SEAL).or_else(|e| match e {
            Errno::INVAL => call::memfd_create("ipmb", flags),
            e => Err(e),
        })?;
    retry_on_intr(|| call::ftruncate(&object, len as u64))?;
    Ok(object)
}

/// In steps: a signal undoes the step that it interrupts, so that a process with a profiler's timer
/// would never get to the end of a long one.
fn take_pages(object: &OwnedFd, len: u64) -> Result<(), Errno> {
    const STEP: u64 = 1 << 20;
    let mut offset = 0;
    while offset < len {
        let step = STEP.min(len - offset);
        retry_on_intr(|| call::fallocate(object, FallocateFlags::empty(), offset, step))
            .map_err(|e| if e == Errno::NOSPC { Errno::NOMEM } else { e })?;
        offset += step;
    }
    Ok(())
}

fn memory_of_the_machine() -> u64 {
    let info = rustix::system::sysinfo();
    let units = (info.totalram as u64).saturating_add(info.totalswap as u64);
    units.saturating_mul(u64::from(info.mem_unit))
}

fn borrow(object: &OwnedFd) -> BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(object)
}
