//! What was sampled, and whether it is flat.
//!
//! The first third, 20 s at least, is warm-up: until then what is recycled has not been had by everybody. Over the rest, the slope of each series (see [`trend`](super::trend)), times its length,
//! is how far it has drifted; that must not be more than a bound, or a part of what it is. Only rising counts.

use super::trend::{median, slope};
use ipmb_tests::scale::Usage;
use std::fmt;

/// Samples of all processes.
#[derive(Default)]
pub(super) struct Samples {
    /// When, in seconds; of each member.
    pub(super) members: Vec<(f64, Vec<Usage>)>,
    /// Of the controllers, one after the other, and which they were.
    pub(super) controllers: Vec<(f64, u64, Usage)>,
    pub(super) latency: Vec<(f64, Latency)>,
    /// How many pauses there had been at the last one.
    pub(super) pauses: u64,
}

/// Round trips of requests in µs: medians over the members.
#[derive(Clone, Copy)]
pub(super) struct Latency {
    pub(super) median: f64,
    pub(super) p99: f64,
    /// Of a bare pipe, which tells how busy the machine is.
    pub(super) bare: f64,
}

/// A column of [`Usage`], and how far it may drift: by so much, or by such a part of it.
struct Column {
    what: &'static str,
    of: fn(&Usage) -> i64,
    bound: f64,
    part: f64,
}

const COLUMNS: [Column; 4] = [
    Column {
        what: "private memory, KiB",
        of: |it| it.private,
        bound: 2048.0,
        part: 0.1,
    },
    Column {
        what: "descriptors",
        of: |it| it.descriptors,
        bound: 16.0,
        part: 0.2,
    },
    Column {
        what: "mappings",
        of: |it| it.mappings,
        bound: 16.0,
        part: 0.1,
    },
    Column {
        what: "threads",
        of: |it| it.threads,
        bound: 0.9,
        part: 0.0,
    },
];
/// Of fewer samples nothing can be said.
const FEW: usize = 10;
/// In seconds.
const WARM_UP: f64 = 20.0;
/// How much slower than a bare pipe it may become.
const SLOWER: f64 = 0.5;
/// A controller that lived for less, in seconds, is not judged: it was still warming up.
const LIFE: f64 = 60.0;

/// What came of it.
pub(super) struct Verdict(Vec<Line>);

struct Line {
    what: String,
    /// How many samples it is about.
    samples: usize,
    begin: f64,
    end: f64,
    drift: f64,
    bound: f64,
}

impl Samples {
    pub(super) fn add(
        &mut self,
        now: f64,
        members: Vec<Usage>,
        controller: (u64, Usage),
        reports: &[String],
    ) {
        self.members.push((now, members));
        self.controllers.push((now, controller.0, controller.1));
        let numbers = reports.iter().map(|line| {
            let numbers = line.split(' ').map(str::parse);
            numbers
                .map(|it| it.expect("a number"))
                .collect::<Vec<f64>>()
        });
        let numbers: Vec<Vec<f64>> = numbers.collect();
        let of = |index: usize| median(numbers.iter().map(|it| it[index]).collect());
        // In a short time there may have been no request.
        if of(0) > 0.0 && of(3) > 0.0 {
            let latency = Latency {
                median: of(0),
                p99: of(1),
                bare: of(3),
            };
            self.latency.push((now, latency));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}

/// Judges all series.
pub(super) fn judge(samples: &Samples) -> Verdict {
    let mut lines = Vec::new();
    let count = samples.members.first().map_or(0, |it| it.1.len());
    for column in &COLUMNS {
        let of = |member: usize| -> Vec<(f64, f64)> {
            let samples = samples.members.iter();
            samples
                .map(|(at, it)| (*at, (column.of)(&it[member]) as f64))
                .collect()
        };
        let members = (0..count).map(|it| column.line("of a member", &of(it)));
        lines.extend(members.max_by(Line::compare));
    }
    let last = samples.controllers.last().map_or(0, |it| it.1);
    for column in &COLUMNS {
        let of = |which: u64| -> Vec<(f64, f64)> {
            let samples = samples.controllers.iter().filter(|it| it.1 == which);
            samples
                .map(|(at, _, it)| (*at, (column.of)(it) as f64))
                .collect()
        };
        let long = |series: &Vec<(f64, f64)>| length(series) >= LIFE;
        let lives = (0..=last).map(of).filter(long);
        let lives = lives.map(|it| column.line("of a controller", &it));
        lines.extend(lives.max_by(Line::compare));
    }
    let ratio = samples
        .latency
        .iter()
        .map(|(at, it)| (*at, it.median / it.bare));
    let ratio: Vec<(f64, f64)> = ratio.collect();
    let mut line = Line::new("request, in bare round trips", &ratio);
    line.bound = SLOWER * line.begin;
    lines.push(line);
    Verdict(lines)
}

impl Column {
    fn line(&self, whose: &str, series: &[(f64, f64)]) -> Line {
        let mut line = Line::new(&format!("{} {whose}", self.what), series);
        line.bound = self.bound.max(self.part * line.begin);
        line
    }
}

impl Line {
    fn new(what: &str, series: &[(f64, f64)]) -> Self {
        let begin = series.first().map_or(0.0, |it| it.0) + (length(series) / 3.0).max(WARM_UP);
        let judged = &series[series.partition_point(|it| it.0 < begin)..];
        let tenth = judged.len().div_ceil(10);
        let values = |part: &[(f64, f64)]| median(part.iter().map(|it| it.1).collect());
        Self {
            what: what.to_owned(),
            samples: judged.len(),
            begin: values(&judged[..tenth]),
            end: values(&judged[judged.len().saturating_sub(tenth)..]),
            drift: slope(judged) * length(judged),
            bound: 0.0,
        }
    }

    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        (self.drift - self.bound).total_cmp(&(other.drift - other.bound))
    }

    fn is_flat(&self) -> bool {
        self.samples >= FEW && self.drift <= self.bound
    }
}

/// From the first to the last sample.
fn length(series: &[(f64, f64)]) -> f64 {
    match series {
        [first, .., last] => last.0 - first.0,
        _ => 0.0,
    }
}

impl Verdict {
    pub(super) fn is_flat(&self) -> bool {
        self.0.iter().all(Line::is_flat)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<36} {:>10} {:>10} {:>10} {:>10}",
            "after the warm-up, worst", "begin", "end", "drift", "bound"
        )?;
        for line in &self.0 {
            let mark = match line.is_flat() {
                true => "flat",
                false if line.samples < FEW => "TOO FEW SAMPLES",
                false => "RISES",
            };
            let Line {
                what,
                begin,
                end,
                drift,
                bound,
                ..
            } = line;
            writeln!(
                f,
                "{what:<36} {begin:>10.1} {end:>10.1} {drift:>+10.2} {bound:>10.2} {mark}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(leak: i64) -> Verdict {
        let mut samples = Samples::default();
        for at in 0..300 {
            let usage = Usage {
                private: 9000 + leak * at,
                descriptors: 60,
                mappings: 200,
                threads: 5,
                ..Usage::default()
            };
            samples.add(
                at as f64,
                vec![usage; 3],
                (0, usage),
                &vec!["50 900 9 25".into(); 3],
            );
        }
        judge(&samples)
    }

    #[test]
    fn what_stays_is_flat_and_what_leaks_rises() {
        assert!(judged(0).is_flat());
        assert!(judged(-100).is_flat());
        let leak = judged(20);
        assert!(!leak.is_flat());
        assert_eq!(leak.to_string().matches("RISES").count(), 2);
    }
}
