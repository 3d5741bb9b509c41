//! The memory of a ring: a page of indices, and the bytes.

use crate::Result;
use rustix::{
    fs::{MemfdFlags, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicU64},
};

/// Bytes of a ring. Larger than a second-level cache, so that a writer seldom has to fetch a line
/// back from the cache of the reader: several times as fast as 256 KiB, from 1 KiB messages on.
pub(super) const CAPACITY: usize = 8 << 20;
const PAGE: usize = 4 << 10;

/// What the two sides say to each other, each on cache lines of its own.
#[repr(C)]
pub(super) struct Indices {
    /// Bytes written so far.
    pub tail: Line<AtomicU64>,
    /// Bytes read so far.
    pub head: Line<AtomicU64>,
    /// Whether the reader sleeps, or is about to.
    pub sleeping: Line<AtomicU32>,
}

#[repr(C, align(128))]
pub(super) struct Line<T>(pub T);

/// A ring as a process sees it.
pub(super) struct Mapping {
    base: NonNull<u8>,
}

/// Memory for a ring; as it comes, it is an empty one.
pub(super) fn create() -> rustix::io::Result<OwnedFd> {
    let memory = memfd_create("ring", MemfdFlags::CLOEXEC)?;
    ftruncate(&memory, (PAGE + CAPACITY) as u64)?;
    Ok(memory)
}

impl Mapping {
    pub(super) fn new(memory: &impl AsFd) -> Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice replaces nothing.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                PAGE + CAPACITY,
                protection,
                MapFlags::SHARED,
                memory,
                0,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or("mapped at zero")?;
        Ok(Self { base })
    }

    pub(super) fn indices(&self) -> &Indices {
        // SAFETY: the mapping begins with a page that is only ever used as this, lives as long as
        // `self`, and atomics may change behind a shared reference.
        unsafe { self.base.cast().as_ref() }
    }

    /// Copies `length` bytes into the ring.
    ///
    /// # Safety
    ///
    /// `from` is valid for reads of `length` bytes, `length` is at most `CAPACITY`, and the reader
    /// has done with those places.
    pub(super) unsafe fn put(&self, at: u64, from: *const u8, length: usize) {
        let (place, first) = split(at, length);
        // SAFETY: both parts are inside the bytes of the ring; the rest the caller grants.
        unsafe {
            let bytes = self.base.as_ptr().add(PAGE);
            ptr::copy_nonoverlapping(from, bytes.add(place), first);
            ptr::copy_nonoverlapping(from.add(first), bytes, length - first);
        }
    }

    /// Copies `length` bytes out of the ring.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `length` bytes, `length` is at most `CAPACITY`, and the writer
    /// has published those places.
    pub(super) unsafe fn get(&self, at: u64, to: *mut u8, length: usize) {
        let (place, first) = split(at, length);
        // SAFETY: both parts are inside the bytes of the ring; the rest the caller grants.
        unsafe {
            let bytes = self.base.as_ptr().add(PAGE);
            ptr::copy_nonoverlapping(bytes.add(place), to, first);
            ptr::copy_nonoverlapping(bytes, to.add(first), length - first);
        }
    }
}

/// Where in the ring bytes begin, and how many are there before its end.
fn split(at: u64, length: usize) -> (usize, usize) {
    let place = at as usize % CAPACITY;
    (place, length.min(CAPACITY - place))
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), PAGE + CAPACITY) };
    }
}
