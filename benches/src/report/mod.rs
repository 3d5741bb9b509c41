//! Head, tables, TSV and JSON.

mod json;
mod table;
mod tsv;

pub(crate) use json::write_json;
pub(crate) use table::table;
pub(crate) use tsv::Tsv;

use crate::{machine::Machine, options::Options, work::Task};
use std::fmt::Write as _;

/// Above it, a machine has something else to do.
const QUIET: f64 = 0.3;

/// What was measured where.
pub(crate) fn head(options: &Options, machine: &Machine) -> String {
    let mut head = format!(
        "{}, {} cores, Linux {}\n{}\n\
         {} × {} ms after {} ms of warm-up, the systems taking turns; medians, min … max.\n\
         “ipmb is”: how many times as good ipmb is as the system in that line.\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.pinning,
        options.repetitions,
        options.time.as_millis(),
        options.warm_up.as_millis(),
    );
    let load = machine.load.unwrap_or_default();
    let remark = if load > QUIET {
        ": it is not quiet. Ratios hold better than figures"
    } else {
        ""
    };
    // Writing to a String cannot fail.
    let _ = writeln!(head, "The machine's load is {load}{remark}.");
    head
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
pub(crate) fn number(value: f64) -> String {
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
