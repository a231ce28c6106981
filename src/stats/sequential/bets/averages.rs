//! Averages of e-values, in logarithms because wealth overflows.

/// ln of the mean of the e-values whose logarithms are given: an average of e-values is an e-value.
///
/// No values give 0: nothing was bet, and E = 1.
pub fn log_mean_exp(logs: &[f64]) -> f64 {
    let weight = 1.0 / logs.len().max(1) as f64;
    log_weighted_mean_exp(logs, std::iter::repeat(weight))
}

/// ln of the weighted mean of the e-values whose logarithms are given; the weights sum to 1.
pub fn log_weighted_mean_exp(logs: &[f64], weights: impl IntoIterator<Item = f64>) -> f64 {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return if logs.is_empty() { 0.0 } else { largest };
    }
    let sum: f64 =
        logs.iter().zip(weights).map(|(log, weight)| weight * (log - largest).exp()).sum();
    largest + sum.ln()
}

/// Whether a share leaves something to chance, so that there is something to bet on. The smallest
/// weight is a basis point; far below it the stakes would lose their digits.
pub(crate) fn is_random(share: f64) -> bool {
    (1e-9..=1.0 - 1e-9).contains(&share)
}
