//! Quality of a model on the holdout.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// Bins of the calibration table, as usual in reliability diagrams.
const CALIBRATION_BINS: usize = 10;

/// Probabilities are clipped this far from 0 and 1 for the log-loss, so that one confident mistake
/// costs 34.5 and not infinity.
const LOG_LOSS_CLIP: f64 = 1e-15;

/// Quality measures on the holdout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HoldoutReport {
    /// Rows held out.
    pub rows: u64,
    /// Positive rows.
    pub positives: u64,
    /// Share of positives: the prediction of a model without features.
    pub base_rate: f64,
    /// Probability that a positive row scores above a negative one, ties counted half.
    pub auc: f64,
    /// Mean of `-ln(probability given to what happened)`.
    pub log_loss: f64,
    /// Mean squared difference between probability and outcome.
    pub brier: f64,
    /// Share of rows with the right label.
    pub accuracy: f64,
    /// Predicted and observed rates by tenths of probability.
    pub calibration: Vec<CalibrationBin>,
}

/// The rows whose probability lies in one tenth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CalibrationBin {
    /// Lower end, inclusive.
    pub from: f64,
    /// Upper end, exclusive except for 1.
    pub to: f64,
    /// Rows in the bin.
    pub rows: u64,
    /// Mean probability of these rows; the bin's middle if there are none.
    pub predicted: f64,
    /// Share of positives among them; 0 if there are none.
    pub observed: f64,
}

/// Compares predictions with outcomes; `None` unless both outcomes occur, since ranking needs both.
///
/// # Example
///
/// ```
/// use serin::model::artifact::report::report;
///
/// // from the definitions, in Python, on
/// // y = [0, 0, 1, 1, 1], p = [0.1, 0.4, 0.4, 0.35, 0.8]
/// let outcomes = [false, false, true, true, true];
/// let report = report(&outcomes, &[0.1, 0.4, 0.4, 0.35, 0.8], 0.5).ok_or("both outcomes occur")?;
/// assert!((report.auc - 0.75).abs() < 1e-12);
/// assert!((report.log_loss - 0.561_088_509_422_2).abs() < 1e-12);
/// assert!((report.brier - 0.1985).abs() < 1e-12);
/// assert_eq!(report.accuracy, 0.6);
/// # Ok::<(), &str>(())
/// ```
pub fn report(outcomes: &[bool], probabilities: &[f64], threshold: f64) -> Option<HoldoutReport> {
    let positives = outcomes.iter().filter(|outcome| **outcome).count();
    if positives == 0 || positives == outcomes.len() || outcomes.len() != probabilities.len() {
        return None;
    }
    let rows = outcomes.len() as f64;
    let pairs = || outcomes.iter().copied().zip(probabilities.iter().copied());
    let mean = |loss: fn(bool, f64) -> f64| pairs().map(|(y, p)| loss(y, p)).sum::<f64>() / rows;
    let right = pairs().filter(|(outcome, p)| (*p >= threshold) == *outcome).count();
    Some(HoldoutReport {
        rows: outcomes.len() as u64,
        positives: positives as u64,
        base_rate: positives as f64 / rows,
        auc: area_under_curve(outcomes, probabilities)?,
        log_loss: mean(log_loss),
        brier: mean(|outcome, p| (p - f64::from(u8::from(outcome))).powi(2)),
        accuracy: right as f64 / rows,
        calibration: calibration(outcomes, probabilities),
    })
}

/// The loss of one row; its mean is that of the report.
pub fn log_loss(outcome: bool, probability: f64) -> f64 {
    let given = if outcome { probability } else { 1.0 - probability };
    -given.clamp(LOG_LOSS_CLIP, 1.0 - LOG_LOSS_CLIP).ln()
}

/// How likely a positive row scores above a negative one, a tie counting half; `None` without one of each:
/// Mann and Whitney's statistic over the number of pairs: `(R - P (P + 1) / 2) / (P N)`, with `R` the
/// sum of the positives' ranks, tied rows sharing their mean rank, and `P`, `N` the class sizes.
pub(crate) fn area_under_curve(outcomes: &[bool], probabilities: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut rank_sum = 0.0;
    let mut ranked = 0;
    for tied in order.chunk_by(|a, b| probabilities[*a] == probabilities[*b]) {
        let mean_rank = ranked as f64 + (tied.len() as f64 + 1.0) / 2.0;
        let positive = tied.iter().filter(|row| outcomes[**row]).count();
        rank_sum += mean_rank * positive as f64;
        ranked += tied.len();
    }
    let positives = outcomes.iter().filter(|outcome| **outcome).count();
    let pairs = positives as f64 * (outcomes.len() - positives) as f64;
    let positives = positives as f64;
    (pairs > 0.0).then(|| (rank_sum - positives * (positives + 1.0) / 2.0) / pairs)
}

fn calibration(outcomes: &[bool], probabilities: &[f64]) -> Vec<CalibrationBin> {
    let bins = CALIBRATION_BINS as f64;
    let bin_of = |p: f64| ((p * bins) as usize).min(CALIBRATION_BINS - 1);
    (0..CALIBRATION_BINS)
        .map(|bin| {
            let (from, to) = (bin as f64 / bins, (bin + 1) as f64 / bins);
            let inside = || outcomes.iter().zip(probabilities).filter(|(_, p)| bin_of(**p) == bin);
            let rows = inside().count();
            let share = |sum: f64, none: f64| if rows == 0 { none } else { sum / rows as f64 };
            CalibrationBin {
                from,
                to,
                rows: rows as u64,
                predicted: share(inside().map(|(_, p)| p).sum(), (from + to) / 2.0),
                observed: share(inside().filter(|(outcome, _)| **outcome).count() as f64, 0.0),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_an_inverse_and_a_constant_model_have_the_known_areas() {
        let outcomes = [false, true, false, true];
        let area = |probabilities: &[f64]| report(&outcomes, probabilities, 0.5).unwrap().auc;
        assert_eq!(area(&[0.1, 0.9, 0.2, 0.8]), 1.0);
        assert_eq!(area(&[0.9, 0.1, 0.8, 0.2]), 0.0);
        assert_eq!(area(&[0.5, 0.5, 0.5, 0.5]), 0.5);
    }

    #[test]
    fn a_confident_mistake_costs_much_but_finitely() {
        let report = report(&[true, false], &[0.0, 1.0], 0.5).unwrap();
        assert!((report.log_loss - 34.5).abs() < 0.1);
        assert_eq!(report.accuracy, 0.0);
    }

    #[test]
    fn one_class_alone_has_no_report() {
        assert_eq!(report(&[true, true], &[0.5, 0.6], 0.5), None);
        assert_eq!(report(&[], &[], 0.5), None);
    }

    #[test]
    fn every_row_falls_into_one_bin() {
        let probabilities: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
        let outcomes: Vec<bool> = (0..=100).map(|i| i % 2 == 0).collect();
        let bins = report(&outcomes, &probabilities, 0.5).unwrap().calibration;
        assert_eq!(bins.len(), 10);
        assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), 101);
        assert!(bins.iter().all(|bin| bin.from <= bin.predicted && bin.predicted <= bin.to + 1e-9));
    }
}
