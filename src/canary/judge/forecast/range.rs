//! Range of a forecast: within how many requests the verdict comes, with a probability.
//!
//! Each metric has a probability to have shown harm, and one to have passed, by a number of further requests
//! (`crossing`). The metrics count as independent:
//!
//! ```text
//! P(verdict by m) = 1 - product of (1 - harm_i(m)) + product of passed_i(m) x product of settled_j(m)
//! ```
//!
//! The first product is over the metrics whose failure alone rolls back, the second over the guardrails that a promotion
//! awaits, the third over the signals that it may wait for: one is settled with its samples, and if it is of a tail, with
//! its proof or the end of the wait for it.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use super::crossing::Draws;
use super::crossing::Events;
use super::outlook::Outlook;
use super::scale::Ahead;
use super::scale::Scale;
use crate::canary::judge::margins::Margins;
use crate::canary::judge::monitors::measured::Measured;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::Role;
use crate::canary::policy::source::MonitorKind;

/// Between which numbers of further requests something comes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Range {
    /// The probability that it comes within the range.
    pub probability: f64,
    /// Further requests of both tracks until its beginning.
    pub earliest_requests: u64,
    /// The same until its end; `None` if it may take forever.
    pub latest_requests: Option<u64>,
    /// The same in seconds; `None` without traffic.
    pub earliest_seconds: Option<f64>,
    /// The same in seconds; `None` without traffic, or if it may take forever.
    pub latest_seconds: Option<f64>,
}

/// The probability of a range.
pub const PROBABILITY: f64 = 0.8;

/// The two ends, as probabilities that it comes sooner. Inside of 10 and 90 %, because ranges are extended to the point
/// that is expected, and to whole seconds: chosen by simulation (docs/measurements.md).
const ENDS: [f64; 2] = [0.12, 0.88];

/// Numbers of further requests at which the probabilities are computed: from 1 to 10^10.
const POINTS: usize = 51;

fn requests() -> [f64; POINTS] {
    std::array::from_fn(|place| 10_f64.powf(place as f64 / 5.0))
}

/// The probability that a metric has shown harm, that it has passed, and that no promotion waits for it as a signal, at
/// each of the points.
#[derive(Clone, Debug)]
pub(super) struct Chances {
    harm: Vec<f64>,
    passed: Vec<f64>,
    settled: Vec<f64>,
}

impl Chances {
    /// Of a metric of which nothing can be said but what is so now.
    pub(super) fn none(metric: &Metric, measured: &Measured) -> Chances {
        let is_settled = measured.has_enough(metric) && measured.awaits(metric).is_none();
        let settled = if is_settled { 1.0 } else { 0.0 };
        Chances {
            harm: vec![0.0; POINTS],
            passed: vec![0.0; POINTS],
            settled: vec![settled; POINTS],
        }
    }

    /// Of a metric with these numbers and this outlook.
    pub(super) fn new(
        policy: &JudgePolicy,
        metric: &Metric,
        measured: &Measured,
        ahead: Ahead,
        outlook: &Outlook,
    ) -> Chances {
        let requests = requests();
        let harm_alpha = policy.harm_alpha(metric);
        let is_proven = measured.proven.reached(policy.alpha);
        let Some([harm, proof]) = bets(policy, metric, measured, ahead) else {
            // At even odds, a tail is proven by the point at which that is expected.
            let proven = |requests: f64| match outlook.proof_in {
                _ if is_proven => 1.0,
                Some(expected) if expected <= requests => 0.5,
                Some(_) | None => 0.0,
            };
            let settled = settled(metric, measured, outlook, requests.map(proven));
            return Chances { settled, ..Chances::none(metric, measured) };
        };
        let harm = match measured.harm.reached(harm_alpha) {
            true => vec![1.0; POINTS],
            false => harm.reached(&requests),
        };
        let mut passed = match is_proven {
            true => vec![1.0; POINTS],
            false => proof.reached(&requests),
        };
        for (chance, requests) in passed.iter_mut().zip(requests) {
            if outlook.enough_in.is_none_or(|enough| enough > requests) {
                *chance = 0.0;
            }
        }
        let sound = |chance: f64| if chance.is_nan() { 0.0 } else { chance.clamp(0.0, 1.0) };
        let [harm, passed] =
            [harm, passed].map(|it| it.into_iter().map(sound).collect::<Vec<f64>>());
        let settled = settled(metric, measured, outlook, passed.iter().copied());
        Chances { harm, passed, settled }
    }

    /// When the metric fails or passes; the range holds `expected`.
    pub(super) fn range(
        &self,
        expected: u64,
        seconds: impl Fn(u64) -> Option<f64>,
    ) -> Option<Range> {
        let either = self.harm.iter().zip(&self.passed).map(|(harm, passed)| harm + passed);
        range(either, expected, seconds)
    }

