//! Time that does not pass while all processes are stopped.

use std::time::{Duration, Instant};

/// A step of the clock.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// A step that takes longer was interrupted: somebody stopped us, or the machine.
const INTERRUPTED: Duration = Duration::from_millis(500);

/// A watchdog: it ticks, and a tick that takes too long was a pause.
pub(super) struct Clock {
    last: Instant,
    passed: Duration,
    pauses: u64,
    paused: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            last: Instant::now(),
            passed: Duration::ZERO,
            pauses: 0,
            paused: Duration::ZERO,
        }
    }

    /// To be called about each [`TICK`].
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        let step = now - self.last;
        self.last = now;
        if step > INTERRUPTED {
            self.pauses += 1;
            self.paused += step;
            self.passed += TICK;
        } else {
            self.passed += step;
        }
    }

    /// Time since the start, pauses not counted.
    pub(super) fn passed(&self) -> Duration {
        self.passed
    }

    /// How many pauses there were.
    pub(super) fn pauses(&self) -> u64 {
        self.pauses
    }

    /// How long they were.
    pub(super) fn paused(&self) -> Duration {
        self.paused
    }
}
