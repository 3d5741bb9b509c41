//! What is measured in a process that is to be left in peace.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long the ticker sleeps at a time.
const TICK: Duration = Duration::from_millis(1);
/// Between two looks at how long threads have waited for a processor.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A thread may be kept from running many times, until it has done what somebody waits for. What happens within this
/// time counts as one wait.
const WINDOW: Duration = Duration::from_millis(100);

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

/// Says how long this process was kept from running, though it could have run: that is the machine's doing, and no
/// attack on the bus. Of a thread that only sleeps and of all others, by what the kernel says of them.
pub fn ticker() -> Arc<Longest> {
    let longest = Arc::new(Longest::default());
    thread::spawn({
        let longest = Arc::clone(&longest);
        move || {
            let mut queue = RunQueue::default();
            let (mut last, mut looked) = (Instant::now(), Instant::now());
            loop {
                thread::sleep(TICK);
                longest.note(last.elapsed().saturating_sub(TICK));
                last = Instant::now();
                if looked.elapsed() >= LOOK_EVERY {
                    looked = last;
                    longest.note(queue.look(last));
                }
            }
        }
    });
    longest
}

/// By thread: how long it has waited for a processor in all, at several times.
#[derive(Default)]
struct RunQueue(HashMap<String, VecDeque<(Instant, Duration)>>);

impl RunQueue {
    /// The longest that any thread has waited within the last [`WINDOW`].
    fn look(&mut self, now: Instant) -> Duration {
        let mut longest = Duration::ZERO;
        for (thread, waited) in waits() {
            let seen = self.0.entry(thread).or_default();
            seen.push_back((now, waited));
            while seen.get(1).is_some_and(|(at, _)| now - *at > WINDOW) {
                seen.pop_front();
            }
            if let Some((_, before)) = seen.front() {
                longest = longest.max(waited.saturating_sub(*before));
            }
        }
        longest
    }
}

/// How long each thread of this process has waited for a processor. (proc(5), `schedstat`)
fn waits() -> Vec<(String, Duration)> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let text = fs::read_to_string(path.join("schedstat")).ok()?;
            let nanos = text.split_whitespace().nth(1)?.parse().ok()?;
            Some((path.display().to_string(), Duration::from_nanos(nanos)))
        })
        .collect()
}
