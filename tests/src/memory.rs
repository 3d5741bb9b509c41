//! Secrets, and where they are in the memory of a process.

use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

/// So much is looked at in one step, and of each piece of shared memory in all.
const CHUNK: usize = 1 << 20;
/// So many bytes of a secret in a row are found.
const PIECE: usize = 16;

/// A secret, and what is made of it.
pub struct Secret {
    token: String,
    key: [u8; 32],
}

/// How often something of a secret was found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Pieces of the token.
    pub token: usize,
    /// Copies of the key, as such or as HMAC pads it.
    pub key: usize,
}

impl Secret {
    /// The token of this number. It is in the buffer that is returned, and nowhere else.
    pub fn token(seed: u64) -> String {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let mut token = String::with_capacity(64);
        let mut state = seed;
        while token.len() < 64 {
            // Steele, Lea and Flood's SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            token.push(DIGITS[((z ^ (z >> 31)) % 16) as usize]);
        }
        token
    }

    /// That token, to look for.
    pub fn new(seed: u64) -> Self {
        Self::of(&Self::token(seed))
    }

    /// Any token, to look for.
    pub fn of(token: &str) -> Self {
        let key = Sha256::new().chain_update("ipmb token").chain_update(token);
        Self {
            token: token.to_owned(),
            key: key.finalize().into(),
        }
    }

    /// What is found of it in some bytes.
    pub fn in_bytes(&self, bytes: &[u8]) -> Found {
        let token = self.token.as_bytes();
        // Disjoint, so that what is found of one is not found again as the other.
        let token = token.chunks_exact(PIECE).map(|it| count(bytes, it)).sum();
        let key = [0, 0x36, 0x5c].into_iter().map(|pad| {
            let padded = self.key.map(|byte| byte ^ pad);
            let halves = padded.chunks_exact(PIECE).map(|it| count(bytes, it));
            halves.max().unwrap_or_default()
        });
        let key = key.sum();
        Found { token, key }
    }

    /// What is found of it in a text: also as digits, in the ways that bytes are printed.
    pub fn in_text(&self, text: &str) -> Found {
        let found = self.in_bytes(text.as_bytes());
        let part = &self.key[..8];
        let printed = [
            part.iter()
                .map(|it| format!("{it:02x}"))
                .collect::<String>(),
            part.iter().map(|it| format!("{it:02X}")).collect(),
            part.iter().map(|it| format!("{it}, ")).collect(),
        ];
        let printed: usize = printed.iter().map(|it| text.matches(it).count()).sum();
        let key = found.key + printed;
        Found { key, ..found }
    }

    /// What is found of it in all that a process has mapped, and where.
    pub fn in_process(&self, pid: u32) -> (Found, Vec<String>) {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
        let memory = File::open(format!("/proc/{pid}/mem")).expect("we may look");
        let mut buffer = vec![0; CHUNK + 2 * PIECE];
        let (mut total, mut places, mut seen) = (Found::default(), Vec::new(), 0);
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|it| it.split_once('-'));
            let (from, to) = range.expect("a range");
            let number = |text| u64::from_str_radix(text, 16).expect("a number");
            let (from, mut to) = (number(from), number(to));
            if line.contains("/memfd:") {
                to = to.min(from + CHUNK as u64);
            }
            let mut at = from;
            while at < to {
                let length = buffer.len().min((to - at) as usize);
                // Some cannot be read, such as the kernel's.
                let Ok(()) = memory.read_exact_at(&mut buffer[..length], at) else {
                    break;
                };
                seen += length;
                let found = self.in_bytes(&buffer[..length]);
                if found != Found::default() {
                    places.push(format!("{found:?} in {line}"));
                }
                total.token += found.token;
                total.key += found.key;
                at += CHUNK as u64;
            }
        }
        assert!(seen > CHUNK, "{seen} bytes are no process");
        (total, places)
    }
}

fn count(bytes: &[u8], piece: &[u8]) -> usize {
    let (first, mut found, mut rest) = (piece[0], 0, bytes);
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        found += usize::from(rest[at..].starts_with(piece));
        rest = &rest[at + 1..];
    }
    found
}
