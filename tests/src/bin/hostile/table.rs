//! The table of attacks.

use crate::{
    attack::{Attack, NOBODY, Outcome},
    supervise::Confession,
    victims::{Report, Weight},
};
use std::{collections::BTreeSet, process::ExitCode};

/// So many of an attack are shown.
const PROBLEMS: usize = 8;

/// What came of an attack.
#[derive(Default)]
pub struct Row {
    name: &'static str,
    target: &'static str,
    expected: Option<Outcome>,
    quota: (usize, u64),
    tried: u64,
    refused: u64,
    pids: BTreeSet<u32>,
    /// Log lines that name the attacker's process.
    named: u64,
    bystanders: u64,
    victim: u64,
    pub visits: (u64, u64, u64),
    pub tick: u64,
    /// How long the same members waited without an attack.
    pub quiet: u64,
    weights: Vec<(&'static str, [Weight; 3])>,
    dead: bool,
    pub problems: Vec<String>,
}

impl Row {
    pub fn new(attack: &Attack) -> Self {
        Self {
            name: attack.name,
            target: attack.target,
            expected: (attack.name != NOBODY.name).then_some(attack.outcome),
            quota: attack.quota,
            ..Self::default()
        }
    }

    pub fn confess(&mut self, confession: &Confession, hung: bool) {
        self.tried = confession.tried;
        self.refused = confession.refused;
        self.pids = confession.pids.clone();
        self.problems = confession.problems.clone();
        if hung {
            self.problems
                .push("the attacker did not come to an end".into());
        }
    }

    pub fn read_log(&mut self, member: &str, text: &str) {
        for line in text.lines() {
            let names = |pid: &u32| {
                line.contains(&format!("pid={pid} ")) || line.ends_with(&format!("pid={pid}"))
            };
            if self.pids.iter().any(names) {
                self.named += 1;
            }
            if line.contains("panicked")
                || line.contains("Sanitizer")
                || line.contains("sender ") && line.contains("not the message")
            {
                self.problems.push(format!("{member}: {line}"));
            }
        }
        if text.contains("sending to") || text.contains("asking ") || text.contains("receiving:") {
            let line = text.lines().find(|it| {
                it.contains("sending to") || it.contains("asking ") || it.contains("receiving:")
            });
            self.problems
                .extend(line.map(|line| format!("{member}: {line}")));
        }
    }

    pub fn weigh(&mut self, member: &'static str, weights: [Weight; 3]) {
        self.weights.push((member, weights));
    }

    pub fn hear(&mut self, member: &'static str, report: &Report) {
        let value = |key| report.get(key).copied().unwrap_or(0);
        if report.is_empty() {
            self.dead = true;
            return self.problems.push(format!("{member} does not answer"));
        }
        let (waits, tick) = (
            [value("gap"), value("send"), value("ask"), value("late")],
            value("tick"),
        );
        self.tick = self.tick.max(tick);
        let longest = waits.into_iter().max().unwrap_or(0);
        match member == self.target {
            true => self.victim = self.victim.max(longest),
            false => self.bystanders = self.bystanders.max(longest),
        }
        for what in ["broken", "failed"] {
            if value(what) > 0 {
                self.problems
                    .push(format!("{member}: {} messages {what}", value(what)));
            }
        }
        if value("received") == 0 && member != "hermit" {
            self.problems.push(format!("{member} has received nothing"));
        }
    }

