//! Copying many bytes.
//!
//! The C library's `memcpy` switches to `rep movsb` from some 2 KiB on. Whether that is good depends on the processor:
//! on AMD's Zen 4 it is several times slower than a loop of vector moves when source and destination lie alike within
//! their pages, as buffers and lanes do. On Zen 5 it takes over lines that the other core has without reading them,
//! which makes it twice as fast for what is written into a lane. What is read from a lane goes to memory that is ours
//! already: there, vectors are a little better for a few KiB. `benches/` shows it all.

/// Below this, `memcpy` does not use `rep movsb` anywhere.
const LARGE: usize = 2048;
/// From this on, `rep movsb` reads from lanes as fast as vectors do.
#[cfg(target_arch = "x86_64")]
const LARGER: usize = 8192;

/// Copies bytes into memory that another core may have in its cache. They do not overlap, as for
/// `copy_nonoverlapping`.
///
/// # Safety
///
/// `from` is valid for reads of `len` bytes, `to` is valid for writes of `len` bytes, and the two do not overlap.
#[inline]
pub(crate) unsafe fn copy_in(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= LARGE {
        // SAFETY: as promised by the caller.
        return unsafe { copy_large(from, to, len, LARGE) };
    }
    // SAFETY: as promised by the caller.
    unsafe { to.copy_from_nonoverlapping(from, len) }
}

/// Copies bytes into private memory.
///
/// # Safety
///
/// As for [`copy_in`].
#[inline]
pub(crate) unsafe fn copy_out(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= LARGE {
        // SAFETY: as promised by the caller.
        return unsafe { copy_large(from, to, len, LARGER) };
    }
    // SAFETY: as promised by the caller.
    unsafe { to.copy_from_nonoverlapping(from, len) }
}

/// Uses vectors below `string` bytes, and wherever `rep movsb` is slow.
///
/// # Safety
///
/// As for [`copy_in`], with at least [`LARGE`] bytes.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
unsafe fn copy_large(from: *const u8, to: *mut u8, len: usize, string: usize) {
    let by_vectors = len < string || !has_good_string_moves();
    if by_vectors && std::is_x86_feature_detected!("avx") {
        // SAFETY: as promised by the caller; the processor has AVX.
        return unsafe { copy_avx(from, to, len) };
    }
    // SAFETY: as promised by the caller.
    unsafe { to.copy_from_nonoverlapping(from, len) }
}

/// Whether `rep movsb` is as fast as it should be: not on AMD before Zen 5 (family 0x1a).
#[cfg(target_arch = "x86_64")]
fn has_good_string_moves() -> bool {
    use std::arch::x86_64::{__cpuid, CpuidResult};
    static GOOD: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let CpuidResult { ebx, ecx, edx, .. } = __cpuid(0);
        let vendor = [ebx, edx, ecx].map(u32::to_le_bytes);
        let version = __cpuid(1).eax;
        let family = (version >> 8 & 0xf) + (version >> 20 & 0xff);
        let is_amd = matches!(vendor.as_flattened(), b"AuthenticAMD" | b"HygonGenuine");
        !is_amd || family >= 0x1a
    });
    *GOOD
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
        copy_out(bytes.as_ptr(), out.as_mut_ptr().add(out.len()), bytes.len());
        out.set_len(out.len() + bytes.len());
    }
}

/// # Safety
///
/// As for [`copy_in`], with at least 128 bytes, and the processor has AVX.
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
