//! Forecast: when to expect a verdict, and the effect that is detectable by then.
//!
//! A metric fails or passes when `ln E` reaches its threshold. It is expected to grow as it has so far and as the best
//! stake of a bet grows at the current effect; the more it exceeds noise, the more its own growth counts
//! (docs/statistics.md). The verdict is the judge's at that time. The forecast assumes the current request rate and
//! effect; nothing is decided by it.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use self::outlook::MAX;
use self::outlook::Outlook;
use self::outlook::outlook;
use self::range::Chances;
use self::scale::Ahead;
use super::evidence::SequentialEvidence;
use super::monitors::judges_all_visits;
use super::monitors::measured::Measured;
use super::verdict::Classification;
use super::verdict::Verdict;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::metric::Role;
use crate::canary::policy::source::MonitorKind;
use crate::canary::traffic::weight::Weight;
use crate::stats::sequential::FailureMargins;
use crate::stats::sequential::FailureMonitor;
use crate::stats::sequential::MIN_CLUSTERS;
use crate::stats::sequential::TrackCounts;

mod crossing;
mod outlook;
mod range;
mod scale;

pub use self::range::Range;

/// A forecast at the current request rate and effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Forecast {
    /// Judged requests of both tracks per second: those without a key and the first of each key.
    pub requests_per_second: f64,
    /// Requests per second of keys that were judged before: they bring no evidence.
    #[serde(default)]
    pub repeated_per_second: f64,
    /// Seconds until all visits of keys are compared again; `None` where they are not, or none come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visits_compared_in: Option<f64>,
    /// How many users it takes to compare their visits at this share, where fewer have come; `None` where enough have, or
    /// all of them bring evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users_needed: Option<u64>,
    /// Whether nothing is promoted before a person has decided on a concern.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// In the order of the policy's metrics.
    pub metrics: Vec<MetricForecast>,
    /// The first verdict other than hold; `None` if none is in sight.
    pub verdict: Option<VerdictForecast>,
    /// The canary's share.
    pub weight: Weight,
    /// How much of the bake is left, in seconds.
    pub remaining_bake_seconds: f64,
}

/// The forecast for one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricForecast {
    /// The metric.
    pub metric: MetricName,
    /// Whether there is an estimate of its effect.
    pub is_estimated: bool,
    /// The expected outcome.
    pub outcome: Outcome,
    /// Further requests of both tracks until then; 0 if decided, `None` without an outcome.
    pub requests: Option<u64>,
    /// Further seconds until then; `None` without an outcome or without traffic.
    pub seconds: Option<f64>,
    /// Between when and when it passes or fails; `None` if it has, or without an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// The minimum detectable effect at the end of the bake at 80 % power, in the metric's unit and including
    /// the tolerated margin. `None` while the spread is unknown, or if no effect is detectable.
    pub smallest_detectable: Option<f64>,
    /// The same relative to stable's mean or failure rate; `None` where that is 0.
    pub smallest_detectable_relative: Option<f64>,
}

/// The expected outcome of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ForecastOutcome)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It passes.
    Pass,
    /// It fails.
    Fail,
    /// Neither is in sight.
    None,
}

/// The expected verdict.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerdictForecast {
    /// The verdict.
    pub verdict: Verdict,
    /// Further requests of both tracks until then; 0 if it holds now.
    pub requests: u64,
    /// Further seconds until then; `None` without traffic.
    pub seconds: Option<f64>,
    /// Between when and when a verdict comes, this one or another; `None` if it holds now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
}

/// The traffic of a rollout as it is.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// The canary's share.
    pub weight: Weight,
    /// Judged requests of both tracks per second.
    pub judged_per_second: f64,
    /// Requests per second of keys that were judged before.
    pub repeated_per_second: f64,
    /// How much of the bake is left.
    pub remaining_bake: Duration,
}

