//! Numbered messages of mixed sizes: what senders write, and what receivers have to find.

use ipmb::BytesMessage;
use std::collections::HashMap;

/// The last message of a sender; its number is how many came before it.
const LAST: u16 = 1 << 15;

/// Not part of the numbers.
const PROBE: u16 = LAST - 1;

/// Message number `number` of a sender. Its size follows from both: mostly small, now and then
/// one that is larger than the first lane.
pub fn message(sender: u16, number: u64) -> BytesMessage {
    let mut data = vec![filling(sender, number); size(sender, number)];
    data[..8].copy_from_slice(&number.to_le_bytes());
    BytesMessage {
        format: sender,
        data,
    }
}

/// What a sender says when it has sent `count` messages.
pub fn last(sender: u16, count: u64) -> BytesMessage {
    BytesMessage {
        format: sender | LAST,
        data: count.to_le_bytes().to_vec(),
    }
}

/// A message that a sink counts, from whoever sends it.
pub fn probe() -> BytesMessage {
    BytesMessage {
        format: PROBE,
        data: Vec::new(),
    }
}

/// A message of that size, which is not part of the numbers either.
pub fn large(bytes: usize) -> BytesMessage {
    BytesMessage {
        format: PROBE,
        data: (0..bytes).map(|at| (at % 251) as u8).collect(),
    }
}

/// What a receiver has seen so far.
#[derive(Default)]
pub struct Seen {
    next: HashMap<u16, u64>,
    /// How many senders have said that they are done, and it was true.
    pub done: usize,
    /// Numbered messages of all senders.
    pub total: u64,
    /// Other messages.
    pub probes: u64,
}

impl Seen {
    /// Takes note of a message.
    ///
    /// # Errors
    ///
    /// What is wrong with it: its number, its size or its content.
    pub fn check(&mut self, message: &BytesMessage) -> Result<(), String> {
        if message.format == PROBE {
            self.probes += 1;
            return Ok(());
        }
        let sender = message.format & !LAST;
        let number = (message.data.first_chunk())
            .map(|bytes| u64::from_le_bytes(*bytes))
            .ok_or("a message without a number")?;
        let next = self.next.entry(sender).or_default();
        if number != *next {
            return Err(format!("sender {sender}: {number} instead of {next}"));
        }
        if message.format & LAST != 0 {
            self.done += 1;
            *next = u64::MAX;
            return Ok(());
        }
        let filling = filling(sender, number);
        if message.data.len() != size(sender, number)
            || message.data[8..].iter().any(|byte| *byte != filling)
        {
            return Err(format!("sender {sender}: {number} is damaged"));
        }
        *next += 1;
        self.total += 1;
        Ok(())
    }
}

fn size(sender: u16, number: u64) -> usize {
    let dice = mixed(u64::from(sender) << 48 | number);
    let (spread, dice) = (dice >> 32, dice % 1000);
    8 + match dice {
        0 => 60_000 + (spread % 60_000) as usize,
        1..=10 => (spread % 8_000) as usize,
        _ => (spread % 200) as usize,
    }
}

fn filling(sender: u16, number: u64) -> u8 {
    (u64::from(sender) ^ number) as u8
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014).
pub(crate) fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
