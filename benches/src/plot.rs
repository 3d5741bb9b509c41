//! Plots of a comparison: throughput by size, latencies, fan-out by receivers.

use crate::{
    Result,
    compare::{Comparison, Outcome},
    machine::Machine,
    peers, report,
    work::{Task, Work},
};
use ipmb_plot::{Chart, Series};
use std::{fs, path::Path};

/// The percentiles of a plot of latencies, by name.
const PERCENTILES: [(&str, &str); 5] = [
    ("median µs", "50%"),
    ("90% µs", "90%"),
    ("99% µs", "99%"),
    ("99.9% µs", "99.9%"),
    ("max µs", "max"),
];

/// Writes a file for each work that has a plot and was measured.
pub(crate) fn write(directory: &Path, comparison: &Comparison) -> Result<()> {
    fs::create_dir_all(directory)?;
    for work in Work::ALL {
        let tasks = comparison.tasks.iter().filter(|it| it.0.work == work);
        let tasks: Vec<_> = tasks.collect();
        if let Some(chart) = chart(work, &tasks, &comparison.machine) {
            let path = directory.join(format!("{}.svg", work.name()));
            fs::write(path, ipmb_plot::draw(&chart))?;
        }
    }
    Ok(())
}

type Measured = (Task, Vec<Outcome>);

fn chart(work: Work, tasks: &[&Measured], machine: &Machine) -> Option<Chart> {
    let first = tasks.first()?;
    let about = work.about();
    let (x_label, x_ticks, series) = match work {
        Work::OneWay | Work::Loans | Work::RegionsFresh | Work::RegionsRecycled => {
            let ticks = tasks.iter().map(|it| report::size(it.0.size)).collect();
            ("size of a message", ticks, by_task(tasks, about.headline))
        }
        Work::FanOut => {
            let ticks = tasks.iter().map(|it| it.0.receivers.to_string()).collect();
            ("receivers", ticks, by_task(tasks, about.headline))
        }
        Work::RoundTrip | Work::RoundTripAsleep | Work::Request => {
            let ticks = PERCENTILES.map(|it| it.1.to_owned()).to_vec();
            ("percentile", ticks, by_percentile(first))
        }
        _ => return None,
    };
    let y_label = match (work, about.headline) {
        (Work::FanOut, _) => "deliveries/s",
        (Work::RoundTrip | Work::RoundTripAsleep | Work::Request, _) => "µs",
        (_, headline) => headline,
    };
    let size = report::size(first.0.size);
    let title = match work {
        Work::FanOut | Work::RoundTrip | Work::RoundTripAsleep | Work::Request => {
            format!("{}, {size}", about.title)
        }
        _ => about.title.to_owned(),
    };
    (!series.is_empty()).then(|| Chart {
        title,
        subtitle: format!("{}, Linux {}", machine.processor, machine.kernel),
        x_label,
        x_ticks,
        y_label,
        series,
    })
}

/// One point for each task.
fn by_task(tasks: &[&Measured], figure: &str) -> Vec<Series> {
    series(|name| {
        let outcome = |(_, outcomes): &&Measured| {
            let outcome = outcomes.iter().find(|it| it.peer.name == name)?;
            outcome.summary(figure).map(|it| it.median)
        };
        tasks.iter().map(outcome).collect()
    })
}

/// One point for each percentile of one task.
fn by_percentile((_, outcomes): &Measured) -> Vec<Series> {
    series(|name| {
        let outcome = outcomes.iter().find(|it| it.peer.name == name);
        let percentile = |figure| outcome?.summary(figure).map(|it| it.median);
        PERCENTILES.iter().map(|it| percentile(it.0)).collect()
    })
}

/// A line for each system that has `values`.
fn series(values: impl Fn(&str) -> Vec<Option<f64>>) -> Vec<Series> {
    let all = peers::all().into_iter().enumerate();
    let series = all.map(|(number, peer)| Series {
        name: peer.name,
        number,
        ours: peer.name == peers::OURS,
        values: values(peer.name),
    });
    series.filter(|it| !it.is_empty()).collect()
}