/// The forecast from this evidence, if traffic and effects stay as they are.
pub fn forecast(evidence: &SequentialEvidence, traffic: &Traffic) -> Forecast {
    let SequentialEvidence { policy, measured, conclusion: now, .. } = evidence;
    let Traffic { weight, judged_per_second, repeated_per_second, remaining_bake } = *traffic;
    let requests = (judged_per_second * remaining_bake.as_secs_f64()).min(MAX);
    let (outlooks, chances): (Vec<Outlook>, Vec<Chances>) = policy
        .metrics
        .iter()
        .zip(measured)
        .map(|(metric, one)| {
            let share = weight.share();
            let samples_per_request = samples_per_request(policy, measured, one);
            // The rate of pairs depends on the background queue, not on the share.
            if !(share > 0.0 && share < 1.0) || metric.source.is_shadow() {
                return (Outlook::default(), Chances::none(metric, one));
            }
            let per_second = judged_per_second;
            let visits_per_request = samples_per_request * visits_per_request(one, traffic);
            let ahead =
                Ahead { share, samples_per_request, visits_per_request, requests, per_second };
            let outlook = outlook(policy, metric, one, ahead);
            (outlook, Chances::new(policy, metric, one, ahead, &outlook))
        })
        .unzip();
    let seconds = |requests: u64| {
        (requests == 0)
            .then_some(0.0)
            .or((judged_per_second > 0.0).then(|| requests as f64 / judged_per_second))
            .filter(|seconds| seconds.is_finite())
    };
    let later = |requests: Option<u64>| requests.filter(|requests| *requests > 0);
    let judged = policy.metrics.iter().zip(measured);
    let metrics: Vec<MetricForecast> = now
        .metrics
        .iter()
        .zip(outlooks.iter().zip(&chances))
        .zip(judged)
        .map(|((evidence, (outlook, chances)), (metric, one))| {
            let (outcome, requests) = match evidence.classification {
                Classification::Fail => (Outcome::Fail, Some(0)),
                Classification::Pass => (Outcome::Pass, Some(0)),
                Classification::Inconclusive | Classification::Insufficient => outlook.outcome(),
            };
            MetricForecast {
                metric: evidence.metric.clone(),
                is_estimated: one.effect.effect().is_some(),
                outcome,
                requests,
                seconds: requests.and_then(seconds),
                range: later(requests).and_then(|requests| chances.range(requests, seconds)),
                smallest_detectable: outlook.smallest_detectable.filter(|x| x.is_finite()),
                smallest_detectable_relative: outlook
                    .smallest_detectable
                    .zip(usual(metric, one))
                    .map(|(smallest, usual)| smallest / usual)
                    .filter(|x| x.is_finite()),
            }
        })
        .collect();
    let verdict = verdict(evidence, &metrics, &outlooks).map(|(verdict, requests)| {
        let range = later(Some(requests))
            .and_then(|requests| Chances::range_of_verdict(policy, &chances, requests, seconds));
        VerdictForecast { verdict, requests, seconds: seconds(requests), range }
    });
    let users_needed = users_needed(policy, measured, weight);
    Forecast {
        requests_per_second: judged_per_second,
        repeated_per_second,
        visits_compared_in: next_look(measured, traffic).filter(|_| users_needed.is_none()),
        users_needed,
        held: !evidence.concerns().is_empty(),
        metrics,
        verdict,
        weight,
        remaining_bake_seconds: remaining_bake.as_secs_f64(),
    }
}

/// The judged requests of both tracks that a promotion takes at least at this weight: those that prove that the canary
/// fails no more often, if nothing ever fails. `None` where that is not awaited, or takes too long to say.
pub fn least_requests(policy: &JudgePolicy, weight: Weight) -> Option<u64> {
    let is_awaited = |metric: &&Metric| {
        is_of_failures(metric) && metric.role == Role::Guardrail && metric.required
    };
    let metric = policy.metrics.iter().find(is_awaited)?;
    let share = weight.share();
    if !(share > 0.0 && share < 1.0) {
        return None;
    }
    let mut monitor = FailureMonitor::new(FailureMargins {
        harmful_ratio: 1.0 + metric.tolerated.relative,
        accepted_difference: metric.accepted.absolute,
    });
    let requests = (1.0 / share).ceil().max(REQUESTS_A_TICK) as u64;
    let canary = (share * requests as f64).round() as u64;
    let of = |requests| TrackCounts { requests, failures: 0 };
    let ticks = (1..=MAX_TICKS).find(|_| {
        monitor.tick(share, of(canary), of(requests - canary));
        monitor.proven.reached(policy.alpha)
    })?;
    Some(ticks * requests)
}