    /// When the verdict comes; the range holds `expected`.
    pub(super) fn range_of_verdict(
        policy: &JudgePolicy,
        all: &[Chances],
        expected: u64,
        seconds: impl Fn(u64) -> Option<f64>,
    ) -> Option<Range> {
        let metrics = || policy.metrics.iter().zip(all);
        let by = |place: usize| {
            let rolls_back = |metric: &Metric| metric.role == Role::Guardrail || metric.critical;
            let harmless = metrics().filter(|(metric, _)| rolls_back(metric));
            let harmless: f64 = harmless.map(|(_, it)| 1.0 - it.harm[place]).product();
            let awaited = |metric: &Metric| metric.role.acts() && metric.required;
            let promoted = metrics().filter(|(metric, _)| awaited(metric));
            let promoted = promoted.map(|(metric, it)| match metric.role {
                Role::Guardrail => it.passed[place],
                Role::Signal | Role::Advisory => it.settled[place],
            });
            1.0 - harmless + promoted.product::<f64>()
        };
        range((0..POINTS).map(by), expected, seconds)
    }
}

/// The probability that no promotion waits for a metric as a signal, given that of its proof.
fn settled(
    metric: &Metric,
    measured: &Measured,
    outlook: &Outlook,
    proven: impl IntoIterator<Item = f64>,
) -> Vec<f64> {
    let is_by = |event: Option<f64>, requests: f64| event.is_some_and(|it| it <= requests);
    let waits = measured.awaits(metric).is_some();
    let chance = |(requests, proven): (f64, f64)| {
        if !is_by(outlook.enough_in, requests) {
            0.0
        } else if !waits || is_by(outlook.decidable_in, requests) {
            1.0
        } else {
            proven
        }
    };
    requests().into_iter().zip(proven).map(chance).collect()
}

/// The range of something with these probabilities to have come by each of the points.
fn range(
    chances: impl Iterator<Item = f64>,
    expected: u64,
    seconds: impl Fn(u64) -> Option<f64>,
) -> Option<Range> {
    let mut most = 0.0_f64;
    let chances: Vec<f64> = chances
        .map(|chance| {
            most = most.max(chance.min(1.0));
            most
        })
        .collect();
    let points = requests();
    let at = |probability: f64| {
        let place = chances.iter().position(|chance| *chance >= probability)?;
        let Some(before) = place.checked_sub(1) else { return Some(0.0) };
        let part = (probability - chances[before]) / (chances[place] - chances[before]);
        Some(points[before] * (points[place] / points[before]).powf(part))
    };
    let [earliest, latest] = ENDS.map(at);
    let earliest = (earliest?.floor() as u64).min(expected);
    let latest = latest.map(|latest| (latest.ceil() as u64).max(expected));
    Some(Range {
        probability: PROBABILITY,
        earliest_requests: earliest,
        latest_requests: latest,
        earliest_seconds: seconds(earliest),
        latest_seconds: latest.and_then(seconds),
    })
}

/// A bet that reaches its threshold some day.
enum Bet {
    Draws(Draws),
    Events(Events),
}

impl Bet {
    fn reached(&self, requests: &[f64]) -> Vec<f64> {
        match self {
            Bet::Draws(draws) => draws.reached(requests),
            Bet::Events(events) => events.reached(requests),
        }
    }
}

/// The bets on harm and on its absence; `None` without an estimate of the spread.
fn bets(
    policy: &JudgePolicy,
    metric: &Metric,
    measured: &Measured,
    ahead: Ahead,
) -> Option<[Bet; 2]> {
    let Measured { counts, stable_mean, stable_spread, .. } = measured;
    let (harm_at, proof_at) = (-policy.harm_alpha(metric).ln(), -policy.alpha.ln());
    let is_of_failures = matches!(metric.source.properties().monitor, MonitorKind::Failures);
    let margins = Margins::at(metric, counts, *stable_mean, *stable_spread);
    let scale = Scale::new(metric, measured, ahead)?;
    let spans = [&scale.harm, &scale.proof];
    let draws = |place: usize, log_e: f64, threshold: f64, distance: f64| {
        let span = spans[place];
        Bet::Draws(Draws {
            log_e,
            threshold,
            seen: span.seen,
            per_request: span.per_request,
            without_effect: distance / scale.deviation * span.of_request - span.correction,
            scale: span.of_request,
            variance: if span.is_of_time { 1.0 } else { scale.variance },
            stakes: span.stakes,
            has_cash: place == 0,
        })
    };
    let (harm, proven) = (measured.harm.log_e(), measured.proven.log_e());
    let rates = |failures: u64, requests: u64| [failures as f64, requests as f64];
    let harm = match is_of_failures && !scale.harm.is_of_time {
        true => Bet::Events(Events {
            log_e: harm,
            threshold: harm_at,
            share: ahead.share,
            stable: rates(counts.stable_failures, counts.stable),
            canary: rates(counts.canary_failures, counts.canary),
            allowed: 1.0 + metric.tolerated.relative,
        }),
        false => draws(0, harm, harm_at, -margins.harmful),
    };
    Some([harm, draws(1, proven, proof_at, margins.accepted)])
}
