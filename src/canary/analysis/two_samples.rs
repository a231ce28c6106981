//! The decision about one metric: promote, roll back, or wait?

use serde::Serialize;
use utoipa::ToSchema;

use super::options::AnalysisOptions;
use super::options::margin_text;
use super::sample::Sample;
use super::sample::SampleCounts;
use super::statistics::AnalysisStats;
use super::statistics::Comparison;
use super::statistics::DecidingTest;
use super::statistics::MarginTest;
use super::statistics::means;
use crate::stats::Margin;
use crate::text::numbers::equation;
use crate::text::numbers::number;
use crate::text::numbers::probability;
use crate::text::numbers::two_numbers;

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The canary is better, or with a margin: not worse.
    Promote,
    /// The canary is worse by an amount that matters.
    Rollback,
    /// Neither is shown.
    Wait,
}

impl Decision {
    /// The decision as users read it.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Promote => "promote",
            Decision::Rollback => "rollback",
            Decision::Wait => "wait",
        }
    }
}

/// The verdict on one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricVerdict {
    /// Better, or with a margin: not worse.
    Pass,
    /// Worse.
    Fail,
    /// Neither is shown.
    Inconclusive,
    /// Too few values.
    Waiting,
}

impl MetricVerdict {
    /// The verdict as users read it.
    pub fn word(self) -> &'static str {
        match self {
            MetricVerdict::Pass => "pass",
            MetricVerdict::Fail => "fail",
            MetricVerdict::Inconclusive => "inconclusive",
            MetricVerdict::Waiting => "waiting",
        }
    }
}

/// A decision with the numbers behind it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Analysis {
    /// What to do.
    pub decision: Decision,
    /// The verdict on the metric.
    pub verdict: MetricVerdict,
    /// The reason, in a sentence with the numbers.
    pub reason: String,
    /// The numbers.
    pub stats: AnalysisStats,
    /// How many values were measured.
    pub sample_counts: SampleCounts,
    /// How many of them were compared: fewer when they are a random sample.
    pub judged_counts: SampleCounts,
}

/// Compares two samples.
///
/// ```text
/// with a margin     pass if the non-inferiority p-value < p_threshold, fail if the harm p-value is
/// without one       significant: Mann-Whitney or Kolmogorov-Smirnov (rates: Fisher), two-sided
///                   p < p_threshold; matters: |Cohen's d| >= effect_threshold;
///                   both: pass if the canary's mean is on the better side, else fail
/// pass -> promote   fail -> rollback   otherwise wait
/// ```
///
/// Below `min_samples` it waits without a test. When neither track varies there is no standard
/// deviation to measure a difference in: different values then exceed every effect threshold, and
/// equal ones are no difference. A difference of spread alone never decides, not even with an effect
/// threshold of 0, because neither side of it is better.
///
/// The random bits are those of the bootstrap: the same bits give the same interval.
pub fn analyze(
    baseline: &Sample,
    canary: &Sample,
    options: AnalysisOptions,
    random: impl FnMut() -> u64,
) -> Analysis {
    let comparison = Prepared::of(baseline, canary, options, random);
    let p = comparison.p_values().into_iter().fold(1.0, f64::min);
    comparison.concluded(p, None)
}

/// A comparison before its conclusion: several metrics are corrected in between.
pub(super) struct Prepared {
    options: AnalysisOptions,
    sample_counts: SampleCounts,
    judged_counts: SampleCounts,
    means: AnalysisStats,
    /// `None` with too few values.
    comparison: Option<Comparison>,
}

impl Prepared {
    pub(super) fn of(
        baseline: &Sample,
        canary: &Sample,
        options: AnalysisOptions,
        random: impl FnMut() -> u64,
    ) -> Prepared {
        let sample_counts =
            SampleCounts { baseline: baseline.measured(), canary: canary.measured() };
        let judged_counts =
            SampleCounts { baseline: baseline.points().total(), canary: canary.points().total() };
        let comparison = (sample_counts.baseline.min(sample_counts.canary) >= options.min_samples)
            .then(|| Comparison::of(baseline, canary, options, random))
            .flatten();
        let means = means(baseline, canary);
        Prepared { options, sample_counts, judged_counts, means, comparison }
    }

    /// The p-values that a correction for several metrics applies to.
    pub(super) fn p_values(&self) -> Vec<f64> {
        self.comparison.as_ref().map_or_else(Vec::new, |comparison| comparison.test.p_values())
    }

    /// The conclusion from the smallest p-value, after the named correction.
    pub(super) fn concluded(self, p: f64, correction: Option<&str>) -> Analysis {
        let Prepared { options, sample_counts, judged_counts, means, comparison } = self;
        let (verdict, reason, stats) = match &comparison {
            None => (MetricVerdict::Waiting, too_few(sample_counts, options.min_samples), means),
            Some(comparison) => {
                let corrected = correction
                    .map(|name| format!(" ({} after {name})", probability(p)))
                    .unwrap_or_default();
                let (verdict, reason) = comparison.verdict(p, &corrected, options);
                (verdict, reason, comparison.stats)
            }
        };
        let decision = match verdict {
            MetricVerdict::Pass => Decision::Promote,
            MetricVerdict::Fail => Decision::Rollback,
            MetricVerdict::Inconclusive | MetricVerdict::Waiting => Decision::Wait,
        };
        Analysis { decision, verdict, reason, stats, sample_counts, judged_counts }
    }
}