/// The keys of both tracks that a promotion takes at this weight, if they come back often enough: twice the cells with
/// which the smaller track is compared. As many as [`least_requests`] where visits of keys that come back say nothing of
/// a guardrail of requests.
pub fn least_keys(policy: &JudgePolicy, weight: Weight) -> Option<u64> {
    let guardrails = policy.metrics.iter().filter(|metric| {
        metric.role == Role::Guardrail && metric.required && metric.source.is_of_requests()
    });
    if !guardrails.into_iter().all(|metric| judges_all_visits(policy, metric)) {
        return least_requests(policy, weight);
    }
    let smaller = weight.share().min(1.0 - weight.share());
    (smaller > 0.0).then(|| (2.0 * MIN_CLUSTERS as f64 / smaller).ceil() as u64)
}

/// When all visits of keys are compared again. Between two looks the evidence of visits does not change, and once the
/// difference between users outweighs that between their visits, further ones hardly change it.
fn next_look(measured: &[Measured], traffic: &Traffic) -> Option<f64> {
    let visits = measured.iter().find_map(|one| one.visits)?;
    let share = traffic.weight.share();
    let per_second =
        (traffic.judged_per_second + traffic.repeated_per_second) * share.min(1.0 - share);
    let missing = visits.next_look.saturating_sub(visits.at_this_share) as f64;
    Some(missing / per_second).filter(|seconds| seconds.is_finite())
}

/// The users that it takes to compare their visits, if those so far give the smaller track too few.
fn users_needed(policy: &JudgePolicy, measured: &[Measured], weight: Weight) -> Option<u64> {
    measured.iter().find_map(|one| one.visits)?;
    // Of each user the first request is judged.
    let users =
        measured.iter().map(|one| one.counts.stable.saturating_add(one.counts.canary)).max()?;
    let smaller = weight.share().min(1.0 - weight.share());
    let is_few = users as f64 * smaller < MIN_CLUSTERS as f64;
    least_keys(policy, weight).filter(|_| is_few)
}

/// How the least requests are counted.
const REQUESTS_A_TICK: f64 = 100.0;

/// After this many ticks the number is of no use.
const MAX_TICKS: u64 = 10_000;

impl Outlook {
    /// The outcome that comes first, and after how many requests.
    fn outcome(&self) -> (Outcome, Option<u64>) {
        let pass_in = self.proof_in.zip(self.enough_in).map(|(proof, enough)| proof.max(enough));
        let (fails, passes) = (self.harm_in.and_then(whole), pass_in.and_then(whole));
        match (fails, passes) {
            (Some(fails), Some(passes)) if passes < fails => (Outcome::Pass, Some(passes)),
            (Some(fails), _) => (Outcome::Fail, Some(fails)),
            (None, Some(passes)) => (Outcome::Pass, Some(passes)),
            (None, None) => (Outcome::None, None),
        }
    }
}

/// A number of requests; `None` beyond the horizon of a forecast.
fn whole(requests: f64) -> Option<u64> {
    (0.0..=MAX).contains(&requests).then(|| requests.ceil() as u64)
}

