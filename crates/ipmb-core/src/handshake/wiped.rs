//! Secrets do not stay on the stack.

use std::hint::black_box;

use zeroize::Zeroize;

/// What hashing needs of the stack, with room to spare, in bytes.
const DEPTH: usize = 8192;

/// Does work with secrets, and then overwrites what it left on the stack: hash functions spill, and what
/// is moved leaves copies, which no `Drop` knows of.
pub(super) fn wiped<R>(work: impl FnOnce() -> R) -> R {
    let result = apart(work);
    scrub();
    result
}

/// Not a part of the caller's frame, which goes on to be used.
#[inline(never)]
fn apart<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

#[inline(never)]
fn scrub() {
    let mut below = [0xff_u8; DEPTH];
    black_box(&mut below).zeroize();
    black_box(&below);
}