impl Comparison {
    fn verdict(
        &self,
        p: f64,
        corrected: &str,
        options: AnalysisOptions,
    ) -> (MetricVerdict, String) {
        let tests = match &self.test {
            DecidingTest::Margin(test) => {
                return self.verdict_by_margin(test, p, corrected, options);
            }
            DecidingTest::NoMarginTest => {
                let reason = format!(
                    "a relative margin needs a positive baseline mean and a canary mean of 0 or \
                     more; use a margin in the unit of the values: {}",
                    self.means()
                );
                return (MetricVerdict::Inconclusive, reason);
            }
            DecidingTest::Rates(fisher) => {
                format!("{}{corrected}", equation("Fisher p", *fisher))
            }
            DecidingTest::Values { mann_whitney, kolmogorov_smirnov } => format!(
                "{}, {}{corrected}",
                equation("Mann-Whitney p", *mann_whitney),
                equation("Kolmogorov-Smirnov p", *kolmogorov_smirnov)
            ),
        };
        self.verdict_by_difference(&tests, p, options)
    }

    fn verdict_by_margin(
        &self,
        test: &MarginTest,
        p: f64,
        corrected: &str,
        options: AnalysisOptions,
    ) -> (MetricVerdict, String) {
        let (verdict, conclusion) = if test.non_inferiority_pvalue < options.p_threshold {
            (MetricVerdict::Pass, "the canary is not worse by the margin")
        } else if p < options.p_threshold {
            (MetricVerdict::Fail, "the canary is worse by more than the margin")
        } else {
            (MetricVerdict::Inconclusive, "neither harm nor its absence is shown")
        };
        let harm = |value: f64| match test.is_relative {
            true if value.is_finite() => format!("{}%", number(value * 100.0)),
            _ => number(value),
        };
        let [low, high] = test.interval.map(harm);
        let margin = match test.is_relative {
            true => margin_text(Margin::relative(test.margin)),
            false => margin_text(Margin::absolute(test.margin)),
        };
        let reason = format!(
            "{conclusion}: worse by {} ({} % interval {low} to {high}), margin {margin}; \
             {}, {}{corrected}; {}",
            harm(test.harm),
            number(test.level * 100.0),
            equation("non-inferiority p", test.non_inferiority_pvalue),
            equation("harm p", test.harm_pvalue),
            self.means(),
        );
        (verdict, reason)
    }

    fn verdict_by_difference(
        &self,
        tests: &str,
        p: f64,
        options: AnalysisOptions,
    ) -> (MetricVerdict, String) {
        let AnalysisOptions { p_threshold, effect_threshold, higher_is_better, .. } = options;
        if p >= p_threshold {
            let reason = format!(
                "no significant difference: {tests}, p_threshold {p_threshold}; {}",
                self.sizes()
            );
            return (MetricVerdict::Inconclusive, reason);
        }
        if self.difference == 0.0 {
            let reason = format!("the distributions differ ({tests}), but their means are equal");
            return (MetricVerdict::Inconclusive, reason);
        }
        let matters = match self.stats.cohens_d {
            Some(d) => d.abs() >= effect_threshold,
            None => true,
        };
        if !matters {
            let reason = format!(
                "the difference is significant ({tests}) but too small to matter: {}, \
                 effect_threshold {effect_threshold}",
                self.sizes()
            );
            return (MetricVerdict::Inconclusive, reason);
        }
        let is_better = (self.difference > 0.0) == higher_is_better;
        let (verdict, word) = if is_better {
            (MetricVerdict::Pass, "better")
        } else {
            (MetricVerdict::Fail, "worse")
        };
        let direction = if higher_is_better { "higher" } else { "lower" };
        let reason = format!(
            "the canary is significantly {word}: {}, {tests}; {direction} is better",
            self.sizes()
        );
        (verdict, reason)
    }

    /// Both means and their distance.
    fn sizes(&self) -> String {
        let distance = match self.stats.cohens_d {
            Some(d) => format!("Cohen's d = {d:.3}"),
            None if self.difference == 0.0 => "all values are equal".to_owned(),
            None => "neither track varies".to_owned(),
        };
        format!("{}, {distance}", self.means())
    }

    fn means(&self) -> String {
        let [canary, baseline] =
            [self.stats.canary_mean, self.stats.baseline_mean].map(|mean| mean.unwrap_or_default());
        let [canary, baseline] = two_numbers(canary, baseline);
        match self.stats.rates {
            Some(_) => format!("rate {canary} against {baseline}"),
            None => format!("mean {canary} against {baseline}"),
        }
    }
}

fn too_few(counts: SampleCounts, min_samples: u64) -> String {
    let SampleCounts { baseline, canary } = counts;
    format!("not enough samples: baseline {baseline}, canary {canary}; each needs {min_samples}")
}

#[cfg(test)]
#[path = "two_samples_tests.rs"]
mod tests;
