//! What a forked child must not keep alive.
//!
//! A child inherits the open file descriptions of its parent: as long as it lives, the parent's
//! connections would not hang up and its seat would stay taken, although the parent is dead. So a
//! handler in the child replaces each guarded descriptor in place.
//!
//! The atomics here are no part of the data plane: the handler runs in the child at a point where
//! any other thread may have been in the middle of a change, so that it can take no lock.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

/// A number that differs between a process and its forked child.
///
/// Remember it, and compare before you use anything made earlier. It follows forks from the first
/// [`ForkGuard`] or [`follow_forks`] on (there is nothing to protect before), by `fork` of the C
/// library; a bare `clone` system call goes unnoticed.
#[inline]
pub fn fork_generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// [`fork_generation`], which follows forks from now on.
#[inline]
pub fn follow_forks() -> u32 {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // SAFETY: `in_child` is a function for the life of the process (this code is not
        // unloaded while it has threads) and async-signal-safe. It fails only for want of
        // memory, and then there is no guard, which is what we would have without it.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    fork_generation()
}

/// As long as it lives, the descriptor is replaced in every forked child by a socket that was
/// never connected.
///
/// The number stays valid, so that the child's owner of it closes what it believes to close;
/// whatever else it tries ends in "disconnected" or an error. `fork` in one thread while another
/// is between opening a descriptor and guarding it is not covered, nor is a child when the system
/// has no room for one socket.
#[derive(Debug)]
pub struct ForkGuard {
    slot: &'static AtomicI32,
}

impl ForkGuard {
    /// Guards a descriptor. Drop the guard *before* the descriptor is closed: its number may
    /// belong to somebody else a moment later.
    pub fn guard(object: BorrowedFd<'_>) -> Self {
        follow_forks();
        Self {
            slot: FIRST.occupy(object.as_raw_fd()),
        }
    }
}

impl Drop for ForkGuard {
    fn drop(&mut self) {
        self.slot.store(FREE, Ordering::Release);
    }
}

static GENERATION: AtomicU32 = AtomicU32::new(0);
static FIRST: Chunk = Chunk::new();
const FREE: i32 = -1;

/// Guarded descriptors: a list that grows and is never freed, so that it can be read at any time.
struct Chunk {
    slots: [AtomicI32; 256],
    next: AtomicPtr<Chunk>,
}

impl Chunk {
    const fn new() -> Self {
        Self {
            slots: [const { AtomicI32::new(FREE) }; 256],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    fn occupy(&'static self, descriptor: i32) -> &'static AtomicI32 {
        let mut chunk = self;
        loop {
            for slot in &chunk.slots {
                // A look first: a failed exchange would claim the cache line.
                if slot.load(Ordering::Relaxed) == FREE
                    && slot
                        .compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                {
                    return slot;
                }
            }
            chunk = chunk.following().unwrap_or_else(|| chunk.extend());
        }
    }

    fn following(&self) -> Option<&'static Chunk> {
        // SAFETY: null, or from `Box::leak` below.
        unsafe { self.next.load(Ordering::Acquire).as_ref() }
    }

    fn extend(&self) -> &'static Chunk {
        let new = Box::into_raw(Box::new(Self::new()));
        match self
            .next
            .compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: just leaked, and from now on nobody frees it.
            Ok(_) => unsafe { &*new },
            Err(theirs) => {
                // SAFETY: `new` was never shared; `theirs` was leaked by another thread.
                unsafe {
                    drop(Box::from_raw(new));
                    &*theirs
                }
            }
        }
    }
}

/// Runs in the child, alone, before `fork` returns. Only system calls, no allocation, no lock.
extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    let mut replacement = None;
    let mut chunk = Some(&FIRST);
    while let Some(current) = chunk {
        for slot in &current.slots {
            let descriptor = slot.load(Ordering::Acquire);
            if descriptor == FREE {
                continue;
            }
            match replacement {
                None => replacement = replace_first(descriptor),
                // SAFETY: both are descriptors of ours, and there is no other thread.
                Some(dead) => unsafe {
                    libc::dup3(dead, descriptor, libc::O_CLOEXEC);
                },
            }
        }
        chunk = current.following();
    }
}

/// Closes first, so that this works in a process that has no descriptor left.
fn replace_first(descriptor: i32) -> Option<i32> {
    // SAFETY: system calls on a descriptor that we were given to replace, without other threads
    // that could take its number in between.
    unsafe {
        libc::close(descriptor);
        let dead = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        if dead == -1 {
            return None;
        }
        if dead != descriptor {
            libc::dup3(dead, descriptor, libc::O_CLOEXEC);
            libc::close(dead);
        }
        Some(descriptor)
    }
}
