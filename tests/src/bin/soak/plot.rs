//! The samples as a plot: medians over the members, in so many steps.

use super::{
    trend::median,
    verdict::{Samples, Verdict},
};
use ipmb_plot::{Chart, Series};
use ipmb_tests::scale::Usage;

const STEPS: usize = 60;
/// One tick in so many has a label.
const LABELLED: usize = 10;

pub(super) fn draw(samples: &Samples, verdict: &Verdict) -> String {
    let end = samples.members.last().map_or(1.0, |it| it.0);
    let steps = Steps { end };
    let usage = |of: fn(&Usage) -> i64| -> Vec<(f64, f64)> {
        let samples = samples.members.iter();
        samples
            .map(|(at, it)| (*at, median(it.iter().map(|it| of(it) as f64).collect())))
            .collect()
    };
    let controller = samples.controllers.iter();
    let controller = controller.map(|(at, _, it)| (*at, it.private as f64));
    let latency = samples.latency.iter();
    let series = [
        ("private memory, KiB", usage(|it| it.private)),
        ("… of the controller", controller.collect()),
        ("mappings", usage(|it| it.mappings)),
        ("descriptors", usage(|it| it.descriptors)),
        ("threads", usage(|it| it.threads)),
        (
            "request, median µs",
            latency.clone().map(|(at, it)| (*at, it.median)).collect(),
        ),
        (
            "request, 99 % µs",
            latency.clone().map(|(at, it)| (*at, it.p99)).collect(),
        ),
        (
            "bare pipe, median µs",
            latency.map(|(at, it)| (*at, it.bare)).collect(),
        ),
    ];
    let line = |number: usize, name: &'static str, points: &[(f64, f64)]| Series {
        name,
        number,
        ours: number == 0,
        values: steps.of(points),
    };
    ipmb_plot::draw(&Chart {
        title: format!("soak: {:.0} s of mixed load", end),
        subtitle: match verdict.is_flat() {
            true => {
                "a member's, median of all; memory, descriptors and latency are flat".to_owned()
            }
            false => "a member's, median of all; something rises".to_owned(),
        },
        x_label: "seconds",
        x_ticks: steps.ticks(),
        y_label: "KiB, µs, number",
        series: (series.iter().enumerate())
            .map(|(number, (name, points))| line(number, name, points))
            .collect(),
    })
}

/// Parts of the time of equal length.
struct Steps {
    end: f64,
}

impl Steps {
    fn of(&self, points: &[(f64, f64)]) -> Vec<Option<f64>> {
        let mut steps = vec![Vec::new(); STEPS];
        for (at, value) in points {
            let step = (at / self.end * STEPS as f64) as usize;
            steps[step.min(STEPS - 1)].push(*value);
        }
        let value = |it: Vec<f64>| (!it.is_empty()).then(|| median(it));
        steps.into_iter().map(value).collect()
    }

    fn ticks(&self) -> Vec<String> {
        let tick = |step: usize| match step % LABELLED {
            0 => format!("{:.0}", self.end * step as f64 / STEPS as f64),
            _ => String::new(),
        };
        (0..STEPS).map(tick).collect()
    }
}
