//! Table and TSV.

use crate::{
    Result,
    compare::Outcome,
    machine::{self, Cores},
    options::Options,
    peers,
    statistics::Summary,
    work::Task,
};
use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

/// What was measured where.
pub(crate) fn head(options: &Options, cores: &Cores) -> String {
    let pinned = cores.describe();
    let mut head = format!(
        "{}\n{pinned};\n{} × {} ms after {} ms of warm-up, the systems taking turns; medians, min … max.\n\
         “ipmb is”: how many times as good ipmb is as the system in that line.\n",
        machine::describe(),
        options.repetitions,
        options.time.as_millis(),
        options.warm_up.as_millis(),
    );
    if let Some(load) = machine::load().filter(|it| *it > 0.3) {
        let _ = writeln!(
            head,
            "The machine is not quiet: its load is {load}. Ratios hold better than figures."
        );
    }
    head
}

/// One task's table.
pub(crate) fn table(task: &Task, outcomes: &[Outcome]) -> String {
    let headline = task.work.headline();
    let ours = outcomes.iter().find(|it| it.peer.name == peers::OURS);
    let ours = ours.and_then(|it| it.summary(headline.figure));

    let mut table = format!("{}, {}\n", task.work.title(), variant(task));
    let details = task.work.details();
    let _ = write!(
        table,
        "  {:<13} {:>12} {:>25} {:>9}",
        "", headline.figure, "min … max", "ipmb is"
    );
    for figure in details {
        let _ = write!(table, "  {figure}");
    }
    table.push('\n');
    for outcome in outcomes {
        let name = outcome.peer.name;
        let Some(it) = outcome.summary(headline.figure) else {
            let why = outcome.stopped.as_deref().unwrap_or_default();
            let _ = writeln!(table, "  {name:<13} {:>12} {why}", "-");
            continue;
        };
        let ratio = match ours {
            Some(ours) if headline.more_is_better => times(ours.median / it.median),
            Some(ours) => times(it.median / ours.median),
            None => String::new(),
        };
        let spread = format!("{} … {}", number(it.min), number(it.max));
        let _ = write!(
            table,
            "  {name:<13} {:>12} {spread:>25} {ratio:>9}",
            number(it.median)
        );
        for figure in details {
            let it = outcome.summary(figure).map(|it| number(it.median));
            let width = figure.chars().count();
            let _ = write!(table, "  {:>width$}", it.unwrap_or_default());
        }
        table.push('\n');
        if let Some(why) = &outcome.stopped {
            let count = outcome.repetitions.len();
            let _ = writeln!(table, "  {name:<13} after {count} repetitions: {why}");
        }
    }
    table
}

/// Every figure in a line of its own.
pub(crate) struct Tsv(BufWriter<File>);

impl Tsv {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        writeln!(
            file,
            "work\tbytes\treceivers\tsenders\tpeer\trepetition\tfigure\tvalue"
        )?;
        Ok(Self(file))
    }

    pub(crate) fn write(&mut self, task: &Task, outcomes: &[Outcome]) -> Result<()> {
        for outcome in outcomes {
            let name = outcome.peer.name;
            for (index, figures) in outcome.repetitions.iter().enumerate() {
                for (figure, value) in figures {
                    let (work, bytes, repetition) = (task.work.name(), task.size, index + 1);
                    let (receivers, senders) = (task.receivers, task.senders);
                    writeln!(
                        self.0,
                        "{work}\t{bytes}\t{receivers}\t{senders}\t{name}\t{repetition}\t{figure}\t{value}"
                    )?;
                }
            }
        }
        Ok(self.0.flush()?)
    }
}

impl Outcome {
    fn summary(&self, figure: &str) -> Option<Summary> {
        let all = self.repetitions.iter().flatten();
        let values: Vec<f64> = all.filter(|it| it.0 == figure).map(|it| it.1).collect();
        Summary::of(&values)
    }
}

/// What tells a task from others of its work.
pub(crate) fn variant(task: &Task) -> String {
    let size = size(task.size);
    match (task.senders, task.receivers) {
        (1, 1) => size,
        (senders, receivers) => format!("{size}, {senders} → {receivers}"),
    }
}

/// A size of a message.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

/// A figure with three digits that count, or all before the point.
fn number(value: f64) -> String {
    if value < 100.0 {
        let digits = if value < 10.0 { 2 } else { 1 };
        return format!("{value:.digits$}");
    }
    let plain = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn times(ratio: f64) -> String {
    format!("{}×", number(ratio))
}

#[cfg(test)]
mod tests {
    use super::{number, size};

    #[test]
    fn figures_are_readable() {
        assert_eq!(number(1.234), "1.23");
        assert_eq!(number(99.0), "99.0");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(
            [size(16), size(4096), size(1 << 20), size(1500)],
            ["16 B", "4 KiB", "1 MiB", "1500 B"]
        );
    }
}
