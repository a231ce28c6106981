//! Health check: one look at everything observed since the step began.
//!
//! *Is the canary slower?* Welch's t-test on mean latency with a [`Confirmation`]. *Does the canary fail more often?*
//! Fisher's exact test on the failure counts. *Are its scores grossly different?* Welch's interval of the mean score beyond the
//! gross margin; or a distribution that differs by Kolmogorov and Smirnov's test, with a standard deviation below a
//! quarter of stable's or above it by the gross margin. The evidence holds the inputs as well as the results, so a verdict
//! can be recomputed from its journal entry alone.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng as _;
use rand_xoshiro::rand_core::SeedableRng as _;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::verdict::Reason;
use super::verdict::Verdict;
use crate::canary::observed::samples::Samples;
use crate::canary::observed::samples::TrackSamples;
use crate::canary::policy::Mode;
use crate::canary::policy::health::HealthPolicy;
use crate::stats::Moments;
use crate::stats::Summary;
use crate::stats::fisher_exact_greater;
use crate::stats::kolmogorov_smirnov;
use crate::stats::mann_whitney_u;
use crate::stats::permutation_p_greater;
use crate::stats::sequential::COLLAPSE;
use crate::stats::welch_t_test;

/// The inputs of one track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrackInputs {
    /// Requests routed to the track.
    pub requests: u64,
    /// Requests that it failed to answer.
    pub failures: u64,
    /// Latency of the answered requests, in seconds.
    pub latency: Moments,
    /// Scores of the answered requests.
    pub score: Moments,
}

/// The inputs of a health check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = HealthCheckInputs)]
pub struct Inputs {
    /// The stable version.
    pub stable: TrackInputs,
    /// The canary.
    pub canary: TrackInputs,
    /// The p-value of Kolmogorov and Smirnov's test on the scores; `None` unless their standard deviations differ by
    /// more than the margin.
    pub score_distribution_p_value: Option<f64>,
    /// Requests of keys that came back. They are not among the tracks' numbers, except in entries without a
    /// confirmation and by plan.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated: u64,
    /// What confirms Welch's test. `None` by plan, where the health check decides nothing, and in journal entries from
    /// before there was one; those are judged by Welch's test alone, and every finding of theirs refuses a promotion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
}

/// Two tests of latency that keep their level for skewed latencies at any share of the canary, as Welch's does not:
/// both are exact if the versions are equally fast. They share alpha/2, so each counts at alpha/4.
///
/// - *permutation* of the means: finds what Welch finds, a tail too. It protects Welch's test from skew, as that
///   protects it from unequal spreads.
/// - *ranks*, of the canary's latencies lowered by the tolerated margin: finds a slower typical request among few
///   values with heavy tails.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Confirmation {
    /// One-sided p-value of the permutation test; `None` unless Welch's test finds the canary slower than tolerated.
    pub permutation_p_value: Option<f64>,
    /// One-sided p-value of the test by ranks; `None` while a track has too few samples.
    pub rank_p_value: Option<f64>,
}

/// The evidence of a health check: its inputs and the results of both tests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The inputs.
    pub inputs: Inputs,
    /// The latency test; `None` while either track has too few samples.
    pub latency: Option<LatencyEvidence>,
    /// The failure test.
    pub failures: FailureEvidence,
    /// The score test; `None` while either track has too few samples, or if scores are not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreEvidence>,
}

/// The difference of the scores, canary minus stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoreEvidence {
    /// Difference of the means.
    pub difference: f64,
    /// Its interval at level 1 - alpha.
    pub interval: (f64, f64),
    /// The harmful margin.
    pub margin: f64,
    /// The standard deviation of stable's scores.
    pub stable_spread: f64,
    /// The standard deviation of the canary's scores.
    pub canary_spread: f64,
}

/// Welch's test on mean latency. Differences are canary minus stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// The tolerated slowdown, in seconds.
    pub margin_seconds: f64,
}

/// Fisher's exact test on the failure counts. While stable has too few requests, the canary is compared
/// with a fixed rate, so that a canary that fails every request does not pass for lack of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
            score: *samples.score.moments(),
        }
    }
}

