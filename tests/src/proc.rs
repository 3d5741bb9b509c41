//! What the kernel says about a process.

use crate::DEADLINE;
use std::{
    collections::BTreeMap,
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

/// What a thread has done so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// What it is called.
    pub name: String,
    /// How often it was switched to or away from, by its own will or not.
    pub switches: u64,
    /// How long it has run, in nanoseconds.
    pub runtime: u64,
}

/// What each thread of a process has done so far.
pub fn activity(pid: u32) -> BTreeMap<u32, Activity> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let of = |task: fs::DirEntry| {
        let read = |file| fs::read_to_string(task.path().join(file)).ok();
        let status = read("status")?;
        let value = |key| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.map(str::trim).expect("the kernel says so")
        };
        let number = |key| value(key).parse::<u64>().expect("a number");
        let schedule = read("schedstat")?;
        let runtime = schedule.split(' ').next().map(str::parse);
        let activity = Activity {
            name: value("Name:").to_owned(),
            switches: number("voluntary_ctxt_switches:") + number("nonvoluntary_ctxt_switches:"),
            runtime: runtime.expect("three numbers").expect("a number"),
        };
        Some((task.file_name().to_str()?.parse().ok()?, activity))
    };
    // A thread may end while it is looked at.
    tasks.flatten().filter_map(of).collect()
}
