//! A chart before it is drawn: lines over ticks of equal distance, on a logarithmic scale.

/// Lines, axes, and a legend.
pub struct Chart {
    /// In large letters.
    pub title: String,
    /// In small letters, below.
    pub subtitle: String,
    /// What the ticks are.
    pub x_label: &'static str,
    /// From left to right.
    pub x_ticks: Vec<String>,
    /// What the values are.
    pub y_label: &'static str,
    /// The lines.
    pub series: Vec<Series>,
}

/// A line.
pub struct Series {
    /// As in the legend.
    pub name: &'static str,
    /// Decides its colour: the same one in all charts.
    pub number: usize,
    /// It stands out.
    pub ours: bool,
    /// At each tick, if there is one.
    pub values: Vec<Option<f64>>,
}

impl Series {
    /// Whether it has no value at all.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }

    /// The value at the last tick, beside which the eye looks for the name. Zero if it ends before.
    pub(super) fn last(&self) -> f64 {
        self.values.last().copied().flatten().unwrap_or(0.0)
    }
}

/// Whole powers of ten around all values.
pub(super) struct Scale {
    pub lowest: i32,
    pub highest: i32,
}

impl Scale {
    pub(super) fn around(series: &[Series]) -> Self {
        let values = series.iter().flat_map(|it| it.values.iter().flatten());
        let logs: Vec<f64> = values
            .filter(|it| **it > 0.0)
            .map(|it| it.log10())
            .collect();
        let lowest = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if logs.is_empty() {
            return Self {
                lowest: 0,
                highest: 1,
            };
        }
        let lowest = lowest.floor() as i32;
        Self {
            lowest,
            highest: (highest.ceil() as i32).max(lowest + 1),
        }
    }

    /// Where a value is: 0 at the lowest power, 1 at the highest.
    pub(super) fn place(&self, value: f64) -> f64 {
        let log = value.max(f64::MIN_POSITIVE).log10();
        (log - f64::from(self.lowest)) / f64::from(self.highest - self.lowest)
    }
}

/// A power of ten as people write it.
pub(super) fn power(exponent: i32) -> String {
    match exponent {
        ..0 => format!(
            "{:.*}",
            exponent.unsigned_abs() as usize,
            10f64.powi(exponent)
        ),
        0..3 => format!("{}", 10u64.pow(exponent.unsigned_abs())),
        3..6 => format!("{} k", 10u64.pow(exponent.unsigned_abs() - 3)),
        6..9 => format!("{} M", 10u64.pow(exponent.unsigned_abs() - 6)),
        _ => format!("{} G", 10f64.powi(exponent - 9)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, Series, power};

    fn series(values: &[f64]) -> Series {
        Series {
            name: "",
            number: 0,
            ours: false,
            values: values.iter().copied().map(Some).collect(),
        }
    }

    #[test]
    fn a_scale_is_around_all_values() {
        let scale = Scale::around(&[series(&[30.0, 2_000.0]), series(&[10.0])]);
        assert_eq!((scale.lowest, scale.highest), (1, 4));
        assert!((scale.place(10.0), scale.place(10_000.0)) == (0.0, 1.0));
        let flat = Scale::around(&[series(&[100.0])]);
        assert_eq!((flat.lowest, flat.highest), (2, 3));
        Scale::around(&[]);
    }

    #[test]
    fn powers_are_readable() {
        let texts = [-2, 0, 2, 3, 7, 9].map(power);
        assert_eq!(texts, ["0.01", "1", "100", "1 k", "10 M", "1 G"]);
    }
}
