//! Whether a series of samples rises.

/// The robust slope of a series: the median of the slopes between all pairs of samples, per unit of time. Up to
/// 29 % of the samples may be anything. (Theil 1950, Sen 1968)
pub(super) fn slope(samples: &[(f64, f64)]) -> f64 {
    let thinned = thin(samples);
    let mut slopes = Vec::new();
    for (index, a) in thinned.iter().enumerate() {
        for b in &thinned[index + 1..] {
            if b.0 > a.0 {
                slopes.push((b.1 - a.1) / (b.0 - a.0));
            }
        }
    }
    median(slopes)
}

/// The one in the middle; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Few enough to look at all pairs.
fn thin(samples: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const MOST: usize = 1000;
    let step = samples.len().div_ceil(MOST).max(1);
    samples.iter().copied().step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(value: impl Fn(u64) -> f64) -> Vec<(f64, f64)> {
        (0..3000).map(|at| (at as f64, value(at))).collect()
    }

    #[test]
    fn noise_and_outliers_are_no_slope() {
        let noise = |at: u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44) as f64 / 1e4;
        assert!(slope(&series(noise)).abs() < 1e-2);
        let outliers = |at: u64| {
            if at.is_multiple_of(5) {
                1e6 * at as f64
            } else {
                7.0
            }
        };
        assert_eq!(slope(&series(outliers)), 0.0);
        let leak = |at: u64| noise(at) + 0.5 * at as f64;
        assert!((slope(&series(leak)) - 0.5).abs() < 1e-2);
    }

    #[test]
    fn nothing_has_no_slope() {
        assert_eq!((slope(&[]), slope(&[(1.0, 2.0)])), (0.0, 0.0));
    }
}
