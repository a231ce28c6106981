//! Health check: one look at everything observed since the step began.
//!
//! *Is the canary slower?* Welch's t-test on mean latency. *Does the canary fail more often?* Fisher's
//! exact test on the failure counts. The evidence holds the inputs as well as the results, so a verdict
//! can be recomputed from its journal entry alone.

use serde::Deserialize;
use serde::Serialize;

use super::verdict::Reason;
use super::verdict::Verdict;
use crate::canary::observed::samples::Samples;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::health::HealthPolicy;
use crate::stats::Moments;
use crate::stats::fisher_exact_greater;
use crate::stats::welch_t_test;

/// The inputs of one track.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackInputs {
    /// Requests routed to the track.
    pub requests: u64,
    /// Requests that it failed to answer.
    pub failures: u64,
    /// Latency of the answered requests, in seconds.
    pub latency: Moments,
}

/// The inputs of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The stable version.
    pub stable: TrackInputs,
    /// The canary.
    pub canary: TrackInputs,
}

/// The evidence of a health check: its inputs and the results of both tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The inputs.
    pub inputs: Inputs,
    /// The latency test; `None` while either track has too few samples.
    pub latency: Option<LatencyEvidence>,
    /// The failure test.
    pub failures: FailureEvidence,
}

/// Welch's test on mean latency. Differences are canary minus stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyEvidence {
    /// Welch's t; `None` where it is infinite (two different constants).
    pub t_statistic: Option<f64>,
    /// Welch-Satterthwaite degrees of freedom; `None` where they are undefined.
    pub degrees_of_freedom: Option<f64>,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Difference of the means, in seconds.
    pub difference_seconds: f64,
    /// Its interval at level 1 - alpha, in seconds.
    pub interval_seconds: (f64, f64),
    /// The allowed slowdown, in seconds.
    pub margin_seconds: f64,
}

/// Fisher's exact test on the failure counts. While stable has too few requests, the canary is compared
/// with a fixed rate, so that a canary that fails every request does not pass for lack of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureEvidence {
    /// The reference rate: stable's, or the fixed one.
    pub reference_rate: f64,
    /// One-sided p-value: the probability of at least this many canary failures if both tracks failed
    /// equally often. 1 before any observation.
    pub p_value: f64,
}

impl From<&TrackSamples> for TrackInputs {
    fn from(samples: &TrackSamples) -> TrackInputs {
        TrackInputs {
            requests: samples.requests,
            failures: samples.failures.total(),
            latency: *samples.latency.moments(),
        }
    }
}

impl From<&Samples> for Inputs {
    fn from(samples: &Samples) -> Inputs {
        Inputs { stable: (&samples.stable).into(), canary: (&samples.canary).into() }
    }
}

/// Runs both tests on these inputs.
pub fn gather(policy: &HealthPolicy, inputs: Inputs) -> Evidence {
    Evidence { inputs, latency: latency(policy, &inputs), failures: failures(policy, &inputs) }
}

fn latency(policy: &HealthPolicy, inputs: &Inputs) -> Option<LatencyEvidence> {
    let (stable, canary) = (&inputs.stable.latency, &inputs.canary.latency);
    if stable.count().min(canary.count()) < policy.min_samples {
        return None;
    }
    let test = welch_t_test(canary, stable)?;
    Some(LatencyEvidence {
        t_statistic: finite(test.statistic),
        degrees_of_freedom: finite(test.degrees_of_freedom),
        p_value: test.p_two_sided(),
        difference_seconds: test.difference,
        interval_seconds: test.confidence_interval(1.0 - policy.alpha),
        margin_seconds: policy.margin_seconds(stable.mean()?),
    })
}

fn failures(policy: &HealthPolicy, inputs: &Inputs) -> FailureEvidence {
    let (stable, canary) = (&inputs.stable, &inputs.canary);
    let (reference_rate, failures, requests) = if stable.requests >= policy.min_samples {
        (stable.failure_rate(), stable.failures, stable.requests)
    } else {
        // With this many requests, Fisher's test is the binomial test against the rate.
        let failures = (policy.failure_margin * MANY_REQUESTS as f64).round() as u64;
        (policy.failure_margin, failures, MANY_REQUESTS)
    };
    let p_value = fisher_exact_greater(canary.failures, canary.requests, failures, requests);
    FailureEvidence { reference_rate, p_value: p_value.unwrap_or(1.0) }
}

/// Requests with which a rate is as good as exact.
const MANY_REQUESTS: u64 = 1_000_000_000;

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// The verdict on this evidence, and the reasons for it.
pub fn judge(policy: &HealthPolicy, evidence: &Evidence) -> (Verdict, Vec<Reason>) {
    let excess = evidence.inputs.canary.failure_rate() - evidence.failures.reference_rate;
    let mut harms = Vec::new();
    if is_harm(policy, evidence.failures.p_value, excess > 0.0) {
        harms.push(Reason::FailsMoreOften);
    }
    if let Some(latency) = &evidence.latency
        && is_harm(policy, latency.p_value, latency.difference_seconds > latency.margin_seconds)
    {
        harms.push(Reason::IsSlower);
    }
    if !harms.is_empty() {
        (Verdict::Rollback, harms)
    } else if evidence.latency.is_none() {
        (Verdict::Hold, vec![Reason::TooFewSamples])
    } else if excess > policy.failure_margin {
        (Verdict::Hold, vec![Reason::MayFailMoreOften])
    } else {
        (Verdict::Promote, vec![Reason::LatencyIsFine, Reason::FailuresAreFine])
    }
}

/// A difference is harm if it exceeds the margin and is unlikely to be chance.
fn is_harm(policy: &HealthPolicy, p_value: f64, beyond_margin: bool) -> bool {
    p_value < policy.alpha && beyond_margin
}

impl TrackInputs {
    /// The share of requests that failed; 0 before the first request.
    pub fn failure_rate(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.failures as f64 / self.requests as f64 }
    }
}
