//! Quality of a model of many classes on the holdout.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::report::area_under_curve;
use super::report::log_loss;
use crate::model::output::Output;

/// Classes up to which the report counts what was predicted for each of them.
const MAX_COUNTED_CLASSES: usize = 20;

/// Quality measures of a model of many classes, with those of a model without features: one that answers the share
/// of each class, or always the most frequent class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassesReport {
    /// Rows held out.
    pub rows: u64,
    /// Mean of `-ln(probability given to the class that occurred)`.
    pub log_loss: f64,
    /// The same for the shares of the classes.
    pub baseline_log_loss: f64,
    /// Mean over the rows of the sum over the classes of the squared difference between probability and outcome, 0 to 2.
    pub brier: f64,
    /// The same for the shares of the classes.
    pub baseline_brier: f64,
    /// Share of rows whose most probable class occurred.
    pub accuracy: f64,
    /// Share of the most frequent class.
    pub baseline_accuracy: f64,
    /// Each class, in the order of the model.
    pub classes: Vec<ClassFigures>,
    /// Rows by class that occurred (outer) and class that was most probable (inner); `None` above twenty classes.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// One class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassFigures {
    /// Its name.
    pub class: String,
    /// Rows of it.
    pub rows: u64,
    /// Share of its rows for which it was the most probable class; `None` without rows.
    pub recall: Option<f64>,
    /// Share of its rows among those for which it was the most probable class; `None` if it never was.
    pub precision: Option<f64>,
    /// Probability that a row of it gets a larger probability of it than another row does, ties counted half; `None`
    /// without rows of both.
    pub auc: Option<f64>,
}

impl ClassesReport {
    /// All numbers, for a check that they are finite.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        let of_classes = |it: &ClassFigures| [it.recall, it.precision, it.auc];
        let baselines = [self.baseline_log_loss, self.baseline_brier, self.baseline_accuracy];
        let all = [self.log_loss, self.brier, self.accuracy].into_iter().chain(baselines);
        all.chain(self.classes.iter().flat_map(of_classes).flatten())
    }

    /// The most frequent class.
    pub fn most_frequent(&self) -> Option<&str> {
        let largest = self.classes.iter().map(|it| it.rows).max()?;
        self.classes.iter().find(|it| it.rows == largest).map(|it| it.class.as_str())
    }
}

