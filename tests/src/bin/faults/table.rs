//! What was tried, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use ipmb_sys::faults::Call;

use crate::case::{Case, name_of};
use crate::worker::{Outcome, is_a_lie};

/// Cells and sums.
#[derive(Default)]
pub struct Table {
    /// System calls of all scenarios, without faults.
    pub calls: u64,
    /// Cases for which there was no time.
    pub untried: u64,
    cells: BTreeMap<(Call, &'static str), Cell>,
    failures: Vec<String>,
    passed: u64,
    failed: u64,
    unreached: u64,
    again: u64,
    lasting: u64,
    hit_caller: u64,
    hit_own_thread: u64,
}

#[derive(Default)]
struct Cell {
    tried: u64,
    failed: u64,
    lie: bool,
}

impl Table {
    pub fn fail(&mut self, what: String) {
        eprintln!("FAILED {what}");
        self.failures.push(what);
    }

    pub fn add(&mut self, case: &Case, outcome: &Outcome, tries: u32) {
        let plan = case.plan;
        let cell = self
            .cells
            .entry((plan.call, name_of(plan.call, plan.fault)));
        let cell = cell.or_default();
        cell.lie |= is_a_lie(plan);
        match outcome {
            Outcome::Unreached => self.unreached += 1,
            Outcome::Fine(seen) => {
                cell.tried += 1;
                self.passed += 1;
                self.again += u64::from(tries > 1);
                self.lasting += u64::from(plan.from_then_on);
                self.hit_caller += u64::from(seen.hit_caller > 0);
                self.hit_own_thread += u64::from(seen.hit_own_thread > 0);
            }
            Outcome::Late(why) | Outcome::Wrong(why) => {
                cell.tried += 1;
                cell.failed += 1;
                self.failed += 1;
                self.fail(format!("--case '{case}': {why}"));
            }
        }
    }

    pub fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Rows are system calls, columns errors, cells how many cases were tried.
    pub fn text(&self, took: Duration) -> String {
        let names: BTreeSet<&str> = self.cells.keys().map(|(_, name)| *name).collect();
        let mut text = format!("\n{:<22}", "cases");
        // Writing to a String cannot fail.
        for name in &names {
            let name = name.trim_start_matches('E');
            let _ = write!(text, " {name:>11}");
        }
        text.push('\n');
        let mut lies = false;
        for &call in Call::ALL {
            if !self.cells.keys().any(|(it, _)| *it == call) {
                continue;
            }
            let _ = write!(text, "{:<22}", call.name());
            for &name in &names {
                let cell = self.cells.get(&(call, name));
                lies |= cell.is_some_and(|cell| cell.lie);
                let _ = write!(text, " {:>11}", cell.map_or(String::new(), Cell::text));
            }
            text.push('\n');
        }
        if lies {
            text += "\n* The call does not refuse, but says what is untrue: that somebody is dead who lives, \
                     something taken that is\n  free, nothing there that is. What follows from that \
                     may be lost; checked are panics, hangs, and what is left behind.\n";
        }
        text += "Not made to fail: munmap, close, and what cannot fail by its manual page.\n";
        for failure in &self.failures {
            let _ = writeln!(text, "FAILED {failure}");
        }
        let _ = writeln!(
            text,
            "\n{} system calls without faults. Of the faults {} hit a thread of the program, {} one \
             of the library; {} lasted.",
            self.calls, self.hit_caller, self.hit_own_thread, self.lasting
        );
        if self.unreached + self.untried + self.again > 0 {
            let _ = writeln!(
                text,
                "{} cases found no such call; {} had to be run again, as they were late or found \
                 none; for {} there was no time.",
                self.unreached, self.again, self.untried
            );
        }
        let _ = writeln!(
            text,
            "{} cases, {} failed ({:.0} s)",
            self.passed + self.failed,
            self.failures.len(),
            took.as_secs_f64()
        );
        text
    }
}

impl Cell {
    fn text(&self) -> String {
        let lie = if self.lie { "*" } else { "" };
        match (self.tried, self.failed) {
            (tried, 0) => format!("{tried}{lie}"),
            (tried, failed) => format!("{failed}/{tried}{lie}!"),
        }
    }
}
