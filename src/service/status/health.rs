//! The answer of `/admin/check-canary-health`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::diagnostics::Diagnostics;
use super::features::FeaturesStatus;
use super::inputs::InputsStatus;
use super::tracks::Tracks;
use super::tracks::milliseconds;
use crate::canary::Forecast;
use crate::canary::Judgement;
use crate::canary::Samples;
use crate::canary::SequentialVerdict;
use crate::canary::Verdict;
use crate::canary::judge::bayesian::Reading;
use crate::canary::judge::bayesian::prior::EarlierEffects;
use crate::canary::judge::bayesian::readings;
use crate::canary::judge::coverage::Coverage;
use crate::canary::judge::evidence::SequentialEvidence;
use crate::canary::judge::health_check::Evidence;
use crate::canary::judge::sentences;
use crate::canary::judge::verdict::Concern;
use crate::canary::judge::verdict::Reason;
use crate::canary::policy::metric::Source;
use crate::service::reported::prometheus::status::QueryStatus;

/// The fixed-horizon tests on everything observed since the step began, and what the sequential judge
/// concludes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether harm was found; the same as `status` being `harm`.
    pub alert_triggered: bool,
    /// The answer: the verdict of the fixed-horizon tests and the sequential judge together, in one word.
    pub status: HealthStatus,
    /// The answer in a sentence, with its reasons.
    pub message: String,
    /// What happens with this answer: `promote` means that a promotion would be accepted.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<String>,
    /// Whether harm was found.
    pub harm_detected: bool,
    /// What the health check finds harmful by itself, at one look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub harm_at_one_look: Vec<HarmAtOneLook>,
    /// Where the health check finds a harmful difference that may be chance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub possible_harm: Vec<Source>,
    /// What had enough data to show harm.
    pub checked: Vec<String>,
    /// What had not, each with the reason.
    pub not_checked: Vec<String>,
    /// The test on latency.
    pub test: Cow<'static, str>,
    /// Its statistic.
    pub t_statistic: Option<f64>,
    /// Its degrees of freedom.
    pub degrees_of_freedom: Option<f64>,
    /// Its two-sided p-value.
    pub p_value: Option<f64>,
    /// One-sided p-value of the permutation test, which has to confirm a slower mean; left out unless Welch's test finds
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permutation_p_value: Option<f64>,
    /// One-sided p-value of the test by ranks, which can find a slower canary by itself; left out by plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_p_value: Option<f64>,
    /// The significance level.
    pub alpha: f64,
    /// Samples each track needs.
    pub min_samples: u64,
    /// The tolerated slowdown.
    pub margin_ms: Option<f64>,
    /// Canary mean minus stable mean.
    pub difference_ms: Option<f64>,
    /// Confidence interval of the difference at level 1 - alpha.
    pub confidence_interval_ms: Option<[f64; 2]>,
    /// One-sided p-value of Fisher's exact test on failures.
    pub failure_p_value: f64,
    /// What the sequential judge concludes; harm found here also stops a promotion.
    pub sequential: Option<SequentialVerdict>,
    /// Segments, sample ratio, inputs, and stalls of the machine.
    #[serde(flatten)]
    pub diagnostics: Diagnostics,
    /// When to expect a verdict, and what could be detected by then.
    pub forecast: Option<ForecastStatus>,
    /// How likely each metric is worse than tolerated, given a prior. For reading: it decides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bayesian: Vec<Reading>,
    /// When the newest tick closed. The sequential judge and the diagnostics know what was recorded before
    /// it; sample counts and fixed-horizon tests are those of now.
    pub as_of: Option<Timestamp>,
    /// What the latest requests lack for a version; left out if nothing, and in the status, which has it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeaturesStatus>,
    /// The inputs of the latest requests; left out before the first, and in the status, which has them itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<InputsStatus>,
    /// How the queries of metrics are doing; left out if there are none, and in the status, which has them itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<QueryStatus>,
    /// What was observed of both versions.
    #[serde(flatten)]
    pub tracks: Tracks,
}

/// Harm that the health check finds by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HarmAtOneLook {
    /// Where it was found.
    pub source: Source,
    /// Canary minus stable: seconds, a share of requests, a probability. `None` if the mean is not what differs.
    pub difference: Option<f64>,
    /// Stable's mean latency that the difference is from, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_mean: Option<f64>,
    /// The margin, in the same unit.
    pub margin: Option<f64>,
    /// What differs instead of the mean.
    pub detail: Option<String>,
}

impl HarmAtOneLook {
    fn of(evidence: &Evidence, reason: &Reason) -> Option<HarmAtOneLook> {
        let by_mean = |source, difference: f64, margin: f64| {
            let (difference, margin) = (Some(difference), Some(margin));
            HarmAtOneLook { source, difference, stable_mean: None, margin, detail: None }
        };
        match reason {
            Reason::FailsMoreOften => {
                let rate = evidence.inputs.canary.failure_rate();
                Some(by_mean(Source::Failures, rate - evidence.failures.reference_rate, 0.0))
            }
            Reason::IsSlower => evidence.latency.map(|it| HarmAtOneLook {
                stable_mean: evidence.inputs.stable.latency.mean(),
                ..by_mean(Source::Latency, it.difference_seconds, it.margin_seconds)
            }),
            Reason::ScoreShifted => {
                evidence.score.map(|it| by_mean(Source::Score, it.difference, it.margin))
            }
            Reason::ScoreSpread => evidence.score.map(|it| HarmAtOneLook {
                source: Source::Score,
                difference: None,
                stable_mean: None,
                margin: None,
                detail: Some(sentences::spreads(it.stable_spread, it.canary_spread)),
            }),
            Reason::TooFewSamples
            | Reason::MayFailMoreOften
            | Reason::LatencyIsFine
            | Reason::FailuresAreFine
            | Reason::MayBeShifted
            | Reason::ScoreIsFine
            | Reason::Outweighed(_)
            | Reason::Metrics
            | Reason::Metric(_)
            | Reason::Concern(_)
            | Reason::NoEvidence => None,
        }
    }
}