/// Compares outputs with the places of the classes that occurred; `None` without rows, or if the numbers of rows or
/// classes differ.
///
/// # Example
///
/// ```
/// use serin::model::Output;
/// use serin::model::artifact::class_report::report;
///
/// // from scikit-learn's log_loss, and from the definitions, on
/// // y = [0, 1, 2, 0]
/// let outputs = [[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]];
/// let outputs: Vec<Output> = outputs.iter().map(|it| Output::of_many(it.to_vec())).collect();
/// let names = ["basic", "silver", "gold"].map(str::to_owned);
/// let report = report(&names, &[0, 1, 2, 0], &outputs).ok_or("four rows of three classes")?;
/// assert!((report.log_loss - 0.535_116_560_9).abs() < 1e-9);
/// assert!((report.brier - 0.29).abs() < 1e-12);
/// assert_eq!((report.accuracy, report.baseline_accuracy), (0.75, 0.5));
/// assert_eq!(report.confusion, Some(vec![vec![2, 0, 0], vec![1, 0, 0], vec![0, 0, 1]]));
/// assert_eq!(report.classes[1].precision, None);
/// # Ok::<(), &str>(())
/// ```
pub fn report(names: &[String], outcomes: &[usize], outputs: &[Output]) -> Option<ClassesReport> {
    let count = names.len();
    let fits = outputs.iter().all(|output| output.numbers().len() == count)
        && outcomes.iter().all(|outcome| *outcome < count);
    if !fits || outcomes.is_empty() || outcomes.len() != outputs.len() {
        return None;
    }
    let mut confusion = vec![vec![0_u64; count]; count];
    let (mut losses, mut squares) = (0.0, 0.0);
    for (outcome, output) in outcomes.iter().zip(outputs) {
        confusion[*outcome][output.largest()] += 1;
        losses += log_loss(true, output.numbers()[*outcome]);
        let of_class =
            |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == *outcome))).powi(2);
        squares += output.numbers().iter().enumerate().map(of_class).sum::<f64>();
    }
    let rows = outcomes.len() as f64;
    let of_class: Vec<u64> = confusion.iter().map(|predicted| predicted.iter().sum()).collect();
    let shares = || of_class.iter().map(|own| *own as f64 / rows);
    let right: u64 = (0..count).map(|class| confusion[class][class]).sum();
    let classes = names.iter().enumerate().map(|(class, name)| {
        let right = confusion[class][class];
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        let share = |all: u64| (all > 0).then(|| right as f64 / all as f64);
        let occurred: Vec<bool> = outcomes.iter().map(|outcome| *outcome == class).collect();
        let scores: Vec<f64> = outputs.iter().map(|output| output.numbers()[class]).collect();
        ClassFigures {
            class: name.clone(),
            rows: of_class[class],
            recall: share(of_class[class]),
            precision: share(predicted),
            auc: area_under_curve(&occurred, &scores),
        }
    });
    Some(ClassesReport {
        rows: outcomes.len() as u64,
        log_loss: losses / rows,
        baseline_log_loss: -shares().filter(|p| *p > 0.0).map(|p| p * p.ln()).sum::<f64>(),
        brier: squares / rows,
        baseline_brier: 1.0 - shares().map(|p| p * p).sum::<f64>(),
        accuracy: right as f64 / rows,
        baseline_accuracy: shares().fold(0.0, f64::max),
        classes: classes.collect(),
        confusion: (count <= MAX_COUNTED_CLASSES).then_some(confusion),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    fn certain(class: usize) -> Output {
        let mut numbers = vec![0.0; 3];
        numbers[class] = 1.0;
        Output::of_many(numbers)
    }

    #[test]
    fn a_perfect_model_has_no_loss_and_a_wrong_one_a_finite_one() {
        let outcomes = [0, 1, 2, 1];
        let perfect: Vec<Output> = outcomes.iter().map(|class| certain(*class)).collect();
        let found = report(&names(), &outcomes, &perfect).unwrap();
        assert!(found.log_loss < 1e-12 && found.brier == 0.0 && found.accuracy == 1.0);
        assert!(found.classes.iter().all(|it| it.recall == Some(1.0) && it.auc == Some(1.0)));
        let wrong: Vec<Output> = outcomes.iter().map(|class| certain((class + 1) % 3)).collect();
        let found = report(&names(), &outcomes, &wrong).unwrap();
        assert!((found.log_loss - 34.5).abs() < 0.1, "{}", found.log_loss);
        assert_eq!((found.brier, found.accuracy), (2.0, 0.0));
    }

    #[test]
    fn the_baseline_is_that_of_a_model_that_answers_the_shares() {
        let outcomes = [0, 0, 0, 1, 1, 2];
        let shares = Output::of_many(vec![0.5, 2.0 / 6.0, 1.0 / 6.0]);
        let found = report(&names(), &outcomes, &vec![shares; 6]).unwrap();
        assert!((found.log_loss - found.baseline_log_loss).abs() < 1e-12);
        assert!((found.brier - found.baseline_brier).abs() < 1e-12);
        assert_eq!((found.accuracy, found.baseline_accuracy), (0.5, 0.5));
        assert_eq!(found.most_frequent(), Some("a"));
        assert!(found.classes.iter().all(|it| it.auc == Some(0.5)));
    }

    #[test]
    fn a_class_without_rows_has_no_figures() {
        let found = report(&names(), &[0, 1], &[certain(0), certain(2)]).unwrap();
        let last = &found.classes[2];
        assert_eq!((last.rows, last.recall, last.auc), (0, None, None));
        assert_eq!(last.precision, Some(0.0));
        assert_eq!(found.classes[1].precision, None);
    }

    #[test]
    fn what_is_not_one_answer_for_each_row_has_no_report() {
        assert_eq!(report(&names(), &[], &[]), None);
        assert_eq!(report(&names(), &[0], &[]), None);
        assert_eq!(report(&names(), &[3], &[certain(0)]), None);
        assert_eq!(report(&names(), &[0], &[Output::of(0.5)]), None);
    }

    #[test]
    fn many_classes_are_not_counted_against_each_other() {
        let names: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        let output = Output::of_many(vec![1.0 / 21.0; 21]);
        assert_eq!(report(&names, &[4], &[output]).unwrap().confusion, None);
    }
}
