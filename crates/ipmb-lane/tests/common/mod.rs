//! Memory for tests, with a canary on either side that shows writes beyond it.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipmb_lane::Memory;

const CANARY: u64 = 0x0123_4567_89ab_cdef;
const GUARD: usize = 16;

/// A guard of 128 bytes, zeroed memory of any length, filling, and another guard.
#[derive(Clone)]
pub struct Guarded {
    words: Arc<[Line]>,
    len: usize,
}

#[repr(align(128))]
struct Line([AtomicU64; GUARD]);

impl Guarded {
    pub fn new(len: usize) -> Self {
        let lines = len.div_ceil(128) + 2;
        let words = (0..lines)
            .map(|line| {
                let guard = line == 0 || line + 1 == lines;
                Line(std::array::from_fn(|_| {
                    AtomicU64::new(if guard { CANARY } else { 0 })
                }))
            })
            .collect();
        Self { words, len }
    }

    /// Overwrites a byte, as a hostile peer can.
    pub fn poke(&self, at: usize, value: u8) {
        let at = at % self.len;
        let word = &self.words[1 + at / 128].0[at % 128 / 8];
        let mut bytes = word.load(Relaxed).to_le_bytes();
        bytes[at % 8] = value;
        word.store(u64::from_le_bytes(bytes), Relaxed);
    }

    pub fn poke_word(&self, at: usize, value: u64) {
        let at = at % self.len / 8 * 8;
        self.words[1 + at / 128].0[at % 128 / 8].store(value, Relaxed);
    }

    pub fn check(&self) {
        for line in [0, self.words.len() - 1] {
            assert!(
                self.words[line]
                    .0
                    .iter()
                    .all(|word| word.load(Relaxed) == CANARY)
            );
        }
    }
}

// SAFETY: the `len` bytes behind the first line are in the slice, aligned to 128; they are atomics, and live and stay
// as long as a clone does.
unsafe impl Memory for Guarded {
    fn as_ptr(&self) -> *mut u8 {
        self.words.as_ptr().wrapping_add(1).cast_mut().cast()
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// Bytes that can be told from others, and checked.
pub fn message(number: u64, len: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
