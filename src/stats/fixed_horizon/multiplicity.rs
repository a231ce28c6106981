//! Corrections for several tests: Holm, Benjamini-Hochberg, and e-BH.
//!
//! With twenty metrics at 5 %, one false alarm is expected. An *adjusted* p-value is the smallest
//! level at which the procedure would still reject that hypothesis: compare it with alpha directly.

/// Holm's step-down procedure: the probability of any false rejection is at most alpha, however the
/// tests depend on each other.
///
/// ```text
/// adjusted p_(i) = max over j <= i of (m - j + 1) p_(j)        p_(1) <= p_(2) <= ... <= p_(m)
/// ```
///
/// The answer is in the order of the input. `None` if a p-value is not within 0 to 1.
///
/// Holm (1979), Scandinavian Journal of Statistics 6(2), <https://www.jstor.org/stable/4615733>.
///
/// ```
/// use serin::stats::holm;
///
/// // statsmodels: multipletests([0.01, 0.04, 0.03, 0.005], method="holm")[1]
/// assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]).unwrap(), [0.03, 0.06, 0.06, 0.02]);
/// ```
pub fn holm(p_values: &[f64]) -> Option<Vec<f64>> {
    check(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in ascending(p_values).into_iter().enumerate() {
        let remaining = (p_values.len() - rank) as f64;
        largest = largest.max(p_values[index] * remaining).min(1.0);
        adjusted[index] = largest;
    }
    Some(adjusted)
}

/// Benjamini and Hochberg's step-up procedure: controls the expected share of false rejections
/// among all rejections, for independent or positively dependent tests.
///
/// ```text
/// adjusted p_(i) = min over j >= i of m p_(j) / j
/// ```
///
/// The answer is in the order of the input. `None` if a p-value is not within 0 to 1.
///
/// Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57(1),
/// doi:10.1111/j.2517-6161.1995.tb02031.x.
///
/// ```
/// use serin::stats::benjamini_hochberg;
///
/// // scipy.stats.false_discovery_control([0.01, 0.04, 0.03, 0.005])
/// assert_eq!(benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]).unwrap(), [0.02, 0.04, 0.04, 0.02]);
/// ```
pub fn benjamini_hochberg(p_values: &[f64]) -> Option<Vec<f64>> {
    check(p_values)?;
    let tests = p_values.len() as f64;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (rank, index) in ascending(p_values).into_iter().enumerate().rev() {
        smallest = smallest.min(p_values[index] * tests / (rank + 1) as f64);
        adjusted[index] = smallest;
    }
    Some(adjusted)
}

/// e-BH: which hypotheses are rejected such that the expected share of false rejections is at most
/// alpha, however the e-values depend on each other.
///
/// ```text
/// reject the k largest,   k = max { j : e_(j) >= m / (j alpha) }        e_(1) >= e_(2) >= ...
/// ```
///
/// Takes logarithms of e-values, because wealth overflows. They must be the *current* e-values of
/// one moment: of running maxima the guarantee does not hold. Minus infinity is an e-value of 0.
///
/// The answer is in the order of the input. `None` if an e-value is NaN, or alpha not strictly
/// between 0 and 1.
///
/// Wang and Ramdas (2022), Journal of the Royal Statistical Society B 84(3),
/// doi:10.1111/rssb.12489.
///
/// ```
/// use serin::stats::e_benjamini_hochberg;
///
/// let rejected = e_benjamini_hochberg(&[8.0, 3.2, 1.0, -2.0, 5.1, 4.4], 0.05).unwrap();
/// assert_eq!(rejected, [true, false, false, false, true, true]);
/// ```
pub fn e_benjamini_hochberg(ln_e_values: &[f64], alpha: f64) -> Option<Vec<bool>> {
    if ln_e_values.iter().any(|value| value.is_nan()) || !(alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let tests = ln_e_values.len() as f64;
    let mut descending = ascending(ln_e_values);
    descending.reverse();
    let enough = |rank: usize| (tests / ((rank + 1) as f64 * alpha)).ln();
    let last =
        (0..descending.len()).rev().find(|rank| ln_e_values[descending[*rank]] >= enough(*rank));
    let mut rejected = vec![false; ln_e_values.len()];
    if let Some(last) = last {
        descending[..=last].iter().for_each(|index| rejected[*index] = true);
    }
    Some(rejected)
}

fn check(p_values: &[f64]) -> Option<()> {
    p_values.iter().all(|p| (0.0..=1.0).contains(p)).then_some(())
}

/// The indices of the values, smallest value first.
fn ascending(values: &[f64]) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..values.len()).collect();
    indices.sort_by(|left, right| values[*left].total_cmp(&values[*right]));
    indices
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_list_needs_no_correction_and_invalid_values_have_none() {
        assert_eq!(holm(&[]), Some(vec![]));
        assert_eq!(e_benjamini_hochberg(&[], 0.05), Some(vec![]));
        for adjust in [holm, benjamini_hochberg] {
            assert_eq!(adjust(&[0.7]), Some(vec![0.7]));
            for refused in [-0.1, 1.1, f64::NAN] {
                assert_eq!(adjust(&[0.5, refused]), None);
            }
        }
        assert_eq!(e_benjamini_hochberg(&[f64::NAN], 0.05), None);
        assert_eq!(e_benjamini_hochberg(&[1.0], 1.0), None);
        let infinities = [f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(e_benjamini_hochberg(&infinities, 0.05), Some(vec![true, false]));
    }

    proptest! {
        #[test]
        fn the_procedures_are_ordered_and_monotone(p_values in vec(0.0..=1.0_f64, 1..20)) {
            let stepwise = holm(&p_values).unwrap();
            let discoveries = benjamini_hochberg(&p_values).unwrap();
            for (i, p) in p_values.iter().enumerate() {
                prop_assert!(*p <= discoveries[i] * (1.0 + 1e-15));
                prop_assert!(discoveries[i] <= stepwise[i] * (1.0 + 1e-15));
                prop_assert!(stepwise[i] <= p * p_values.len() as f64 * (1.0 + 1e-15));
                for (j, other) in p_values.iter().enumerate().filter(|(_, other)| *other > p) {
                    prop_assert!(stepwise[i] <= stepwise[j], "{} {}", p, other);
                    prop_assert!(discoveries[i] <= discoveries[j], "{} {}", p, other);
                }
            }
        }

        #[test]
        fn the_order_of_the_e_values_does_not_matter(values in vec(-5.0..9.0_f64, 1..15)) {
            let rejected = e_benjamini_hochberg(&values, 0.1).unwrap();
            let reversed: Vec<f64> = values.iter().rev().copied().collect();
            let mut mirrored = e_benjamini_hochberg(&reversed, 0.1).unwrap();
            mirrored.reverse();
            prop_assert_eq!(rejected, mirrored);
        }
    }
}
