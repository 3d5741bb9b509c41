//! A task's table for the terminal.

use super::{number, variant};
use crate::{compare::Outcome, peers, work::Task};
use std::fmt::Write as _;

/// One task's table.
pub(crate) fn table(task: &Task, outcomes: &[Outcome]) -> String {
    let about = task.work.about();
    let ours = outcomes.iter().find(|it| it.peer.name == peers::OURS);
    let ours = ours.and_then(|it| it.summary(about.headline));

    let mut table = format!("{}, {}\n", about.title, variant(task));
    let details = about.details;
    let width = outcomes.iter().map(|it| it.peer.name.len()).max();
    let width = width.unwrap_or_default();
    let _ = write!(
        table,
        "  {:width$} {:>14} {:>25} {:>9}",
        "", about.headline, "min … max", "ipmb is"
    );
    for figure in details {
        let _ = write!(table, "  {figure}");
    }
    table.push('\n');
    for outcome in outcomes {
        let name = outcome.peer.name;
        let Some(it) = outcome.summary(about.headline) else {
            let why = outcome.stopped.as_deref().unwrap_or_default();
            let _ = writeln!(table, "  {name:width$} {:>14} {why}", "-");
            continue;
        };
        let ratio = match ours {
            Some(ours) if about.more_is_better => times(ours.median / it.median),
            Some(ours) => times(it.median / ours.median),
            None => String::new(),
        };
        let spread = format!("{} … {}", number(it.min), number(it.max));
        let _ = write!(
            table,
            "  {name:width$} {:>14} {spread:>25} {ratio:>9}",
            number(it.median)
        );
        for figure in details {
            let it = outcome.summary(figure).map(|it| number(it.median));
            let width = figure.chars().count();
            let _ = write!(table, "  {:>width$}", it.unwrap_or_else(|| "-".to_owned()));
        }
        table.push('\n');
        if let Some(why) = &outcome.stopped {
            let count = outcome.repetitions.len();
            let _ = writeln!(table, "  {name:width$} after {count} repetitions: {why}");
        }
    }
    table
}

fn times(ratio: f64) -> String {
    format!("{}×", number(ratio))
}
