//! Patience that does not count the time in which this machine did not let us run.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long one look at everything takes, with the pause behind it. More than that is no time that
/// anybody has had.
const TURN: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(5);

/// A deadline that moves when we are kept from running: everything is paused now and then.
pub(super) struct Fair {
    left: Duration,
    last: Instant,
}

impl Fair {
    pub(super) fn of_seconds(seconds: u64) -> Self {
        Self {
            left: Duration::from_secs(seconds),
            last: Instant::now(),
        }
    }

    /// Pauses for a moment. `false`: the time is over.
    pub(super) fn goes_on(&mut self) -> bool {
        thread::sleep(PAUSE);
        let now = Instant::now();
        self.left = self.left.saturating_sub((now - self.last).min(TURN));
        self.last = now;
        !self.left.is_zero()
    }
}

/// Whether we were kept from running for so long that others may have been, too.
pub(super) fn is_pause(time: Duration) -> bool {
    time > TURN
}