/// The first verdict other than hold: the judge's verdict at each time at which a metric is decided or has
/// its samples.
fn verdict(
    evidence: &SequentialEvidence,
    metrics: &[MetricForecast],
    outlooks: &[Outlook],
) -> Option<(Verdict, u64)> {
    let SequentialEvidence { policy, measured, .. } = evidence;
    let enough: Vec<Option<u64>> =
        outlooks.iter().map(|outlook| outlook.enough_in.and_then(whole)).collect();
    let decidable: Vec<Option<u64>> =
        outlooks.iter().map(|outlook| outlook.decidable_in.and_then(whole)).collect();
    let mut moments: Vec<u64> = metrics
        .iter()
        .filter_map(|one| one.requests)
        .chain(enough.iter().flatten().copied())
        .chain(decidable.iter().flatten().copied())
        .chain([0])
        .collect();
    moments.sort_unstable();
    moments.dedup();
    moments.into_iter().find_map(|moment| {
        let has_come = |requests: Option<u64>| requests.is_some_and(|requests| requests <= moment);
        let mut then = measured.to_vec();
        for (place, one) in then.iter_mut().enumerate() {
            let (Some(forecast), Some(enough)) = (metrics.get(place), enough.get(place)) else {
                continue;
            };
            if has_come(*enough) {
                let least = policy.metrics[place].min_samples;
                one.counts.stable = one.counts.stable.max(least);
                one.counts.canary = one.counts.canary.max(least);
                if !one.is_compared() {
                    one.effect.tick(0.5, 0.0, [(0.0, 1)], [(0.0, 1)]);
                }
                if has_come(decidable.get(place).copied().flatten()) {
                    // Twice as many on each track are at least as many effective ones.
                    let further = 2 * one.awaits(&policy.metrics[place]).unwrap_or(0);
                    let [stable, canary] = one.samples();
                    one.counts.stable = stable.saturating_add(further);
                    one.counts.canary = canary.saturating_add(further);
                }
            }
            match forecast.outcome {
                Outcome::Pass if has_come(forecast.requests) => one.proven.observe(f64::MAX),
                Outcome::Fail if has_come(forecast.requests) => one.harm.observe(f64::MAX),
                Outcome::Pass | Outcome::Fail | Outcome::None => {}
            }
        }
        match evidence.with(then).verdict() {
            (Verdict::Hold, _) => None,
            (verdict @ (Verdict::Promote | Verdict::Rollback), _) => Some((verdict, moment)),
        }
    })
}

/// Samples of a metric per request so far: about one for latency and score, fewer for recorded values. One
/// before the first request.
fn samples_per_request(policy: &JudgePolicy, measured: &[Measured], one: &Measured) -> f64 {
    let samples = |one: &Measured| one.counts.stable as f64 + one.counts.canary as f64;
    let requests = policy
        .metrics
        .iter()
        .zip(measured)
        .find(|(metric, _)| is_of_failures(metric))
        .map_or(0.0, |(_, failures)| samples(failures));
    if requests > 0.0 { samples(one) / requests } else { 1.0 }
}

/// Visits of keys per judged request, where all of them are judged. One where they are not, or nothing but visits of keys
/// that came before arrives: then no number of judged requests brings more of them.
fn visits_per_request(measured: &Measured, traffic: &Traffic) -> f64 {
    let Traffic { judged_per_second, repeated_per_second, .. } = *traffic;
    if measured.visits.is_none() || judged_per_second <= 0.0 {
        return 1.0;
    }
    let visits = 1.0 + repeated_per_second / judged_per_second;
    if visits.is_finite() { visits } else { 1.0 }
}

fn is_of_failures(metric: &Metric) -> bool {
    matches!(metric.source.properties().monitor, MonitorKind::Failures)
}

/// The reference of a relative difference.
fn usual(metric: &Metric, measured: &Measured) -> Option<f64> {
    let counts = &measured.counts;
    let usual = if is_of_failures(metric) {
        Some(counts.stable_failures as f64 / counts.stable as f64)
    } else {
        measured.stable_mean.map(f64::abs)
    };
    usual.filter(|usual| usual.is_finite() && *usual > 0.0)
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;

#[cfg(test)]
mod accuracy_tests;

#[cfg(test)]
mod decidable_tests;
