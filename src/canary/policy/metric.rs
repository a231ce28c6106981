//! What is judged: a signal with a direction of harm, margins, a role and a weight.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use crate::stats::Harm;
use crate::stats::Margin;
use crate::stats::sequential::Test;

/// One metric of a policy. Made by [`JudgePolicy::new`], so every field is in its range.
///
/// [`JudgePolicy::new`]: super::judge_policy::JudgePolicy::new
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// What it is called.
    pub name: MetricName,
    /// Where its values come from.
    pub source: Source,
    /// Which difference is harm.
    pub harm: Harm,
    /// What harm leads to.
    pub role: Role,
    /// A difference up to this is no harm. Of failures the relative part alone: a ratio of rates.
    pub tolerated: Margin,
    /// A difference proven to be within this counts as none. Of failures the absolute part alone.
    pub accepted: Margin,
    /// Its part of alpha and of the score, relative to the weights of the others.
    pub weight: f64,
    /// Whether its failure brings the score to 0, whatever the other metrics say.
    pub critical: bool,
    /// Samples that each track must have before the metric can pass. A proven harm needs no minimum.
    pub min_samples: u64,
    /// What is asked of the values. Of failures nothing but whose they are.
    pub test: Test,
}

/// The name of a metric: 1 to 64 letters, digits, `_`, `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MetricName(String);

/// Where the values of a metric come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Seconds that a request took, divided by its rows.
    Latency,
    /// Whether a request was answered.
    Failures,
    /// The predicted probability, as the mean of a request's rows.
    Score,
    /// Whatever was measured elsewhere and recorded under the metric's name.
    Recorded,
    /// The logarithmic loss of predictions that were labelled, in nats.
    LogLoss,
    /// The Brier score of predictions that were labelled.
    Brier,
    /// In shadow: the canary's probability less stable's for the same request.
    ShadowScore,
    /// In shadow: the share of a request's rows that get another label.
    ShadowFlips,
    /// In shadow: whether the canary failed a request that stable had answered.
    ShadowFailures,
    /// In shadow: seconds that either version took for the same request, divided by its rows.
    ShadowLatency,
}

/// What the harm of a metric leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Harm rolls back.
    Guardrail,
    /// Harm holds, by way of the score.
    Signal,
    /// Harm is reported, and leads to nothing.
    Advisory,
}

/// The most metrics of a policy: each costs some microseconds a second and some 100 kB.
pub const MAX_METRICS: usize = 16;

/// The longest name of a metric, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// A text that is no name of a metric.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "metric = {0:?} is no name of a metric; give 1 to {MAX_NAME_BYTES} letters (a-z, A-Z), digits, \
     _, . or -"
)]
pub struct MetricNameError(String);

impl MetricName {
    /// The name, if it is one.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn new(name: &str) -> Result<MetricName, MetricNameError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) {
            Ok(MetricName(name.to_owned()))
        } else {
            Err(MetricNameError(name.to_owned()))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MetricName {
    type Error = MetricNameError;

    fn try_from(name: String) -> Result<MetricName, MetricNameError> {
        MetricName::new(&name)
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Source {
    /// The sources that serin observes itself, in the order in which they are shown.
    pub const BUILT_IN: [Source; 3] = [Source::Latency, Source::Failures, Source::Score];

    /// Those that are known only once somebody tells what became of a prediction.
    pub const OF_LABELS: [Source; 2] = [Source::LogLoss, Source::Brier];

    /// The sources of a rollout that shadows.
    pub const SHADOW: [Source; 4] =
        [Source::ShadowScore, Source::ShadowFlips, Source::ShadowFailures, Source::ShadowLatency];

    /// Whether it is one of [`OF_LABELS`](Self::OF_LABELS).
    pub fn is_of_labels(self) -> bool {
        Source::OF_LABELS.contains(&self)
    }

    /// Whether its values come in pairs: both versions' for the same request.
    pub fn is_shadow(self) -> bool {
        Source::SHADOW.contains(&self)
    }

    /// Whether its values are seconds.
    pub fn is_in_seconds(self) -> bool {
        matches!(self, Source::Latency | Source::ShadowLatency)
    }

    /// The source that is meant by a metric of this name when none is given.
    pub fn of(name: &MetricName) -> Source {
        let named = |source: &Source| source.word() == name.as_str();
        let known = Source::BUILT_IN.into_iter().chain(Source::OF_LABELS).chain(Source::SHADOW);
        known.into_iter().find(named).unwrap_or(Source::Recorded)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Source::Latency => "latency",
            Source::Failures => "failures",
            Source::Score => "score",
            Source::Recorded => "recorded",
            Source::LogLoss => "log_loss",
            Source::Brier => "brier",
            Source::ShadowScore => "shadow_score",
            Source::ShadowFlips => "shadow_flips",
            Source::ShadowFailures => "shadow_failures",
            Source::ShadowLatency => "shadow_latency",
        }
    }
}

impl From<Source> for MetricName {
    fn from(source: Source) -> MetricName {
        MetricName(source.word().to_owned())
    }
}

impl Role {
    /// Whether harm leads to anything.
    pub fn acts(self) -> bool {
        match self {
            Role::Guardrail | Role::Signal => true,
            Role::Advisory => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "x".repeat(MAX_NAME_BYTES);
        for good in ["score", "p99.latency_ms", "A-1", &longest] {
            assert_eq!(MetricName::new(good).unwrap().as_str(), good);
        }
        let too_long = "x".repeat(MAX_NAME_BYTES + 1);
        for bad in ["", "a b", "späße", "a/b", "a\n", "\"", &too_long] {
            let error = MetricName::new(bad).unwrap_err().to_string();
            assert!(error.contains("metric = ") && error.contains("1 to 64"), "{error}");
        }
    }

    #[test]
    fn a_name_tells_its_source_unless_it_is_said() {
        let source = |name: &str| Source::of(&MetricName::new(name).unwrap());
        assert_eq!(source("latency"), Source::Latency);
        assert_eq!(source("failures"), Source::Failures);
        assert_eq!(source("score"), Source::Score);
        assert_eq!(source("log_loss"), Source::LogLoss);
        assert_eq!(source("brier"), Source::Brier);
        for shadow in Source::SHADOW {
            assert_eq!(source(shadow.word()), shadow);
        }
        assert_eq!(source("revenue"), Source::Recorded);
        assert_eq!(source("recorded"), Source::Recorded);
    }
}
