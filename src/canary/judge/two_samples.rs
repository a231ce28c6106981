//! Two samples of any number, compared once: promote, roll back, or wait?
//!
//! The numbers may be scores, latencies or money; whoever measured them says whether higher is better.
//! The tests are made for one look: asked again after every value, they find a difference that is
//! none far more often than the threshold says.

use serde::Serialize;
use thiserror::Error;

use crate::stats::Bootstrap;
use crate::stats::MAX_MAGNITUDE;
use crate::stats::Moments;
use crate::stats::Points;
use crate::stats::cohens_d;
use crate::stats::is_recordable;
use crate::stats::kolmogorov_smirnov;
use crate::stats::mann_whitney_u;
use crate::stats::welch_t_test;
use crate::text::numbers::number;
use crate::text::numbers::probability;

/// When a difference decides. Made by [`AnalysisOptions::checked`], so every field is in its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnalysisOptions {
    p_threshold: f64,
    effect_threshold: f64,
    min_samples: u64,
    higher_is_better: bool,
}

/// Options as they were given; what is left out has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GivenOptions {
    /// Below it, a p-value counts. Default 0.05.
    pub p_threshold: Option<f64>,
    /// From it on, the absolute value of Cohen's d counts. Default 0.2, by convention a small effect.
    pub effect_threshold: Option<f64>,
    /// Values that each track must have. Default 30.
    pub min_samples: Option<u64>,
    /// Whether a larger value is a better one. Default true, as for a score; false for a latency.
    pub higher_is_better: Option<bool>,
}

impl AnalysisOptions {
    /// The options that these amount to.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn checked(given: GivenOptions) -> Result<AnalysisOptions, OptionError> {
        let default = AnalysisOptions::default();
        let options = AnalysisOptions {
            p_threshold: given.p_threshold.unwrap_or(default.p_threshold),
            effect_threshold: given.effect_threshold.unwrap_or(default.effect_threshold),
            min_samples: given.min_samples.unwrap_or(default.min_samples),
            higher_is_better: given.higher_is_better.unwrap_or(default.higher_is_better),
        };
        let AnalysisOptions { p_threshold, effect_threshold, min_samples, .. } = options;
        let out = |field, value, allowed| Err(OptionError { field, value, allowed });
        if !(p_threshold > 0.0 && p_threshold < 1.0) {
            let allowed = "more than 0 and less than 1, such as 0.05";
            return out("p_threshold", p_threshold.to_string(), allowed);
        }
        if !(effect_threshold >= 0.0 && effect_threshold.is_finite()) {
            let allowed = "0 or more, such as 0.2";
            return out("effect_threshold", effect_threshold.to_string(), allowed);
        }
        if min_samples < 2 {
            let allowed = "2 or more, such as 30 (a variance needs two)";
            return out("min_samples", min_samples.to_string(), allowed);
        }
        Ok(options)
    }
}

impl Default for AnalysisOptions {
    fn default() -> AnalysisOptions {
        AnalysisOptions {
            p_threshold: 0.05,
            effect_threshold: 0.2,
            min_samples: 30,
            higher_is_better: true,
        }
    }
}

/// An option outside its range.
#[derive(Debug, Error, PartialEq)]
#[error("{field} = {value} is out of range; give {allowed}")]
pub struct OptionError {
    /// The option.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

/// The values of one track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    points: Points,
    measured: u64,
}

/// A value that cannot be compared.
#[derive(Debug, Error, PartialEq)]
#[error(
    "value {position} is {value}; give a finite number of at most {MAX_MAGNITUDE:e} in \
     absolute value"
)]
pub struct ValueError {
    /// Which of the values, counted from 1.
    pub position: usize,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A sample of exactly these values, in any order.
    ///
    /// # Errors
    /// When one of them is not finite, or too large to be squared.
    pub fn of(values: &[f64]) -> Result<Sample, ValueError> {
        Sample::drawn(values, values.len() as u64)
    }

