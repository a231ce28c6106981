//! Several metrics at once: a correction, a verdict each, and a score.

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::options::AnalysisOptions;
use super::options::AnalysisOverrides;
use super::options::OptionError;
use super::options::check_p_threshold;
use super::sample::Sample;
use super::two_samples::Analysis;
use super::two_samples::Decision;
use super::two_samples::MetricVerdict;
use super::two_samples::Prepared;
use crate::canary::policy::metric::MetricName;
use crate::stats::benjamini_hochberg;
use crate::stats::holm;

/// More metrics than this are most likely a mistake, and take seconds.
pub const MAX_TABLE_METRICS: usize = 64;

/// The correction of p-values for several metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// No correction: with 20 equal metrics at 0.05, one false alarm is to be expected.
    None,
    /// Holm: the probability of any false alarm is at most `p_threshold`.
    #[default]
    Holm,
    /// Benjamini-Hochberg: the expected share of false alarms among all alarms is at most
    /// `p_threshold`.
    BenjaminiHochberg,
}

impl Correction {
    /// The corrections by name.
    pub const ALL: [(&str, Correction); 3] = [
        ("holm", Correction::Holm),
        ("benjamini_hochberg", Correction::BenjaminiHochberg),
        ("none", Correction::None),
    ];

    fn adjusted(self, p_values: Vec<f64>) -> Vec<f64> {
        match self {
            Correction::None => None,
            Correction::Holm => holm(&p_values),
            Correction::BenjaminiHochberg => benjamini_hochberg(&p_values),
        }
        .unwrap_or(p_values)
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Correction::None => None,
            Correction::Holm => Some("Holm's correction"),
            Correction::BenjaminiHochberg => Some("Benjamini-Hochberg"),
        }
    }
}

/// How the verdicts on several metrics become one decision; what is `None` has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TableOptions {
    /// The level for all metrics together. Default 0.05.
    pub p_threshold: Option<f64>,
    /// Default `holm`.
    pub correction: Option<Correction>,
    /// From this score on: promote. Default 95.
    pub promote_score: Option<f64>,
    /// If the score can no longer exceed this: roll back. Default 60.
    pub rollback_score: Option<f64>,
}

/// One metric of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableMetric {
    /// Its name.
    pub name: MetricName,
    /// The baseline's values.
    pub baseline: Sample,
    /// The canary's values.
    pub canary: Sample,
    /// Its options; `p_threshold` is the table's.
    pub options: AnalysisOverrides,
    /// Its weight in the score. Default 1.
    pub weight: Option<f64>,
    /// Whether its failure alone rolls back.
    pub is_critical: bool,
}

/// A table that cannot be analyzed.
#[derive(Debug, Error, PartialEq)]
pub enum TableError {
    /// An option of the table.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// An option of a metric.
    #[error("metric {:?}: {cause}", name.as_str())]
    Metric {
        /// The metric.
        name: MetricName,
        /// The option.
        cause: OptionError,
    },
    /// A `p_threshold` of one metric.
    #[error(
        "metric {:?}: p_threshold applies to all metrics together; send it next to metrics",
        name.as_str()
    )]
    ThresholdOfMetric {
        /// The metric.
        name: MetricName,
    },
    /// Two metrics of one name.
    #[error("metric {:?} appears twice; send each metric once", name.as_str())]
    Twice {
        /// The metric.
        name: MetricName,
    },
    /// None, or too many.
    #[error("metrics: {given} metrics; use 1 to {MAX_TABLE_METRICS}")]
    Count {
        /// How many metrics there are.
        given: usize,
    },
}

/// The analysis of several metrics.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TableAnalysis {
    /// What to do.
    pub decision: Decision,
    /// The reason, in a sentence.
    pub reason: String,
    /// The weight of the metrics that pass, of 100; 0 if a critical metric fails.
    pub score: f64,
    /// How the p-values are corrected.
    pub correction: Correction,
    /// The level for all metrics together.
    pub p_threshold: f64,
    /// Each metric, in the order given.
    pub metrics: Vec<MetricAnalysis>,
}

/// One metric of a [`TableAnalysis`].
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MetricAnalysis {
    /// The metric.
    pub metric: MetricName,
    /// Its weight in the score.
    pub weight: f64,
    /// Whether its failure alone rolls back.
    pub critical: bool,
    /// The smallest p-value that can show a difference (with a margin: harm), corrected. `None`
    /// without a test.
    pub adjusted_pvalue: Option<f64>,
    /// The analysis of this metric, from the corrected p-value.
    #[serde(flatten)]
    pub analysis: Analysis,
}

