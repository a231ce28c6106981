//! Which of several e-values may be acted on together?
//!
//! Every function takes logarithms and answers in the order given. NaN is never rejected.

/// Rejects i when `E_i >= sum of weights / (w_i alpha)`: the family-wise error is at most alpha, at
/// every time and under any dependence.
///
/// Give the running maxima. A weight that is not positive is never rejected; missing weights are 0.
///
/// ```
/// use serin::stats::sequential::weighted_bonferroni;
///
/// let log_e = [8.0, 3.2, 1.0, -2.0, 5.1, 4.4];
/// let rejected = weighted_bonferroni(&log_e, &[3.0, 1.0, 1.0, 1.0, 2.0, 2.0], 0.05);
/// assert_eq!(rejected, [true, false, false, false, true, false]);
/// ```
pub fn weighted_bonferroni(log_e: &[f64], weights: &[f64], alpha: f64) -> Vec<bool> {
    let whole: f64 = weights.iter().filter(|weight| **weight > 0.0).sum();
    let weights = weights.iter().copied().chain(std::iter::repeat(0.0));
    log_e
        .iter()
        .zip(weights)
        .map(|(log, weight)| weight > 0.0 && alpha > 0.0 && *log >= -(weight / whole * alpha).ln())
        .collect()
}

/// Holm's step-down on the always-valid p-values 1/E: as Bonferroni with equal weights, but each
/// rejection lightens the rest. Give the running maxima.
///
/// ```
/// use serin::stats::sequential::holm;
///
/// let rejected = holm(&[8.0, 3.2, 1.0, -2.0, 5.1, 4.4], 0.05);
/// assert_eq!(rejected, [true, false, false, false, true, true]);
/// ```
pub fn holm(log_e: &[f64], alpha: f64) -> Vec<bool> {
    let order = strongest_first(log_e);
    let count = order
        .iter()
        .enumerate()
        .take_while(|(rank, i)| log_e[**i] >= ((order.len() - rank) as f64 / alpha).ln())
        .count();
    chosen(log_e.len(), &order[..count])
}

fn strongest_first(log_e: &[f64]) -> Vec<usize> {
    let strength = |i: &usize| if log_e[*i].is_nan() { f64::NEG_INFINITY } else { log_e[*i] };
    let mut order: Vec<usize> = (0..log_e.len()).collect();
    order.sort_by(|i, j| strength(j).total_cmp(&strength(i)));
    order
}

fn chosen(length: usize, indices: &[usize]) -> Vec<bool> {
    let mut chosen = vec![false; length];
    for index in indices {
        chosen[*index] = true;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rejected_of_nothing_or_at_no_level() {
        assert!(holm(&[], 0.05).is_empty());
        assert_eq!(weighted_bonferroni(&[99.0, f64::NAN], &[0.0, 1.0], 0.05), [false, false]);
        assert_eq!(weighted_bonferroni(&[99.0, 99.0], &[1.0], 0.05), [true, false]);
        for alpha in [0.0, -1.0, f64::NAN] {
            assert_eq!(holm(&[99.0], alpha), [false]);
        }
    }

    #[test]
    fn nan_stands_last_and_is_never_chosen() {
        assert_eq!(holm(&[f64::NAN, 9.0], 0.05), [false, true]);
    }
}
