//! Random numbers that follow from a seed.

use crate::traffic::mixed;
use std::{ops::RangeInclusive, time::Duration};

/// A generator. (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// 2014)
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// One of its own for whoever these numbers stand for.
    pub fn of(seed: u64, whom: &[u64]) -> Self {
        Self(
            whom.iter()
                .fold(mixed(seed), |state, one| mixed(state ^ mixed(*one))),
        )
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// One of these numbers.
    pub fn among(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        low + self.any() % (high - low + 1)
    }

    /// One of these.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        match from {
            [] => None,
            _ => from.get((self.any() % from.len() as u64) as usize),
        }
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.any() % 1000 < per_mille
    }

    /// A time of so many microseconds.
    pub fn micros(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_micros(self.among(range))
    }

    /// A number up to `most`, small ones more often: all orders of magnitude are as likely.
    pub fn size(&mut self, most: u64) -> u64 {
        let bits = u64::from(most.ilog2()) + 1;
        let below = 1 << self.among(1..=bits);
        self.among(0..=below - 1).min(most)
    }
}
