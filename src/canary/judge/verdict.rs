//! Verdicts and classifications, and the reasons for them.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::monitors::measured::Counts;
use super::monitors::measured::LastLook;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::metric::Role;
use crate::canary::policy::segments::SegmentName;

/// What should happen to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is enough data, and no sign of harm.
    Promote,
    /// The canary does harm.
    Rollback,
    /// There is not enough data.
    Hold,
}

impl Verdict {
    /// The verdict as JSON names it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Promote => "promote",
            Verdict::Rollback => "rollback",
            Verdict::Hold => "hold",
        }
    }
}

/// The conclusion about one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Non-inferiority is shown: the canary stays within the accepted margin.
    Pass,
    /// Harm beyond the tolerated margin is shown.
    Fail,
    /// Neither is shown yet.
    Inconclusive,
    /// A track has fewer samples than a pass requires, or nothing was compared yet.
    Insufficient,
}

/// The evidence about one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricEvidence {
    /// The metric.
    pub metric: MetricName,
    /// What its failure leads to.
    pub role: Role,
    /// The conclusion.
    pub classification: Classification,
    /// How many samples were observed.
    pub samples: Counts,
    /// Always-valid p-value against "no worse than tolerated" (harm); of scores "within the harmful margin". `None`
    /// before both tracks have a sample.
    pub harm_p_value: Option<f64>,
    /// Below it the metric fails.
    pub harm_threshold: f64,
    /// Always-valid p-value against "worse than accepted" (non-inferiority). `None` before both tracks have a
    /// sample, and for a metric that fails.
    pub proven_p_value: Option<f64>,
    /// Below it the metric may pass.
    pub proven_threshold: f64,
    /// Canary minus stable in the metric's unit (seconds, a share of requests, a probability).
    pub effect: Option<f64>,
    /// Whether a difference beyond the tolerated margin is shown, short of harm: it holds a rollout by plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shifted: bool,
    /// Whether harm is shown with every request as a draw and not in units of time: it may be noise of the canary that
    /// lasts, and it holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_suspected: bool,
    /// Of a signal in the tail that is compared and not proven: the further effective samples that a promotion waits for
    /// at most. A request counts `pi (1 - pi)` at the canary's share pi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited_samples: Option<u64>,
    /// Where harm counts spans of time: the shortest that counts as one draw now, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_seconds: Option<f64>,
    /// Its confidence sequence, for display; the p-values decide. It ends at the margin that they refute, and reaches one
    /// that they do not refute. `None` where the effect on the mean contradicts the classification, which may rest on
    /// ranks or tails.
    pub interval: Option<[f64; 2]>,
    /// Stable's recent mean, to express the effect as a ratio.
    pub stable_mean: Option<f64>,
    /// For scores: the standard deviation of stable's recent values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_spread: Option<f64>,
    /// For scores of split traffic: the same of the canary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_spread: Option<f64>,
    /// For scores in shadow: the mean size of the differences between the two answers to a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// For many classes: the class with the largest shift. Effect, mean, spreads and distance are its.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Where all visits of keys decided, and not first visits alone: what the last look over them saw. Samples, effect
    /// and interval above are those of first visits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_visits: Option<LastLook>,
}

/// Why a verdict was reached. The numbers are in the evidence of the same judgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(no_recursion)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Health check: the canary fails more often than stable, and not by chance.
    FailsMoreOften,
    /// Health check: the canary is slower than tolerated, and not by chance.
    IsSlower,
    /// Health check: a track has too few latency samples.
    TooFewSamples,
    /// Health check: the canary fails more often than accepted, perhaps by chance.
    MayFailMoreOften,
    /// Health check: no harmful difference in latency.
    LatencyIsFine,
    /// Health check: no harmful difference in failures.
    FailuresAreFine,
    /// Health check: the canary's scores are grossly shifted.
    ScoreShifted,
    /// Health check: the canary's scores hardly vary, or far more than stable's.
    ScoreSpread,
    /// Health check: the canary's scores are shifted beyond the harmful margin, perhaps by chance.
    MayBeShifted,
    /// Health check: no gross difference of the scores.
    ScoreIsFine,
    /// Health check: what this one look found or lacked, where the sequential judge has proven the opposite.
    Outweighed(Box<Reason>),
    /// Sequential judge: the metrics together.
    Metrics,
    /// Sequential judge: one metric.
    Metric(MetricName),
    /// Sequential judge: something that a person should look at.
    Concern(Concern),
    /// There is no evidence of the sequential judge.
    NoEvidence,
}

/// Something that a person should look at before the rollout continues.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// Harm in a segment.
    Segment {
        /// The segment.
        segment: SegmentName,
        /// The metric that shows the harm.
        metric: MetricName,
    },
    /// The tracks' shares of the requests are not those of the split.
    SampleRatio,
    /// The scores have shifted by more than is tolerated, by whichever metric. A person may accept it.
    Shift,
    /// The tracks get different inputs.
    Inputs,
}
