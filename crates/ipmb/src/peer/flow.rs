//! Whether so much flows to a receiver that a larger lane is better, although there is room.
//!
//! A receiver that keeps up has what was written last in its cache. If its core is far from ours, each line of a small
//! ring then has to be fetched back before it can be written again, which takes longer than all else together. In a
//! ring that is larger than that cache it does not. Where messages go back and forth, a small ring is better.

use std::time::{Duration, Instant};

/// So often a ring is written from end to end before we judge.
const ROUNDS: u32 = 8;
/// In so many of these rounds the receiver has to be behind: one who gets an answer before it asks again is not.
const BEHIND: u32 = 6;
/// What is a stream takes no longer for so many bytes:
const MEGABYTE: Duration = Duration::from_millis(20);
/// A ring of so many bytes is larger than what a core keeps to itself.
pub(super) const LARGE: usize = 8 << 20;

/// What has flown through a lane lately.
#[derive(Default)]
pub(super) struct Flow {
    rounds: u32,
    behind: u32,
    since: Option<Instant>,
    /// A larger lane would be better.
    pub(super) swells: bool,
}

impl Flow {
    /// Whether to [look](Self::look) at a lane that has been written so often, from the count of
    /// [`Producer::rounds`](ipmb_lane::Producer::rounds).
    #[inline]
    pub(super) fn is_due(&self, rounds: u32) -> bool {
        rounds.wrapping_sub(self.rounds) >= ROUNDS
    }

    /// Judges what has flown since the last look.
    #[cold]
    pub(super) fn look(&mut self, (rounds, behind): (u32, u32), capacity: usize) {
        let now = Instant::now();
        let bytes = u64::from(rounds.wrapping_sub(self.rounds)).saturating_mul(capacity as u64);
        let megabytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).max(1);
        let fast = |since| now.duration_since(since) < MEGABYTE.saturating_mul(megabytes);
        self.swells = capacity < LARGE
            && self.since.is_some_and(fast)
            && behind.wrapping_sub(self.behind) >= BEHIND;
        *self = Self {
            rounds,
            behind,
            since: Some(now),
            swells: self.swells,
        };
    }

    /// A new lane is in use.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(seconds_ago: u64, behind: u32, capacity: usize) -> bool {
        let since = Instant::now().checked_sub(Duration::from_secs(seconds_ago));
        let mut flow = Flow {
            since,
            ..Flow::default()
        };
        assert!(flow.is_due(ROUNDS) && !flow.is_due(ROUNDS - 1));
        flow.look((ROUNDS, behind), capacity);
        flow.swells
    }

    #[test]
    fn only_a_fast_stream_to_one_who_is_behind_swells() {
        assert!(looked(0, ROUNDS, 64 << 10));
        assert!(!looked(0, 1, 64 << 10), "a conversation");
        assert!(!looked(1, ROUNDS, 64 << 10), "a trickle");
        assert!(!looked(0, ROUNDS, LARGE), "large enough");
    }
}
