//! What the kernel says about a process.

use crate::DEADLINE;
use std::{
    fmt::Debug,
    fs, thread,
    time::{Duration, Instant},
};

/// How many descriptors a process has open.
pub fn descriptors(pid: u32) -> usize {
    let listed = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    // Whoever lists its own sees the descriptor that it lists them through.
    listed.count() - usize::from(pid == std::process::id())
}

/// Waits until a value is what it should be, and says what it is if it never becomes so.
pub fn eventually<V: PartialEq + Debug>(what: &str, expected: V, mut value: impl FnMut() -> V) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let found = value();
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: {found:?} instead of {expected:?}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for something.
    Sleeping,
    /// Anything else.
    Busy,
}

/// What a thread of this process does.
pub fn thread_state(thread: u32) -> State {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).expect("it lives");
    // The name in front of it, in brackets, may have spaces.
    match stat.rsplit(") ").next() {
        Some(rest) if rest.starts_with('S') => State::Sleeping,
        _ => State::Busy,
    }
}
