//! What was found, in a table.

use super::Usage;
use std::{fmt, time::Duration};

/// One line of the table.
#[derive(Debug)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// How much, in `unit`.
    pub value: f64,
    /// How much it may be.
    pub goal: Option<f64>,
    /// Its unit.
    pub unit: &'static str,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Figures(pub Vec<Figure>);

/// Private memory of an idle endpoint.
pub const MEMORY: &str = "idle endpoint: private memory (Private_*)";
/// Descriptors of an idle endpoint.
pub const DESCRIPTORS: &str = "idle endpoint: descriptors";

impl Figures {
    fn add(&mut self, what: &str, value: f64, goal: Option<f64>, unit: &'static str) {
        self.0.push(Figure {
            what: what.to_owned(),
            value,
            goal,
            unit,
        });
    }

    pub(super) fn time(&mut self, what: &str, value: Duration, goal: Option<Duration>) {
        let ms = |it: Duration| it.as_secs_f64() * 1e3;
        self.add(what, ms(value), goal.map(ms), "ms");
    }

    pub(super) fn per_endpoint(&mut self, used: &Usage, count: usize) {
        let each = |value: i64| value as f64 / count as f64;
        self.add(MEMORY, each(used.private), Some(256.0), "KiB");
        self.add(
            "idle endpoint: proportional memory (Pss)",
            each(used.proportional),
            None,
            "KiB",
        );
        self.add(DESCRIPTORS, each(used.descriptors), Some(11.0), "");
        self.add("idle endpoint: mappings", each(used.mappings), None, "");
        self.add("idle endpoint: threads", each(used.threads), None, "");
    }

    pub(super) fn that_looked(&mut self, used: &Usage, count: usize) {
        let each = used.private as f64 / count as f64;
        let what = "endpoint that has sent to nobody: private memory";
        self.add(what, each, None, "KiB");
    }

    pub(super) fn controller(&mut self, used: &Usage, count: usize) {
        let each = |value: i64| value as f64 / count as f64;
        self.add(
            "controller, for each member: proportional memory",
            each(used.proportional),
            None,
            "KiB",
        );
        self.add(
            "controller, for each member: descriptors",
            each(used.descriptors),
            None,
            "",
        );
    }

    pub(super) fn idle(&mut self, switches: u64, runtime: u64, time: Duration) {
        let seconds = time.as_secs_f64();
        self.add(
            "idle bus: switches of thread",
            switches as f64 / seconds,
            Some(0.0),
            "/s",
        );
        self.add(
            "idle bus: CPU",
            runtime as f64 / 1e6 / seconds,
            Some(0.0),
            "ms/s",
        );
    }

    pub(super) fn exactly_once(&mut self, messages: u64, count: usize) {
        let deliveries = messages as f64 * count as f64;
        self.add("deliveries, each once and in order", deliveries, None, "");
    }

    /// Those with a goal that they miss.
    pub fn missed(&self) -> impl Iterator<Item = &Figure> {
        self.0
            .iter()
            .filter(|it| it.goal.is_some_and(|goal| it.value > goal))
    }

    /// The value of one.
    pub fn value(&self, what: &str) -> f64 {
        let figure = self.0.iter().find(|it| it.what == what);
        figure
            .unwrap_or_else(|| panic!("there is no figure {what}"))
            .value
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<66} {:>10} {:>9}", "", "found", "goal")?;
        for figure in &self.0 {
            let Figure {
                what,
                value,
                goal,
                unit,
            } = figure;
            let goal = goal.map_or(String::new(), |goal| format!("≤ {goal}"));
            let digits = if *value < 10.0 { 2 } else { 0 };
            let mark = if self.missed().any(|it| it.what == *what) {
                " MISSED"
            } else {
                ""
            };
            writeln!(f, "{what:<66} {value:>10.digits$} {goal:>9} {unit}{mark}")?;
        }
        Ok(())
    }
}
