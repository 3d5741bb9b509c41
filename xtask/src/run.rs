//! Runs steps one after the other, and says how they went.

use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tool::{Source, Tool};

/// One named part of the tests.
pub(crate) struct Step {
    /// One word, by which it can be selected.
    pub name: &'static str,
    pub about: &'static str,
    pub needs: &'static [Tool],
    pub command: Command,
}

/// How a step went.
pub(crate) struct Report {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Report {
    pub(crate) fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// Runs every step, whatever became of the ones before. With `install`, tools that are missing are
/// installed, and a step that still lacks one has failed.
pub(crate) fn all(steps: Vec<Step>, install: bool) -> Vec<Report> {
    let run = |step: Step| {
        let start = Instant::now();
        println!("\n──── {}: {}", step.name, step.about);
        let outcome = match prepare(step.needs, install) {
            Ok(()) => execute(step.command),
            Err(outcome) => outcome,
        };
        Report {
            name: step.name,
            outcome,
            took: start.elapsed(),
        }
    };
    steps.into_iter().map(run).collect()
}

/// Sees that all of `needs` are there, or says what comes of it that one is not.
fn prepare(needs: &[Tool], install: bool) -> Result<(), Outcome> {
    for tool in needs.iter().filter(|it| !it.is_there()) {
        let name = tool.name;
        match tool.source {
            Source::ByHand(hint) => {
                return Err(Outcome::Skipped(format!("there is no {name}: {hint}")));
            }
            _ if !install => {
                return Err(Outcome::Skipped(format!(
                    "there is no {name}: `cargo xtask test --all` installs it"
                )));
            }
            _ => tool.install(),
        }
        if !tool.is_there() {
            return Err(Outcome::Failed(format!("{name} could not be installed")));
        }
    }
    Ok(())
}

fn execute(mut command: Command) -> Outcome {
    println!("$ {}", line(&command));
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(status.to_string()),
        Err(error) => Outcome::Failed(format!("it did not start: {error}")),
    }
}

/// A command as one would type it.
fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}='{value}'", name.to_string_lossy()))
    });
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    let words = words.map(|it| it.to_string_lossy().into_owned());
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// The closing table: a line per step, the reasons, the sum.
pub(crate) fn table(reports: &[Report]) -> String {
    let mut table = format!("\n{:<14} {:<8} {:>8}\n", "step", "result", "seconds");
    let mut reasons = String::new();
    let mut sums = [0; 3];
    for report in reports {
        let name = report.name;
        let (index, result, reason) = match &report.outcome {
            Outcome::Passed => (0, "passed", None),
            Outcome::Failed(reason) => (1, "FAILED", Some(reason)),
            Outcome::Skipped(reason) => (2, "skipped", Some(reason)),
        };
        sums[index] += 1;
        let seconds = report.took.as_secs_f64();
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{name:<14} {result:<8} {seconds:>8.1}");
        if let Some(reason) = reason {
            let _ = writeln!(reasons, "{result}: {name}: {reason}");
        }
    }
    let [passed, failed, skipped] = sums;
    format!("{table}\n{reasons}{passed} passed, {failed} failed, {skipped} skipped\n")
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{Outcome, Report, Step, all, execute, line, table};
    use crate::cargo;
    use crate::tool::{Source, Tool};

    const PRESENT: Tool = Tool {
        name: "cargo",
        check: &[env!("CARGO"), "--version"],
        source: Source::ByHand("unused"),
    };
    const ABSENT: &[&str] = &["ipmb-test-no-such-program"];

    fn step(needs: &'static [Tool]) -> Step {
        Step {
            name: "version",
            about: "asks cargo for its version",
            needs,
            command: cargo(&["--version"]),
        }
    }

    fn outcome(needs: &'static [Tool], install: bool) -> Outcome {
        let mut reports = all(vec![step(needs)], install);
        reports.pop().expect("one report").outcome
    }

    #[test]
    fn the_exit_status_decides() {
        assert_eq!(outcome(&[PRESENT], false), Outcome::Passed);
        let refused = execute(cargo(&["--no-such-option"]));
        assert!(matches!(refused, Outcome::Failed(_)), "{refused:?}");
        let missing = execute(Command::new(ABSENT[0]));
        assert!(matches!(&missing, Outcome::Failed(why) if why.starts_with("it did not start")));
    }

    #[test]
    fn a_missing_tool_skips_the_step_and_says_how_to_get_it() {
        const NEEDS: &[Tool] = &[Tool {
            name: "thing",
            check: ABSENT,
            source: Source::Debian(&[], None),
        }];
        let Outcome::Skipped(reason) = outcome(NEEDS, false) else {
            panic!("not skipped");
        };
        assert!(
            reason.contains("no thing") && reason.contains("--all"),
            "{reason}"
        );
    }

    #[test]
    fn with_install_a_tool_that_stays_missing_is_a_failure() {
        const NEEDS: &[Tool] = &[Tool {
            name: "thing",
            check: ABSENT,
            source: Source::Command(&[env!("CARGO"), "--version"]),
        }];
        let failed = Outcome::Failed("thing could not be installed".to_owned());
        assert_eq!(outcome(NEEDS, true), failed);
    }

    #[test]
    fn what_only_a_person_can_install_is_skipped_either_way() {
        const NEEDS: &[Tool] = &[Tool {
            name: "thing",
            check: ABSENT,
            source: Source::ByHand("buy one"),
        }];
        let skipped = Outcome::Skipped("there is no thing: buy one".to_owned());
        assert_eq!(outcome(NEEDS, true), skipped);
        assert_eq!(outcome(NEEDS, false), skipped);
    }

    #[test]
    fn the_table_lists_results_and_reasons() {
        let report = |name, outcome| Report {
            name,
            outcome,
            took: Duration::from_millis(1_500),
        };
        let reports = [
            report("one", Outcome::Passed),
            report("two", Outcome::Failed("exit status: 101".to_owned())),
            report("three", Outcome::Skipped("no tool".to_owned())),
        ];
        assert_eq!(
            table(&reports),
            "
step           result    seconds
one            passed        1.5
two            FAILED        1.5
three          skipped       1.5

FAILED: two: exit status: 101
skipped: three: no tool
1 passed, 1 failed, 1 skipped
"
        );
        assert!(reports[1].failed() && !reports[0].failed() && !reports[2].failed());
    }

    #[test]
    fn a_command_is_shown_with_its_variables() {
        let mut command = Command::new("cargo");
        command
            .args(["test", "--doc"])
            .env("RUSTFLAGS", "--cfg loom");
        assert_eq!(line(&command), "RUSTFLAGS='--cfg loom' cargo test --doc");
    }
}
