//! Times, in a histogram of high dynamic range: exact to a thousandth.

use super::Figures;
use hdrhistogram::Histogram;
use std::time::Duration;

pub(super) const MEDIAN: &str = "median µs";
pub(super) const P99: &str = "99% µs";
pub(super) const MAX: &str = "max µs";

/// Significant digits.
const DIGITS: u8 = 3;

/// How long something took, many times.
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> crate::Result<Self> {
        Ok(Self(Histogram::new(DIGITS)?))
    }

    pub(super) fn record(&mut self, time: Duration) -> crate::Result<()> {
        Ok(self.0.record(time.as_nanos() as u64)?)
    }

    pub(super) fn figures(&self) -> Figures {
        let at = |part| self.0.value_at_quantile(part) as f64 / 1e3;
        vec![
            (MEDIAN, at(0.5)),
            ("90% µs", at(0.9)),
            (P99, at(0.99)),
            ("99.9% µs", at(0.999)),
            (MAX, at(1.0)),
            ("min µs", at(0.0)),
            ("samples", self.0.len() as f64),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{Latencies, MAX, MEDIAN, P99};
    use std::time::Duration;

    #[test]
    fn percentiles_are_exact_to_a_thousandth() {
        let mut latencies = Latencies::new().unwrap();
        for micros in 1..=1000 {
            latencies.record(Duration::from_micros(micros)).unwrap();
        }
        let figures = latencies.figures();
        for (name, expected) in [(MEDIAN, 500.0), (P99, 990.0), (MAX, 1000.0)] {
            let figure = figures.iter().find(|it| it.0 == name).unwrap().1;
            assert!((figure / expected - 1.0).abs() < 2e-3, "{name}: {figure}");
        }
    }
}
