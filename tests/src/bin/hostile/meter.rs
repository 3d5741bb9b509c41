//! What is measured in a process that is to be left in peace.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long the ticker sleeps at a time.
const TICK: Duration = Duration::from_millis(1);

/// The longest of some times.
#[derive(Default)]
pub struct Longest(Mutex<Duration>);

impl Longest {
    /// Takes note of a time.
    pub fn note(&self, time: Duration) {
        let mut longest = self.lock();
        *longest = longest.max(time);
    }

    /// The longest so far, in microseconds.
    pub fn micros(&self) -> u64 {
        self.lock().as_micros() as u64
    }

    /// Forgets all.
    pub fn reset(&self) {
        *self.lock() = Duration::ZERO;
    }

    fn lock(&self) -> MutexGuard<'_, Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says how long a thread that only sleeps is kept from running: that is the machine's doing, and
/// no attack on the bus.
pub fn ticker() -> Arc<Longest> {
    let longest = Arc::new(Longest::default());
    thread::spawn({
        let longest = Arc::clone(&longest);
        move || {
            let mut last = Instant::now();
            loop {
                thread::sleep(TICK);
                longest.note(last.elapsed().saturating_sub(TICK));
                last = Instant::now();
            }
        }
    });
    longest
}