/// Compares several metrics: [`analyze`](super::two_samples::analyze) for each, with every p-value
/// that can show a difference corrected together.
///
/// ```text
/// score      100 * (weight of the metrics that pass) / (weight of all); 0 if a critical metric fails
/// rollback   a critical metric fails, or 100 * (1 - weight that fails / weight of all) <= rollback_score
/// promote    score >= promote_score
/// ```
///
/// Non-inferiority p-values are not corrected: a promotion needs all of them, and the chance that
/// all are small by mistake is at most that of one (an intersection-union test).
///
/// Each metric's bootstrap starts with the same random bits, so that its interval does not depend
/// on the other metrics.
///
/// # Errors
/// When the table has no metrics or more than [`MAX_TABLE_METRICS`], lists one twice, or an option is out of range.
pub fn analyze_table<R: FnMut() -> u64>(
    metrics: Vec<TableMetric>,
    options: TableOptions,
    random: impl Fn() -> R,
) -> Result<TableAnalysis, TableError> {
    if !(1..=MAX_TABLE_METRICS).contains(&metrics.len()) {
        return Err(TableError::Count { given: metrics.len() });
    }
    let is_repeated = |i: usize| metrics[..i].iter().any(|other| other.name == metrics[i].name);
    if let Some(i) = (0..metrics.len()).find(|i| is_repeated(*i)) {
        return Err(TableError::Twice { name: metrics[i].name.clone() });
    }
    let p_threshold = options.p_threshold.unwrap_or(0.05);
    let correction = options.correction.unwrap_or_default();
    let scores = Scores::checked(options)?;
    check_p_threshold(p_threshold)?;
    let prepared: Vec<Prepared> = metrics
        .iter()
        .map(|metric| {
            let options = metric.checked(p_threshold)?;
            Ok(Prepared::of(&metric.baseline, &metric.canary, options, random()))
        })
        .collect::<Result<_, TableError>>()?;
    let family = prepared.iter().flat_map(Prepared::p_values).collect();
    let mut adjusted = correction.adjusted(family).into_iter();
    let metrics: Vec<MetricAnalysis> = metrics
        .into_iter()
        .zip(prepared)
        .map(|(metric, prepared)| {
            let tests = prepared.p_values().len();
            let adjusted_pvalue = adjusted.by_ref().take(tests).reduce(f64::min);
            MetricAnalysis {
                metric: metric.name,
                weight: metric.weight.unwrap_or(DEFAULT_WEIGHT),
                critical: metric.is_critical,
                adjusted_pvalue,
                analysis: prepared.concluded(adjusted_pvalue.unwrap_or(1.0), correction.name()),
            }
        })
        .collect();
    let (decision, reason, score) = decided(&metrics, scores);
    Ok(TableAnalysis { decision, reason, score, correction, p_threshold, metrics })
}

const DEFAULT_WEIGHT: f64 = 1.0;

impl TableMetric {
    fn checked(&self, p_threshold: f64) -> Result<AnalysisOptions, TableError> {
        if self.options.p_threshold.is_some() {
            return Err(TableError::ThresholdOfMetric { name: self.name.clone() });
        }
        let within = |cause| TableError::Metric { name: self.name.clone(), cause };
        let weight = self.weight.unwrap_or(DEFAULT_WEIGHT);
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(within(OptionError::range("weight", weight, "more than 0, for example 2")));
        }
        let given = AnalysisOverrides { p_threshold: Some(p_threshold), ..self.options };
        AnalysisOptions::checked(given).map_err(within)
    }
}

/// The thresholds of the score.
#[derive(Clone, Copy)]
struct Scores {
    promote_score: f64,
    rollback_score: f64,
}

impl Scores {
    fn checked(given: TableOptions) -> Result<Scores, OptionError> {
        let promote_score = given.promote_score.unwrap_or(95.0);
        let rollback_score = given.rollback_score.unwrap_or(60.0);
        let scores = 0.0..=100.0;
        if !scores.contains(&promote_score) {
            let allowed = "0 to 100, for example 95";
            return Err(OptionError::range("promote_score", promote_score, allowed));
        }
        if !(scores.contains(&rollback_score) && rollback_score < promote_score) {
            let allowed = "0 to 100 and less than promote_score, for example 60";
            return Err(OptionError::range("rollback_score", rollback_score, allowed));
        }
        Ok(Scores { promote_score, rollback_score })
    }
}

fn decided(metrics: &[MetricAnalysis], scores: Scores) -> (Decision, String, f64) {
    let Scores { promote_score, rollback_score } = scores;
    let of = |verdict| metrics.iter().filter(move |metric| metric.analysis.verdict == verdict);
    let all: f64 = metrics.iter().map(|metric| metric.weight).sum();
    let share = |verdict| 100.0 * of(verdict).map(|metric| metric.weight).sum::<f64>() / all;
    let score = share(MetricVerdict::Pass);
    let attainable = 100.0 - share(MetricVerdict::Fail);
    let names = |verdict| -> String {
        of(verdict).map(|metric| metric.metric.as_str()).collect::<Vec<_>>().join(", ")
    };
    let failing = names(MetricVerdict::Fail);
    let critical = of(MetricVerdict::Fail).find(|metric| metric.critical);
    if let Some(metric) = critical {
        let reason = format!("the critical metric {} fails", metric.metric.as_str());
        return (Decision::Rollback, reason, 0.0);
    }
    if attainable <= rollback_score {
        let reason = format!(
            "{failing} fail: the score can reach {attainable:.0} at most, rollback_score is \
             {rollback_score}"
        );
        return (Decision::Rollback, reason, score);
    }
    if score >= promote_score {
        let reason = format!("the score is {score:.0}, promote_score is {promote_score}");
        return (Decision::Promote, reason, score);
    }
    let open: Vec<&str> = metrics
        .iter()
        .filter(|metric| {
            matches!(metric.analysis.verdict, MetricVerdict::Inconclusive | MetricVerdict::Waiting)
        })
        .map(|metric| metric.metric.as_str())
        .collect();
    let mut reason = format!("the score is {score:.0}, below the promote_score of {promote_score}");
    if !failing.is_empty() {
        reason += &format!("; failing: {failing}");
    }
    if !open.is_empty() {
        reason += &format!("; not settled: {}", open.join(", "));
    }
    (Decision::Wait, reason, score)
}

#[cfg(test)]
#[path = "metric_table_tests.rs"]
mod tests;
