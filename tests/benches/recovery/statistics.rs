//! Percentiles, medians and fairness.

/// The smallest value that at least `percent` of all are not above (nearest rank); `None` of nothing.
pub(crate) fn percentile<T: Copy + PartialOrd>(values: &[T], percent: u32) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("numbers are ordered"));
    let rank = (sorted.len() * percent as usize).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// The value in the middle, the lower one of two; `None` of nothing.
pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> Option<T> {
    percentile(values, 50)
}

/// Jain's index: 1 when all get the same, `1 / n` when one gets all (Jain, Chiu and Hawe, DEC-TR-301, 1984).
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    sum * sum / (shares.len() as f64 * squares)
}
