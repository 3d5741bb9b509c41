//! Shared memory, randomness, fences, threads.

use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate as allocate, fcntl_add_seals, fcntl_get_seals,
    ftruncate as truncate, memfd_create as create_memfd,
};
use rustix::io::{Result, pwrite as write_at};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::rand::{GetRandomFlags, getrandom as get_random};
use rustix::thread::{MembarrierCommand, membarrier as barrier};

use super::{calls, strike};

calls! {
    MemfdCreate => fn memfd_create(name: &str, flags: MemfdFlags) -> OwnedFd = create_memfd;
    Ftruncate => fn ftruncate(file: impl AsFd, len: u64) -> () = truncate;
    Fallocate => fn fallocate(file: impl AsFd, flags: FallocateFlags, offset: u64, len: u64) -> () = allocate;
    FcntlAddSeals => fn add_seals(file: impl AsFd, seals: SealFlags) -> () = fcntl_add_seals;
    FcntlGetSeals => fn get_seals(file: impl AsFd) -> SealFlags = fcntl_get_seals;
    Membarrier => fn membarrier(command: MembarrierCommand) -> () = barrier;
}

/// # Safety
///
/// As [`rustix::mm::mmap`].
#[inline(always)]
pub(in super::super) unsafe fn mmap(
    len: usize,
    protection: ProtFlags,
    flags: MapFlags,
    file: impl AsFd,
) -> Result<*mut libc::c_void> {
    let _ = strike!(Mmap);
    // SAFETY: the caller's promise; without a wish for an address, a new mapping disturbs no other.
    unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, protection, flags, file, 0) }
}

/// Not made to fail: `munmap` fails only where it would have to split a mapping.
///
/// # Safety
///
/// As [`rustix::mm::munmap`].
#[inline(always)]
pub(in super::super) unsafe fn munmap(address: *mut libc::c_void, len: usize) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { rustix::mm::munmap(address, len) }
}

#[inline(always)]
pub(in super::super) fn pwrite(file: impl AsFd, bytes: &[u8], offset: u64) -> Result<usize> {
    let short = strike!(Pwrite);
    write_at(file, part(bytes, short), offset)
}

#[inline(always)]
pub(in super::super) fn getrandom(buffer: &mut [u8]) -> Result<usize> {
    let short = strike!(Getrandom);
    let most = if short { 1 } else { buffer.len() };
    get_random(&mut buffer[..most], GetRandomFlags::empty())
}

/// A thread of its own, with a stack of this size if one is given.
pub(in super::super) fn spawn<T: Send + 'static>(
    name: &str,
    stack: Option<usize>,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    may_start()?;
    let builder = thread::Builder::new().name(name.into());
    let builder = match stack {
        None => builder,
        Some(stack) => builder.stack_size(stack),
    };
    builder.spawn(work)
}

#[inline(always)]
fn may_start() -> Result<()> {
    let _ = strike!(Clone);
    Ok(())
}

fn part(bytes: &[u8], short: bool) -> &[u8] {
    match short {
        true => bytes.get(..1).unwrap_or_default(),
        false => bytes,
    }
}
