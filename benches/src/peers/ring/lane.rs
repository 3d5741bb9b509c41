//! One writer, one reader. A message is its length in 8 bytes, then its bytes, rounded up to 8;
//! one longer than a piece streams through the ring, so that its copies in and out overlap.
//!
//! A reader that sleeps does so between messages, never within one. All its rings have one bell.
//!
//! Each side keeps what it last saw of the other's index, and looks again only when that does not
//! suffice (as in B-Queue and FastForward, and every good ring since).

use super::mapping::{CAPACITY, Mapping};
use crate::Result;
use rustix::{
    io::{read, write},
    thread::sched_yield,
};
use std::{
    hint::spin_loop,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{Ordering, fence},
    time::{Duration, Instant},
};

const LENGTH: usize = 8;
const PIECE: usize = 64 << 10;
/// How long a reader that sleeps looks before it does.
const SPIN: Duration = Duration::from_micros(20);

pub(super) struct Writer<const SLEEPS: bool> {
    mapping: Mapping,
    bell: OwnedFd,
    tail: u64,
    head_seen: u64,
}

impl<const SLEEPS: bool> Writer<SLEEPS> {
    pub(super) fn new(memory: &impl AsFd, bell: OwnedFd) -> Result<Self> {
        Ok(Self {
            mapping: Mapping::new(memory)?,
            bell,
            tail: 0,
            head_seen: 0,
        })
    }

    pub(super) fn write(&mut self, message: &[u8]) -> Result<()> {
        let (piece, mut rest) = message.split_at(message.len().min(PIECE));
        self.wait_for_room(LENGTH + rounded(piece.len()));
        self.put(&(message.len() as u64).to_ne_bytes());
        self.put(piece);
        self.publish()?;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(PIECE));
            self.wait_for_room(rounded(piece.len()));
            self.put(piece);
            self.publish()?;
            rest = after;
        }
        Ok(())
    }

    #[inline]
    fn wait_for_room(&mut self, length: usize) {
        let until = (self.tail + length as u64).saturating_sub(CAPACITY as u64);
        let mut spins = 0;
        while self.head_seen < until {
            self.head_seen = self.mapping.indices().head.0.load(Ordering::Acquire);
            if self.head_seen < until {
                pause(&mut spins);
            }
        }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        // SAFETY: a slice is valid for reads; there was room for it, and that is at most CAPACITY.
        unsafe { self.mapping.put(self.tail, bytes.as_ptr(), bytes.len()) };
        self.tail += rounded(bytes.len()) as u64;
    }

    #[inline]
    fn publish(&mut self) -> Result<()> {
        let indices = self.mapping.indices();
        indices.tail.0.store(self.tail, Ordering::Release);
        if SLEEPS {
            // Either the reader sees the new tail before it sleeps, or we see that it sleeps.
            fence(Ordering::SeqCst);
            if indices.sleeping.0.load(Ordering::Relaxed) != 0 {
                indices.sleeping.0.store(0, Ordering::Relaxed);
                write(&self.bell, &1u64.to_ne_bytes())?;
            }
        }
        Ok(())
    }
}

/// The rings of one reader.
pub(super) struct Readers<const SLEEPS: bool> {
    readers: Vec<Reader>,
    bell: OwnedFd,
    /// Whose turn it is.
    turn: usize,
}

impl<const SLEEPS: bool> Readers<SLEEPS> {
    pub(super) fn new(readers: Vec<Reader>, bell: OwnedFd) -> Self {
        let turn = 0;
        Self {
            readers,
            bell,
            turn,
        }
    }

    /// One in which a message has begun to come.
    #[inline]
    pub(super) fn next(&mut self) -> Result<&mut Reader> {
        if !self.look() {
            self.wait()?;
        }
        Ok(&mut self.readers[self.turn])
    }

    /// Whether there is one, and finds the next.
    #[inline]
    fn look(&mut self) -> bool {
        for _ in 0..self.readers.len() {
            self.turn += 1;
            if self.turn >= self.readers.len() {
                self.turn = 0;
            }
            if self.readers[self.turn].has(LENGTH) {
                return true;
            }
        }
        false
    }

    #[cold]
    fn wait(&mut self) -> Result<()> {
        let mut start = None;
        let mut spins = 0;
        while !self.look() {
            pause(&mut spins);
            if !SLEEPS || spins % 32 != 0 || start.get_or_insert_with(Instant::now).elapsed() < SPIN
            {
                continue;
            }
            self.say_sleeping(1);
            fence(Ordering::SeqCst);
            if !self.look() {
                read(&self.bell, &mut [0; 8])?;
            }
            self.say_sleeping(0);
        }
        Ok(())
    }

    fn say_sleeping(&self, value: u32) {
        for reader in &self.readers {
            let sleeping = &reader.mapping.indices().sleeping;
            sleeping.0.store(value, Ordering::Relaxed);
        }
    }
}

pub(super) struct Reader {
    mapping: Mapping,
    head: u64,
    tail_seen: u64,
}

impl Reader {
    pub(super) fn new(memory: &impl AsFd) -> Result<Self> {
        Ok(Self {
            mapping: Mapping::new(memory)?,
            head: 0,
            tail_seen: 0,
        })
    }

    /// Reads a message into a vector of its own.
    pub(super) fn read_owned(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        self.read(&mut message);
        message
    }

    /// Reads a message in the place of what is in the vector.
    pub(super) fn read(&mut self, message: &mut Vec<u8>) {
        self.wait_for(LENGTH);
        let mut length = [0; LENGTH];
        // SAFETY: an array is valid for writes, and that much has been published.
        unsafe { self.mapping.get(self.head, length.as_mut_ptr(), LENGTH) };
        self.head += LENGTH as u64;

        let mut rest = u64::from_ne_bytes(length) as usize;
        message.clear();
        message.reserve(rest);
        while rest > 0 {
            let piece = rest.min(PIECE);
            self.wait_for(rounded(piece));
            let done = message.len();
            // SAFETY: the vector has room for all that comes; the piece has been published, and is
            // initialised when it counts as part of the vector.
            unsafe {
                self.mapping
                    .get(self.head, message.as_mut_ptr().add(done), piece);
                message.set_len(done + piece);
            }
            self.head += rounded(piece) as u64;
            self.mapping
                .indices()
                .head
                .0
                .store(self.head, Ordering::Release);
            rest -= piece;
        }
    }

    #[inline]
    fn wait_for(&mut self, length: usize) {
        let mut spins = 0;
        while !self.has(length) {
            pause(&mut spins);
        }
    }

    #[inline]
    fn has(&mut self, length: usize) -> bool {
        let tail = self.head + length as u64;
        if self.tail_seen < tail {
            self.tail_seen = self.mapping.indices().tail.0.load(Ordering::Acquire);
        }
        self.tail_seen >= tail
    }
}

fn rounded(length: usize) -> usize {
    length.next_multiple_of(8)
}

/// A moment. When there have been many, somebody else may want the core: perhaps the other side.
#[inline]
fn pause(spins: &mut u32) {
    *spins = spins.wrapping_add(1);
    if (*spins).is_multiple_of(16_384) {
        sched_yield();
    } else {
        spin_loop();
    }
}
