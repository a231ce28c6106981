//! The sequential judge's verdict, as the API shows it: the evidence with its sentences.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::Forecast;
use crate::canary::SequentialVerdict;
use crate::canary::Verdict;
use crate::canary::judge::sentences;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::judge_policy::JudgePolicy;

/// The verdict of the sequential judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequentialStatus {
    /// What should happen to the canary.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub message: String,
    /// The weighted score of the metrics with a conclusion, 0 to 100; `null` before the first.
    pub score: Option<f64>,
    /// The probability that a harmless canary ever fails a metric that acts.
    pub alpha: f64,
    /// Ticks seen.
    pub ticks: u64,
    /// The evidence of each metric, in the order of the policy.
    pub metrics: Vec<MetricStatus>,
}

/// The evidence of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricStatus {
    /// The evidence.
    #[serde(flatten)]
    pub evidence: MetricEvidence,
    /// Its effect and conclusion in a sentence.
    pub sentence: String,
}

/// A forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastStatus {
    /// Its numbers.
    #[serde(flatten)]
    pub forecast: Forecast,
    /// It in a sentence.
    pub message: String,
}

impl SequentialStatus {
    pub(crate) fn new(policy: &JudgePolicy, conclusion: &SequentialVerdict) -> SequentialStatus {
        let metrics = policy.metrics.iter().zip(&conclusion.metrics);
        let metrics = metrics.map(|(metric, evidence)| MetricStatus {
            evidence: evidence.clone(),
            sentence: sentences::metric(metric, evidence),
        });
        SequentialStatus {
            verdict: conclusion.verdict,
            message: sentences::verdict(policy, conclusion),
            score: conclusion.score,
            alpha: conclusion.alpha,
            ticks: conclusion.ticks,
            metrics: metrics.collect(),
        }
    }
}

impl ForecastStatus {
    pub(crate) fn new(policy: &JudgePolicy, forecast: Forecast) -> ForecastStatus {
        ForecastStatus { message: sentences::forecast(policy, &forecast), forecast }
    }
}