/// Where this reason says that there may be harm.
fn possible_harm(reason: &Reason) -> Option<Source> {
    match reason {
        Reason::MayFailMoreOften => Some(Source::Failures),
        Reason::MayBeShifted => Some(Source::Score),
        Reason::FailsMoreOften
        | Reason::IsSlower
        | Reason::TooFewSamples
        | Reason::LatencyIsFine
        | Reason::FailuresAreFine
        | Reason::ScoreShifted
        | Reason::ScoreSpread
        | Reason::ScoreIsFine
        | Reason::Outweighed(_)
        | Reason::Metrics
        | Reason::Metric(_)
        | Reason::Concern(_)
        | Reason::NoEvidence => None,
    }
}

/// A forecast with its sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForecastStatus {
    /// The numbers.
    #[serde(flatten)]
    pub forecast: Forecast,
    /// The sentence.
    pub message: String,
}

/// The answer of all tests together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// No harm found; `not_checked` says what had too little data.
    Ok,
    /// Something that a person should look at.
    Warning,
    /// Harm.
    Harm,
    /// Not enough data to tell.
    InsufficientData,
}

impl HealthStatus {
    fn new(judgement: &Judgement) -> HealthStatus {
        let sequential = judgement.sequential.as_ref();
        let is_shifted = sequential.is_some_and(|it| it.concerns().contains(&Concern::Shift));
        let is_off = sequential.is_some_and(|it| !it.concerns().is_empty());
        let is_outweighed = sequential.is_some_and(SequentialEvidence::outweighs_harm);
        match judgement.verdict {
            _ if judgement.harm_detected() => HealthStatus::Harm,
            Verdict::Promote if is_shifted || is_outweighed => HealthStatus::Warning,
            Verdict::Promote => HealthStatus::Ok,
            Verdict::Hold if is_off || is_outweighed => HealthStatus::Warning,
            Verdict::Hold | Verdict::Rollback => HealthStatus::InsufficientData,
        }
    }
}

impl Health {
    /// The health check of this judgement, which was made from these samples; `earlier` sets the prior of the Bayesian
    /// readings.
    pub(crate) fn new(
        judgement: &Judgement,
        samples: &Samples,
        forecast: Option<Forecast>,
        as_of: Option<Timestamp>,
        earlier: &EarlierEffects,
    ) -> Health {
        let latency = judgement.evidence.latency.as_ref();
        let confirmation = judgement.evidence.inputs.confirmation;
        let status = HealthStatus::new(judgement);
        let sequential = judgement.sequential.as_ref();
        let reasons = sentences::reasons(judgement, &judgement.reasons);
        let coverage = Coverage::of(judgement);
        let diagnostics = sequential.map(Diagnostics::new).unwrap_or_default();
        let outweighed = sequential.and_then(sentences::outweighed);
        let message = match judgement.verdict {
            Verdict::Promote => {
                let accepted = if diagnostics.shift_accepted { "accepted: " } else { "" };
                let shift = diagnostics.shift.iter().map(|shift| format!("{accepted}{shift}"));
                let found = outweighed.unwrap_or_else(|| coverage.sentence());
                let all = shift.chain([found]).chain(reasons.iter().cloned());
                all.collect::<Vec<_>>().join("; ")
            }
            Verdict::Rollback | Verdict::Hold => {
                reasons.iter().cloned().chain(outweighed).collect::<Vec<_>>().join("; ")
            }
        };
        Health {
            alert_triggered: status == HealthStatus::Harm,
            status,
            message,
            verdict: judgement.verdict,
            reasons,
            harm_detected: judgement.harm_detected(),
            harm_at_one_look: judgement
                .reasons
                .iter()
                .filter_map(|reason| HarmAtOneLook::of(&judgement.evidence, reason))
                .collect(),
            possible_harm: judgement.reasons.iter().filter_map(possible_harm).collect(),
            checked: coverage.checked,
            not_checked: coverage.not_checked,
            test: "welch_t".into(),
            t_statistic: latency.and_then(|evidence| evidence.t_statistic),
            degrees_of_freedom: latency.and_then(|evidence| evidence.degrees_of_freedom),
            p_value: latency.map(|evidence| evidence.p_value),
            permutation_p_value: confirmation.and_then(|it| it.permutation_p_value),
            rank_p_value: confirmation.and_then(|it| it.rank_p_value),
            alpha: judgement.policy.alpha,
            min_samples: judgement.policy.min_samples,
            margin_ms: latency.map(|evidence| milliseconds(evidence.margin_seconds)),
            difference_ms: latency.map(|evidence| milliseconds(evidence.difference_seconds)),
            confidence_interval_ms: latency.map(|evidence| {
                let (low, high) = evidence.interval_seconds;
                [milliseconds(low), milliseconds(high)]
            }),
            failure_p_value: judgement.evidence.failures.p_value,
            sequential: sequential.map(|it| it.conclusion.clone()),
            diagnostics,
            forecast: forecast.zip(sequential).map(|(forecast, sequential)| ForecastStatus {
                message: sentences::forecast(&sequential.policy, &forecast),
                forecast,
            }),
            bayesian: sequential.map(|it| readings(it, earlier)).unwrap_or_default(),
            as_of,
            features: None,
            inputs: None,
            queries: Vec::new(),
            tracks: Tracks::new(samples),
        }
    }
}