impl From<&Samples> for Inputs {
    fn from(samples: &Samples) -> Inputs {
        let [stable, canary] = [&samples.stable, &samples.canary].map(TrackInputs::from);
        Inputs { stable, canary, ..Inputs::default() }
    }
}

impl Inputs {
    /// The inputs of a look at these samples. The distributions are compared only where it matters, because that takes
    /// much longer than the rest: not by plan, where the health check decides nothing.
    pub fn new(policy: &HealthPolicy, mode: Mode, samples: &Samples) -> Inputs {
        let inputs = Inputs::from(samples);
        let is_read =
            mode.is_manual() && score(policy, &inputs).is_some_and(|it| it.spread_differs());
        let score_distribution_p_value =
            is_read.then(|| distribution_p_value(&samples.stable.score, &samples.canary.score));
        let confirmation = mode.is_manual().then(|| Confirmation::new(policy, &inputs, samples));
        Inputs {
            score_distribution_p_value: score_distribution_p_value.flatten(),
            confirmation,
            ..inputs
        }
    }
}

/// The labels are dealt with the same random bits at each look: equal samples have equal p-values.
const SEED: u64 = 0x5e41_0001;

impl Confirmation {
    fn new(policy: &HealthPolicy, inputs: &Inputs, samples: &Samples) -> Confirmation {
        let Some(evidence) = latency(policy, inputs) else {
            return Confirmation { permutation_p_value: None, rank_p_value: None };
        };
        let (canary, stable) = (samples.canary.latency.points(), samples.stable.latency.points());
        let rank = mann_whitney_u(&canary.lowered(evidence.margin_seconds), &stable);
        let is_found = evidence.p_value < policy.alpha && evidence.is_beyond_margin();
        // Every look pays for it, because the next one usually has other samples. It deals at most 1,999 times 500 values,
        // some tens of milliseconds, and only while Welch's test finds the canary slower. By plan it is never asked.
        let permutation_p_value = is_found.then(|| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
            permutation_p_greater(&canary, &stable, || random.next_u64())
        });
        Confirmation {
            permutation_p_value: permutation_p_value.flatten(),
            rank_p_value: rank.map(|test| test.p_greater()),
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn distribution_p_value(stable: &Summary, canary: &Summary) -> Option<f64> {
    let test = kolmogorov_smirnov(&canary.points(), &stable.points())?;
    let (n_stable, n_canary) = (stable.count() as f64, canary.count() as f64);
    let exponent = 2.0 * test.statistic().powi(2) * n_stable * n_canary / (n_stable + n_canary);
    // Far beyond any level the leading term of the limit law does, and the exact value would take too long.
    Some(if exponent > 40.0 { 2.0 * (-exponent).exp() } else { test.p_two_sided() })
}

/// Runs all tests on these inputs.
pub fn gather(policy: &HealthPolicy, inputs: Inputs) -> Evidence {
    Evidence {
        inputs,
        latency: latency(policy, &inputs),
        failures: failures(policy, &inputs),
        score: score(policy, &inputs),
    }
}

fn score(policy: &HealthPolicy, inputs: &Inputs) -> Option<ScoreEvidence> {
    let (stable, canary) = (&inputs.stable.score, &inputs.canary.score);
    let gross = policy.gross_shift?;
    if stable.count().min(canary.count()) < policy.min_samples {
        return None;
    }
    let test = welch_t_test(canary, stable)?;
    let (stable_spread, canary_spread) = (stable.std_dev()?, canary.std_dev()?);
    Some(ScoreEvidence {
        difference: test.difference,
        interval: test.confidence_interval(1.0 - policy.alpha),
        margin: gross.of_spread(stable_spread),
        stable_spread,
        canary_spread,
    })
}

/// A standard deviation below this is that of one row asked again and again.
const VARIES: f64 = 0.005;

impl ScoreEvidence {
    fn is_shifted(&self) -> bool {
        let (low, high) = self.interval;
        low > self.margin || high < -self.margin
    }

    /// Whether the standard deviation has collapsed or grown. A small sample may lack the rare values of stable's, so
    /// for harm the whole distribution has to differ as well.
    fn spread_differs(&self) -> bool {
        let has_collapsed =
            self.stable_spread > VARIES && self.canary_spread < COLLAPSE * self.stable_spread;
        let has_grown = self.canary_spread > self.stable_spread + self.margin;
        has_collapsed || has_grown
    }
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

impl LatencyEvidence {
    fn is_beyond_margin(&self) -> bool {
        self.difference_seconds > self.margin_seconds
    }

    /// What shows at this level that the mean is slower than tolerated.
    pub fn slower(&self, confirmation: Option<Confirmation>, level: f64) -> Slower {
        let by_welch = self.p_value < level;
        if !self.is_beyond_margin() {
            return Slower::NotShown;
        }
        let Some(Confirmation { permutation_p_value, rank_p_value }) = confirmation else {
            return if by_welch { Slower::ByWelch } else { Slower::NotShown };
        };
        match (permutation_p_value.filter(|_| by_welch), rank_p_value) {
            (Some(p), _) if p <= level / 4.0 => Slower::Confirmed(p),
            (_, Some(p)) if p <= level / 4.0 => Slower::ByRanks(p),
            (Some(p), _) => Slower::NotConfirmed(p),
            (None, _) => Slower::NotShown,
        }
    }

    fn is_slower(&self, confirmation: Option<Confirmation>, level: f64) -> bool {
        match self.slower(confirmation, level) {
            Slower::ByWelch | Slower::Confirmed(_) | Slower::ByRanks(_) => true,
            Slower::NotShown | Slower::NotConfirmed(_) => false,
        }
    }
}

/// What shows that a canary is slower than tolerated, with the p-value of that test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slower {
    /// No test.
    NotShown,
    /// Welch's test, where nothing has to confirm it.
    ByWelch,
    /// Welch's test, confirmed by permutation.
    Confirmed(f64),
    /// Welch's test would, but the permutation does not confirm it.
    NotConfirmed(f64),
    /// The ranks, and not the means.
    ByRanks(f64),
}

/// A finding of the health check is gross at the level alpha/25.
const GROSS: f64 = 25.0;

/// Whether this finding is gross: shown at alpha/25, and beyond this margin.
pub(super) fn is_gross(
    policy: &HealthPolicy,
    evidence: &Evidence,
    finding: &Reason,
    margin: f64,
) -> bool {
    let level = policy.alpha / GROSS;
    let inputs = &evidence.inputs;
    match finding {
        Reason::IsSlower => evidence.latency.is_some_and(|latency| {
            latency.difference_seconds > margin && latency.is_slower(inputs.confirmation, level)
        }),
        Reason::FailsMoreOften => {
            let excess = inputs.canary.failure_rate() - evidence.failures.reference_rate;
            evidence.failures.p_value < level && excess > margin
        }
        Reason::ScoreShifted => {
            let test = welch_t_test(&inputs.canary.score, &inputs.stable.score);
            test.is_some_and(|test| {
                let (low, high) = test.confidence_interval(1.0 - level);
                low > margin || high < -margin
            })
        }
        Reason::ScoreSpread => inputs.score_distribution_p_value.is_some_and(|p| p < level),
        // What may be chance, or lacks samples, is not gross.
        _ => false,
    }
}

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
        && latency.is_slower(evidence.inputs.confirmation, policy.alpha)
    {
        harms.push(Reason::IsSlower);
    }
    if let Some(score) = &evidence.score {
        if score.is_shifted() {
            harms.push(Reason::ScoreShifted);
        } else if score.spread_differs()
            && evidence.inputs.score_distribution_p_value.is_some_and(|p| p < policy.alpha)
        {
            harms.push(Reason::ScoreSpread);
        }
    }
    if !harms.is_empty() {
        (Verdict::Rollback, harms)
    } else if evidence.latency.is_none() {
        (Verdict::Hold, vec![Reason::TooFewSamples])
    } else if excess > policy.failure_margin {
        (Verdict::Hold, vec![Reason::MayFailMoreOften])
    } else if evidence.score.is_some_and(|score| score.difference.abs() > score.margin) {
        (Verdict::Hold, vec![Reason::MayBeShifted])
    } else {
        let score = evidence.score.map(|_| Reason::ScoreIsFine);
        let fine = [Reason::LatencyIsFine, Reason::FailuresAreFine];
        (Verdict::Promote, fine.into_iter().chain(score).collect())
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

#[cfg(test)]
#[path = "health_check_tests.rs"]
mod tests;
