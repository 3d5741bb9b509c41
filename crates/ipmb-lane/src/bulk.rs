//! Copying many bytes.
//!
//! The C library's `memcpy` switches to `rep movsb` from some 3 KiB on, which on AMD's Zen 4 is several times slower
//! than a loop of vector moves when source and destination lie alike within their pages, as buffers and lanes do.
//! `benches/` shows it from messages of 4 KiB on.

/// Below this, `memcpy` does not use `rep movsb` anywhere.
const LARGE: usize = 2048;

/// Copies bytes that do not overlap, as `copy_nonoverlapping` does.
///
/// # Safety
///
/// `from` is valid for reads of `len` bytes, `to` is valid for writes of `len` bytes, and the two do not overlap.
#[inline]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= LARGE && std::is_x86_feature_detected!("avx") {
        // SAFETY: as promised by the caller; the processor has AVX.
        return unsafe { copy_avx(from, to, len) };
    }
    // SAFETY: as promised by the caller.
    unsafe { to.copy_from_nonoverlapping(from, len) }
}

/// Appends bytes to a vector.
///
/// ```
/// let mut out = vec![1];
/// ipmb_lane::append(&mut out, &[2, 3]);
/// assert_eq!(out, [1, 2, 3]);
/// ```
#[inline]
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    // SAFETY: there is room for the bytes, in memory that the slice cannot overlap with.
    unsafe {
        copy(bytes.as_ptr(), out.as_mut_ptr().add(out.len()), bytes.len());
        out.set_len(out.len() + bytes.len());
    }
}

/// # Safety
///
/// As for [`copy`], with at least 128 bytes, and the processor has AVX.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn copy_avx(from: *const u8, to: *mut u8, len: usize) {
    use std::arch::x86_64::{__m256i, _mm256_loadu_si256, _mm256_storeu_si256};
    const STEP: usize = 128;
    // SAFETY: `at` never goes beyond `len - STEP`, and reads and writes need no alignment.
    let step = |at: usize| unsafe {
        let (from, to) = (from.add(at).cast::<__m256i>(), to.add(at).cast::<__m256i>());
        let (a, b) = (_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1)));
        let (c, d) = (
            _mm256_loadu_si256(from.add(2)),
            _mm256_loadu_si256(from.add(3)),
        );
        _mm256_storeu_si256(to, a);
        _mm256_storeu_si256(to.add(1), b);
        _mm256_storeu_si256(to.add(2), c);
        _mm256_storeu_si256(to.add(3), d);
    };
    let mut at = 0;
    while len - at > STEP {
        step(at);
        at += STEP;
    }
    // The last step reaches back over what is copied already.
    step(len - STEP);
}

#[cfg(test)]
mod tests {
    #[test]
    fn copies_of_any_length_are_exact() {
        let from: Vec<u8> = (0..20_000u32).map(|n| (n * 7 + n / 256) as u8).collect();
        for len in (0..300)
            .chain(1900..2400)
            .chain([4095, 4096, 4097, 19_999, 20_000])
        {
            let mut to = vec![9];
            super::append(&mut to, &from[..len]);
            assert_eq!(to[0], 9);
            assert!(to[1..] == from[..len], "{len} bytes");
        }
    }
}
