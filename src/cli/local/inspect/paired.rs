//! Differences between two models on the same rows. Each row is its own control, so the errors of the
//! difference are far smaller than those of the two figures.

use serde::Serialize;

use crate::stats::Moments;
use crate::stats::distributions::normal::normal_quantile;
use crate::stats::distributions::student_t::student_t_quantile;

/// Share outside of the interval, on each side.
const TAIL: f64 = 0.025;

/// The second model's figure minus the first's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    pub(super) difference: f64,
    pub(super) standard_error: f64,
    /// A 95 % interval.
    pub(super) interval: [f64; 2],
}

impl Difference {
    /// With this quantile of the distribution of the difference.
    fn new(difference: f64, standard_error: f64, quantile: f64) -> Self {
        let reach = quantile * standard_error;
        Self { difference, standard_error, interval: [difference - reach, difference + reach] }
    }

    /// Whether the interval contains 0.
    pub(super) fn is_noise(&self) -> bool {
        self.interval[0] <= 0.0 && self.interval[1] >= 0.0
    }
}

/// The difference of the mean losses: mean and standard error of the differences `d` of the rows,
/// `sd(d) / sqrt(n)`, with Student's t of n - 1 degrees of freedom. `None` below two rows.
///
/// Source: Diebold and Mariano, "Comparing predictive accuracy", Journal of Business and Economic Statistics
/// 13 (1995), <https://doi.org/10.1080/07350015.1995.10524599>, for independent rows.
pub(super) fn losses(
    [first, second]: [&[f64]; 2],
    outcomes: &[bool],
    loss: fn(f64, bool) -> f64,
) -> Option<Difference> {
    let rows = first.iter().zip(second).zip(outcomes);
    let differences: Moments = rows
        .map(|((first, second), outcome)| loss(*second, *outcome) - loss(*first, *outcome))
        .collect();
    let count = differences.count() as f64;
    let error = (differences.variance()? / count).sqrt();
    Some(Difference::new(differences.mean()?, error, student_t_quantile(TAIL, count - 1.0)))
}

/// The difference of the areas under the curve. An area is the mean over the positive rows of the share of
/// negative ones that score lower, and the mean over the negative rows of the share of positive ones that
/// score higher; the differences of these shares vary with
///
/// ```text
/// var = var(d of the m positive rows) / m + var(d of the n negative rows) / n
/// ```
///
/// with a normal distribution. `None` below two rows of a class.
///
/// Source: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver
/// operating characteristic curves", Biometrics 44 (1988), <https://doi.org/10.2307/2531595>.
pub(super) fn areas(both: [&[f64]; 2], outcomes: &[bool]) -> Option<Difference> {
    let [first, second] = both.map(|scores| shares(scores, outcomes));
    let [positive, negative]: [Moments; 2] = [true, false].map(|class| {
        let rows = outcomes.iter().zip(first.iter().zip(&second));
        rows.filter(|(outcome, _)| **outcome == class)
            .map(|(_, (one, other))| other - one)
            .collect()
    });
    let of = |class: &Moments| Some(class.variance()? / class.count() as f64);
    let error = (of(&positive)? + of(&negative)?).sqrt();
    Some(Difference::new(positive.mean()?, error, normal_quantile(TAIL)))
}

/// For each row the share of the other class on the right side of it; a tie counts half.
fn shares(scores: &[f64], outcomes: &[bool]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let positives = outcomes.iter().filter(|outcome| **outcome).count() as f64;
    let negatives = outcomes.len() as f64 - positives;
    let mut shares = vec![0.0; scores.len()];
    let (mut positives_below, mut negatives_below) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let positive = tied.iter().filter(|row| outcomes[**row]).count() as f64;
        let negative = tied.len() as f64 - positive;
        for row in tied {
            shares[*row] = if outcomes[*row] {
                (negatives_below + 0.5 * negative) / negatives
            } else {
                1.0 - (positives_below + 0.5 * positive) / positives
            };
        }
        positives_below += positive;
        negatives_below += negative;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::artifact::report::report;
    use crate::stats::log_loss;

    const OUTCOMES: [bool; 7] = [true, false, true, false, false, true, false];
    const FIRST: [f64; 7] = [0.9, 0.2, 0.4, 0.4, 0.1, 0.7, 0.6];
    const SECOND: [f64; 7] = [0.8, 0.3, 0.6, 0.5, 0.2, 0.3, 0.1];

    #[test]
    fn the_difference_of_areas_has_the_error_of_its_definition() {
        // The kernel over all pairs of a positive and a negative row, as in the source.
        let kernel = |positive: f64, negative: f64| match positive.total_cmp(&negative) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let rows = |class: bool| (0..7).filter(move |row| OUTCOMES[*row] == class);
        let pair = |p: usize, n: usize| kernel(SECOND[p], SECOND[n]) - kernel(FIRST[p], FIRST[n]);
        let by_positive: Moments =
            rows(true).map(|p| rows(false).map(|n| pair(p, n)).sum::<f64>() / 4.0).collect();
        let by_negative: Moments =
            rows(false).map(|n| rows(true).map(|p| pair(p, n)).sum::<f64>() / 3.0).collect();
        let variance =
            by_positive.variance().unwrap() / 3.0 + by_negative.variance().unwrap() / 4.0;

        let found = areas([&FIRST, &SECOND], &OUTCOMES).unwrap();
        assert!((found.standard_error - variance.sqrt()).abs() < 1e-15);
        let [first, second] = [FIRST, SECOND].map(|p| report(&OUTCOMES, &p, 0.5).unwrap().auc);
        assert!((found.difference - (second - first)).abs() < 1e-15);
        let reach = found.interval[1] - found.difference;
        assert!((reach - 1.959_963_984_540_054 * found.standard_error).abs() < 1e-12);
    }

    #[test]
    fn the_difference_of_losses_is_a_paired_t_interval() {
        // Differences of 1, 2 and 3: mean 2, standard error 1 / sqrt(3), t of 2 degrees of freedom 4.3027.
        let found =
            losses([&[1.0, 1.0, 1.0], &[2.0, 3.0, 4.0]], &[true; 3], |loss, _| loss).unwrap();
        assert!((found.standard_error - 3.0_f64.sqrt().recip()).abs() < 1e-15);
        assert!((found.interval[0] - (2.0 - 4.302_652_729_911_275 / 3.0_f64.sqrt())).abs() < 1e-9);
        assert!(found.is_noise());
    }

    #[test]
    fn equal_models_do_not_differ_and_one_row_says_nothing() {
        for found in [areas([&FIRST; 2], &OUTCOMES), losses([&FIRST; 2], &OUTCOMES, log_loss)] {
            assert_eq!(found.unwrap().interval, [0.0, 0.0]);
        }
        assert_eq!(areas([&[0.1, 0.2]; 2], &[true, false]), None);
        assert_eq!(losses([&[0.1]; 2], &[true], log_loss), None);
    }
}
