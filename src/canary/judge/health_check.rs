//! From two tracks of samples to numbers: how large is the difference, and could it be chance?
//!
//! Two questions are asked. *Is the canary slower?* by Welch's t-test on mean latency, and *does
//! the canary fail more often?* by Fisher's exact test on the failure counts. The numbers that
//! went in are kept with the ones that came out, so that a verdict can be recomputed from its
//! journal entry alone.

use serde::Deserialize;
use serde::Serialize;

use crate::canary::observed::samples::Samples;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::health::HealthPolicy;
use crate::stats::Moments;
use crate::stats::fisher_exact_greater;
use crate::stats::welch_t_test;

/// What the evidence of one track is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackInputs {
    /// Requests that the track was asked to answer.
    pub requests: u64,
    /// Those that it did not answer.
    pub failures: u64,
    /// Latency of the others, in seconds.
    pub latency: Moments,
}

/// What the evidence of a rollout is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Of the trusted version.
    pub stable: TrackInputs,
    /// Of the version on trial.
    pub canary: TrackInputs,
}

/// The numbers of one judgement: inputs, then what the two tests make of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What went in.
    pub inputs: Inputs,
    /// Is the canary slower? `None` while either track has too few samples.
    pub latency: Option<LatencyEvidence>,
    /// Does the canary fail more often?
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
    /// The slowdown that is allowed, in seconds.
    pub margin_seconds: f64,
}

/// Fisher's exact test on the failure counts. Where stable has hardly any traffic, the canary is
/// compared with a fixed rate instead: failing everybody must not pass for lack of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureEvidence {
    /// The rate that is compared with: stable's, or the fixed one.
    pub reference_rate: f64,
    /// One-sided p-value: how likely so many of the failures would be the canary's if both failed
    /// equally often. 1 when nothing was observed.
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

/// The evidence that these inputs give under this policy.
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
        // Fisher's test against so many requests is the binomial test against the rate.
        let failures = (policy.failure_margin * MANY_REQUESTS as f64).round() as u64;
        (policy.failure_margin, failures, MANY_REQUESTS)
    };
    let p_value = fisher_exact_greater(canary.failures, canary.requests, failures, requests);
    FailureEvidence { reference_rate, p_value: p_value.unwrap_or(1.0) }
}

/// Enough requests for a rate to count as known exactly.
const MANY_REQUESTS: u64 = 1_000_000_000;

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

impl TrackInputs {
    /// The share of requests that failed; 0 before the first request.
    pub fn failure_rate(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.failures as f64 / self.requests as f64 }
    }
}
