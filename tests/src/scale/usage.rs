//! What processes use, as the kernel says.

use std::{fs, iter::Sum};

/// Memory and descriptors of one process, or of several.
#[derive(Debug, Default, Clone, Copy)]
pub struct Usage {
    /// Memory that is this process's alone: `Private_Clean` and `Private_Dirty` of `smaps_rollup`, in KiB.
    pub private: i64,
    /// The proportional set size: what it shares is divided by those who share it. In KiB.
    pub proportional: i64,
    /// Descriptors.
    pub descriptors: i64,
    /// Mappings.
    pub mappings: i64,
    /// Threads.
    pub threads: i64,
}

impl Usage {
    /// Of a process that lives.
    pub fn of(pid: u32) -> Self {
        Self::try_of(pid).expect("the process lives")
    }

    /// Of a process that may have ended.
    pub fn try_of(pid: u32) -> Option<Self> {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let kib = |name: &str| -> Option<i64> {
            let line = rollup.lines().find_map(|it| it.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let count = |what: &str| -> Option<i64> {
            Some(fs::read_dir(format!("/proc/{pid}/{what}")).ok()?.count() as i64)
        };
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        Some(Self {
            private: kib("Private_Clean:")? + kib("Private_Dirty:")?,
            proportional: kib("Pss:")?,
            descriptors: count("fd")?,
            mappings: maps.lines().count() as i64,
            threads: count("task")?,
        })
    }

    /// What has come since.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            private: self.private - before.private,
            proportional: self.proportional - before.proportional,
            descriptors: self.descriptors - before.descriptors,
            mappings: self.mappings - before.mappings,
            threads: self.threads - before.threads,
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| Self {
            private: sum.private + it.private,
            proportional: sum.proportional + it.proportional,
            descriptors: sum.descriptors + it.descriptors,
            mappings: sum.mappings + it.mappings,
            threads: sum.threads + it.threads,
        })
    }
}
