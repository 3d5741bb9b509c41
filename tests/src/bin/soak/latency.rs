//! How long things took lately.

use std::time::Duration;

/// Times since somebody looked.
#[derive(Default)]
pub(super) struct Times(Vec<u32>);

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        // Longer than 71 minutes is not to be told from that.
        self.0
            .push(u32::try_from(time.as_nanos() / 10).unwrap_or(u32::MAX));
    }

    /// Median and 99th percentile in µs, 0 if there are none, and how many there were. Starts again.
    pub(super) fn take(&mut self) -> (f64, f64, usize) {
        self.0.sort_unstable();
        let at = |part: f64| {
            let index = (self.0.len() as f64 * part) as usize;
            self.0
                .get(index)
                .map_or(0.0, |time| f64::from(*time) / 100.0)
        };
        let taken = (at(0.5), at(0.99), self.0.len());
        self.0.clear();
        taken
    }
}