    pub fn judge(&mut self, (longest, join): (u64, u64), (descriptors, memory): (usize, u64)) {
        let (_, visits, failed) = self.visits;
        if visits == 0 || failed > 0 {
            self.problems
                .push(format!("{failed} of {visits} visits failed"));
        }
        // Who is attacked shall not stall either, as far as honest members are concerned.
        // A question passes through three threads until its answer is there. And what is measured twice on
        // a machine as busy as that differs by as much.
        let machine = (3 * self.tick).max(2 * self.quiet);
        let waited = self.bystanders.max(self.victim);
        let stall = waited.saturating_sub(machine);
        if stall > longest && self.expected.is_some() {
            self.problems
                .push(format!("somebody was stalled for {} ms", stall / 1000));
        }
        if self.visits.0.saturating_sub(machine) > join && self.expected.is_some() {
            self.problems.push("a newcomer was stalled".into());
        }
        for (member, [before, peak, after]) in &self.weights {
            let (quota_descriptors, quota_memory) = self.quota;
            // Members have the same limit as we do.
            let quota_descriptors = quota_descriptors.min(ipmb_sys::descriptor_limit() / 2);
            let more = |what: &str, most: u64, found: u64| {
                format!("{member}: {found} {what} more, where {most} are allowed")
            };
            let grown = peak.descriptors.saturating_sub(before.descriptors);
            if grown > quota_descriptors {
                self.problems
                    .push(more("descriptors", quota_descriptors as u64, grown as u64));
            }
            let grown = peak.memory.saturating_sub(before.memory);
            if grown > quota_memory {
                self.problems.push(more("KiB", quota_memory, grown));
            }
            let kept = after.descriptors.saturating_sub(before.descriptors);
            if kept > descriptors {
                self.problems.push(more(
                    "descriptors afterwards",
                    descriptors as u64,
                    kept as u64,
                ));
            }
            let kept = after.memory.saturating_sub(before.memory);
            if kept > memory {
                self.problems.push(more("KiB afterwards", memory, kept));
            }
        }
        if self.expected.is_some() && self.tried == 0 {
            self.problems.push("nothing was tried".into());
        }
        if self.expected == Some(Outcome::CutOff) && self.named == 0 {
            self.problems.push("no log line names the attacker".into());
        }
        if self.expected == Some(Outcome::Refused) && self.refused == 0 {
            self.problems.push("nothing was refused".into());
        }
    }

    /// The longest that anybody has waited, in microseconds.
    pub fn longest(&self) -> u64 {
        self.bystanders.max(self.victim).max(self.visits.0)
    }

    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    pub fn is_alive(&self) -> bool {
        !self.dead
    }

    fn saw(&self) -> String {
        match (self.named, self.refused) {
            (0, 0) => "nothing".to_owned(),
            (0, refused) => format!("refused ×{refused}"),
            (named, _) => format!("cut off ×{named}"),
        }
    }
}

/// All of them.
pub struct Table {
    failed: usize,
    rows: usize,
}

impl Table {
    pub fn new() -> Self {
        println!(
            "\n{:<44} {:>8}  {:<16} {:>8} {:>8} {:>8} {:>8}  {:>18} {:>14}  ",
            "attack",
            "tried",
            "the victim saw",
            "others",
            "victim",
            "join",
            "machine",
            "memory MiB",
            "descriptors"
        );
        println!(
            "{:<44} {:>8}  {:<16} {:>8} {:>8} {:>8} {:>8}  {:>18} {:>14}  ",
            "", "", "", "ms", "ms", "ms", "ms", "before/most/after", "b/most/a"
        );
        Self { failed: 0, rows: 0 }
    }

    pub fn add(&mut self, row: &Row) {
        let ms = |micros: u64| format!("{:.1}", micros as f64 / 1000.0);
        // The one that has grown most.
        let grown = |weights: &[Weight; 3]| weights[1].memory.saturating_sub(weights[0].memory);
        let memory = row.weights.iter().max_by_key(|(_, weights)| grown(weights));
        let memory = memory.map(|(_, it)| {
            it.map(|weight| format!("{}", weight.memory >> 10))
                .join("/")
        });
        let grown = |weights: &[Weight; 3]| {
            weights[1]
                .descriptors
                .saturating_sub(weights[0].descriptors)
        };
        let descriptors = row.weights.iter().max_by_key(|(_, weights)| grown(weights));
        let descriptors =
            descriptors.map(|(_, it)| it.map(|weight| weight.descriptors.to_string()).join("/"));
        println!(
            "{:<44} {:>8}  {:<16} {:>8} {:>8} {:>8} {:>8}  {:>18} {:>14}  {}",
            row.name,
            row.tried,
            row.saw(),
            ms(row.bystanders),
            ms(row.victim),
            ms(row.visits.0),
            ms(row.tick),
            memory.unwrap_or_default(),
            descriptors.unwrap_or_default(),
            if row.problems.is_empty() {
                "ok"
            } else {
                "FAILED"
            }
        );
        for problem in row.problems.iter().take(PROBLEMS) {
            println!("      {problem}");
        }
        self.rows += 1;
        self.failed += usize::from(!row.problems.is_empty());
    }

    pub fn finish(&self) -> ExitCode {
        println!("\n{} attacks, {} failed", self.rows, self.failed);
        println!(
            "others, victim: the longest that honest members waited for a message, an answer, or a call to return; \
             join: for a newcomer's join and first message; machine: for the processor, in a thread that only sleeps"
        );
        match self.failed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}