    /// A sample of values that were drawn at random from more that were measured.
    ///
    /// # Errors
    /// When one of them is not finite, or too large to be squared.
    pub fn drawn(values: &[f64], measured: u64) -> Result<Sample, ValueError> {
        if let Some(index) = values.iter().position(|value| !is_recordable(*value)) {
            return Err(ValueError { position: index + 1, value: values[index] });
        }
        Ok(Sample {
            points: Points::from_samples(values),
            measured: measured.max(values.len() as u64),
        })
    }

    /// The distinct values with their counts.
    pub fn points(&self) -> &Points {
        &self.points
    }
}

/// What the comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The canary is better by an amount that matters.
    Promote,
    /// The canary is worse by an amount that matters.
    Rollback,
    /// Neither is shown.
    Wait,
}

impl Decision {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Promote => "promote",
            Decision::Rollback => "rollback",
            Decision::Wait => "wait",
        }
    }
}

/// A decision with everything it was made from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// What to do.
    pub decision: Decision,
    /// Why, in a sentence with the numbers.
    pub reason: String,
    /// The numbers.
    pub stats: AnalysisStats,
    /// How many values were measured.
    pub sample_counts: SampleCounts,
    /// How many of them were compared: fewer where a random sample stands for the rest.
    pub judged_counts: SampleCounts,
}

/// The statistics of a comparison. Differences are the canary's minus the baseline's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AnalysisStats {
    /// Two-sided p-value of the Mann-Whitney test; `None` below the minimum of samples, as all that
    /// follow but the means.
    pub mann_whitney_pvalue: Option<f64>,
    /// Two-sided p-value of the Kolmogorov-Smirnov test.
    pub ks_pvalue: Option<f64>,
    /// Two-sided p-value of Welch's t-test. Shown, and not decided by.
    pub welch_pvalue: Option<f64>,
    /// The difference of the means in pooled standard deviations; `None` when neither track varies.
    pub cohens_d: Option<f64>,
    /// 95 % bootstrap interval of the difference of the means.
    pub bootstrap_ci_95: Option<[f64; 2]>,
    /// `None` without values.
    pub baseline_mean: Option<f64>,
    /// `None` without values.
    pub canary_mean: Option<f64>,
}

/// Values of each track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SampleCounts {
    /// The trusted version's.
    pub baseline: u64,
    /// The version's on trial.
    pub canary: u64,
}

/// Compares two samples.
///
/// ```text
/// significant   Mann-Whitney or Kolmogorov-Smirnov, two-sided: p < p_threshold
/// matters       |d| >= effect_threshold                          (d: Cohen's)
/// both          promote if the canary's mean is on the better side, else rollback
/// otherwise     wait
/// ```
///
/// With too few values it waits, and no test is made. When neither track varies there is no standard
/// deviation to measure a difference in: different values then exceed every effect threshold, and
/// equal ones are no difference. A difference of spread alone never decides, not even with an effect
/// threshold of 0, because it has no better side.
///
/// The random bits are those of the bootstrap: the same bits give the same interval.
pub fn analyze(
    baseline: &Sample,
    canary: &Sample,
    options: AnalysisOptions,
    random: impl FnMut() -> u64,
) -> Analysis {
    let sample_counts = SampleCounts { baseline: baseline.measured, canary: canary.measured };
    let judged_counts =
        SampleCounts { baseline: baseline.points.total(), canary: canary.points.total() };
    let answer = |(decision, reason), stats| Analysis {
        decision,
        reason,
        stats,
        sample_counts,
        judged_counts,
    };
    let moments = (baseline.points.moments(), canary.points.moments());
    let means = AnalysisStats {
        baseline_mean: moments.0.mean(),
        canary_mean: moments.1.mean(),
        ..AnalysisStats::default()
    };
    let fewer = sample_counts.baseline.min(sample_counts.canary);
    let tests = (fewer >= options.min_samples)
        .then(|| Tests::of(&baseline.points, &canary.points, &moments));
    match tests.flatten() {
        None => answer((Decision::Wait, too_few(sample_counts, options.min_samples)), means),
        Some(tests) => {
            let stats = tests.stats(&baseline.points, &canary.points, means, random);
            answer(tests.decided(options), stats)
        }
    }
}

