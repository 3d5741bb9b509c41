//! The machine: what it is, and its cores.

use crate::{Result, peers::Role, work::Task};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::{collections::HashSet, fs, thread};

/// What a report says of the machine.
pub(crate) struct Machine {
    pub processor: String,
    pub cores: usize,
    pub kernel: String,
    /// How cores are used, in words.
    pub pinning: String,
    /// How many processes wanted a core, on average over the last minute.
    pub load: Option<f64>,
}

impl Machine {
    pub(crate) fn look(cores: &Cores) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = info
            .lines()
            .find_map(|it| it.strip_prefix("model name")?.split_once(':'))
            .map_or("unknown processor", |(_, model)| model.trim());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: processor.to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            pinning: cores.describe(),
            load: load
                .split_whitespace()
                .next()
                .and_then(|it| it.parse().ok()),
        }
    }
}

/// The cores that processes are kept on.
pub(crate) struct Cores(Vec<usize>);

impl Cores {
    /// All that we may use; not two threads of one core before all cores are taken.
    pub(crate) fn all() -> Self {
        let Ok(allowed) = sched_getaffinity(None) else {
            return Self::none();
        };
        let mut cores = Vec::new();
        let mut seen = HashSet::new();
        let mut threads = Vec::new();
        for core in (0..CpuSet::MAX_CPU).filter(|it| allowed.is_set(*it)) {
            let taken = siblings(core).is_some_and(|it| !seen.insert(it));
            if taken { &mut threads } else { &mut cores }.push(core);
        }
        cores.append(&mut threads);
        Self(cores)
    }

    /// The system's scheduler decides.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// The core that a process has for itself: each if there are enough, else one that is the only
    /// one of its role.
    pub(crate) fn of(&self, task: &Task, role: Role, index: usize) -> Option<usize> {
        let Self(cores) = self;
        let place = match role {
            _ if cores.len() < 2 => return None,
            Role::Receiver if task.processes() <= cores.len() => index,
            Role::Sender if task.processes() <= cores.len() => task.receivers + index,
            Role::Receiver if task.receivers == 1 => 0,
            Role::Sender if task.senders == 1 => 1,
            _ => return None,
        };
        cores.get(place).copied()
    }

    fn describe(&self) -> String {
        match self.0.as_slice() {
            [] | [_] => "not pinned".to_owned(),
            [receiver, sender, ..] => format!(
                "receiver on core {receiver}, sender on core {sender}; with more processes than cores, \
                 the only one of its role stays on its core, and the others are not pinned"
            ),
        }
    }
}

/// Keeps this process, and the threads that it will start, on a core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

fn siblings(core: usize) -> Option<String> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    fs::read_to_string(path).ok()
}
