//! What the kernel says about a process.

use crate::DEADLINE;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
    os::unix::fs::MetadataExt,
    thread,
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

/// Whether all threads of a process are stopped, as by `SIGSTOP`.
pub fn is_stopped(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let stopped = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    };
    tasks.flatten().all(stopped)
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

/// What a process has: descriptors, mapped files, threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belongings(BTreeMap<String, usize>);

impl Belongings {
    /// What this process has now.
    pub fn of_this_process() -> Self {
        let mut counts = BTreeMap::new();
        let mut count = |what: String| *counts.entry(what).or_default() += 1;
        for entry in fs::read_dir("/proc/self/fd").expect("it lives").flatten() {
            // The one that they are listed through is gone by now.
            if let Ok(target) = fs::read_link(entry.path())
                && !target.starts_with(format!("/proc/{}/fd", std::process::id()))
            {
                let name = target.to_string_lossy();
                // Sockets and pipes have numbers.
                let kind = name.split(':').next().unwrap_or_default();
                count(format!("descriptor of {kind}"));
            }
        }
        for line in fs::read_to_string("/proc/self/maps")
            .expect("it lives")
            .lines()
        {
            // What has no name is the allocator's, or a stack that is kept for the next thread.
            if let Some(path) = line.split_whitespace().nth(5)
                && path.starts_with('/')
            {
                count(format!("mapping of {path}"));
            }
        }
        for _ in fs::read_dir("/proc/self/task").expect("it lives") {
            count("thread".to_owned());
        }
        Self(counts)
    }

    /// What this process has now that it had not: `nothing`, or a list.
    pub fn what_is_new(&self) -> String {
        let now = Self::of_this_process();
        let new: Vec<String> = (now.0.into_iter())
            .filter_map(|(what, count)| {
                let before = self.0.get(&what).copied().unwrap_or_default();
                (count > before).then(|| format!("{} {what}", count - before))
            })
            .collect();
        match new.is_empty() {
            true => "nothing".to_owned(),
            false => new.join(", "),
        }
    }
}

/// The memory files (by their numbers) that any of these processes has open or mapped.
pub fn memory_files(pids: impl IntoIterator<Item = u32>) -> BTreeSet<u64> {
    let mut files = BTreeSet::new();
    for pid in pids {
        // Any of them may end meanwhile.
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
        for entry in descriptors.flatten().flatten() {
            let is_memory = fs::read_link(entry.path())
                .is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:"));
            if is_memory && let Ok(file) = fs::metadata(entry.path()) {
                files.insert(file.ino());
            }
        }
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        for line in maps.lines() {
            let mut words = line.split_whitespace().skip(4);
            if let (Some(number), Some(path)) = (words.next(), words.next())
                && path.starts_with("/memfd:")
            {
                files.insert(number.parse().expect("a number"));
            }
        }
    }
    files
}

/// All processes.
pub fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("it is mounted").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.collect()
}

/// The processes that were started with this word in their command line.
pub fn started_with(word: &str) -> Vec<u32> {
    let has = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    all().into_iter().filter(has).collect()
}