/// The numbers that decide.
struct Tests {
    mann_whitney: f64,
    kolmogorov_smirnov: f64,
    welch: f64,
    /// `None` when neither track varies.
    cohens_d: Option<f64>,
    means: (f64, f64),
    difference: f64,
}

impl Tests {
    /// `None` when a track has fewer than two values, or both have absurdly many.
    fn of(baseline: &Points, canary: &Points, moments: &(Moments, Moments)) -> Option<Tests> {
        Some(Tests {
            mann_whitney: mann_whitney_u(canary, baseline)?.p_two_sided(),
            kolmogorov_smirnov: kolmogorov_smirnov(canary, baseline)?.p_two_sided(),
            welch: welch_t_test(&moments.1, &moments.0)?.p_two_sided(),
            // Beyond the largest number it says no more than "none".
            cohens_d: cohens_d(&moments.1, &moments.0).filter(|d| d.is_finite()),
            means: (moments.0.mean()?, moments.1.mean()?),
            difference: moments.1.mean_difference(&moments.0)?,
        })
    }

    fn stats(
        &self,
        baseline: &Points,
        canary: &Points,
        means: AnalysisStats,
        random: impl FnMut() -> u64,
    ) -> AnalysisStats {
        let interval = BOOTSTRAP.mean_difference(canary, baseline, random);
        AnalysisStats {
            mann_whitney_pvalue: Some(self.mann_whitney),
            ks_pvalue: Some(self.kolmogorov_smirnov),
            welch_pvalue: Some(self.welch),
            cohens_d: self.cohens_d,
            bootstrap_ci_95: interval.map(|interval| [interval.low, interval.high]),
            ..means
        }
    }

    fn decided(&self, options: AnalysisOptions) -> (Decision, String) {
        let AnalysisOptions { p_threshold, effect_threshold, higher_is_better, .. } = options;
        let significant = self.mann_whitney.min(self.kolmogorov_smirnov) < p_threshold;
        let matters = match self.cohens_d {
            Some(d) => d.abs() >= effect_threshold,
            None => true,
        };
        let tests = format!(
            "Mann-Whitney p = {}, Kolmogorov-Smirnov p = {}",
            probability(self.mann_whitney),
            probability(self.kolmogorov_smirnov)
        );
        if !significant {
            let reason = format!(
                "no significant difference: {tests}, neither below {p_threshold}; {}",
                self.sizes()
            );
            return (Decision::Wait, reason);
        }
        if self.difference == 0.0 {
            let reason = format!("the distributions differ ({tests}), but their means are equal");
            return (Decision::Wait, reason);
        }
        if !matters {
            let reason = format!(
                "the difference is significant ({tests}) but too small to matter: {}, and \
                 effect_threshold is {effect_threshold}",
                self.sizes()
            );
            return (Decision::Wait, reason);
        }
        let better = (self.difference > 0.0) == higher_is_better;
        let (decision, word) =
            if better { (Decision::Promote, "better") } else { (Decision::Rollback, "worse") };
        let direction = if higher_is_better { "higher" } else { "lower" };
        let reason = format!(
            "the canary is significantly {word}: {}, {tests}; {direction} is better",
            self.sizes()
        );
        (decision, reason)
    }

    /// Both means, and how far they are apart.
    fn sizes(&self) -> String {
        let apart = match self.cohens_d {
            Some(d) => format!("Cohen's d = {d:.3}"),
            None if self.difference == 0.0 => "all values are equal".to_owned(),
            None => "neither varies".to_owned(),
        };
        format!("mean {} against {}, {apart}", number(self.means.1), number(self.means.0))
    }
}

const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 10_000, level: 0.95 };

fn too_few(counts: SampleCounts, min_samples: u64) -> String {
    let SampleCounts { baseline, canary } = counts;
    format!(
        "not enough samples: {baseline} of the baseline and {canary} of the canary, needed are \
         {min_samples} of each"
    )
}

#[cfg(test)]
#[path = "two_samples_tests.rs"]
mod tests;
