//! The rows of `serin power`: one for each test, with the requests that it takes.

use std::time::Duration;

use serde::Serialize;

use crate::canary::Policy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::source::Source;
use crate::simulation::shape::Shape;
use crate::stats::Alternative;
use crate::stats::FisherPower;
use crate::stats::Margin;
use crate::stats::PowerError;
use crate::stats::ProportionPower;
use crate::stats::RankPower;
use crate::stats::SampleSizes;
use crate::stats::sequential::MAX_LOSS;
use crate::stats::sequential::detection::effect;
use crate::stats::sequential::detection::effect::Effect;
use crate::stats::sequential::detection::events::FailureBet;
use crate::stats::sequential::detection::requests_until;
use crate::stats::sequential::detection::values::ValueDetection;
use crate::text::durations::remaining;
use crate::text::numbers::exact;
use crate::text::numbers::grouped;

/// The traffic, and what is asked of a test.
pub struct Traffic {
    /// The canary's share.
    pub share: f64,
    /// Requests of both tracks per second.
    pub per_second: f64,
    /// The required power.
    pub power: f64,
    /// The level of a test for one look.
    pub alpha: f64,
}

/// A test and the requests that it takes.
#[derive(Serialize)]
pub struct Row {
    test: String,
    level: f64,
    /// `None` if the test does not find the difference.
    canary: Option<u64>,
    stable: Option<u64>,
    /// The probability of the result with these requests.
    power: f64,
    requests: Option<u64>,
    seconds: Option<f64>,
}

/// Latencies of both versions in seconds: equally likely values in ascending order.
pub struct Latencies {
    stable: Vec<f64>,
    canary: Vec<f64>,
    /// The margin of a non-inferiority test.
    margin: Option<Margin>,
}

/// The probabilities of a rollback and of a proof within a number of canary requests, for one metric.
pub struct Detections {
    harm: Option<Reached>,
    proof: Reached,
    alpha: f64,
    of_proof: f64,
    min_samples: f64,
}

type Reached = Box<dyn Fn(f64) -> f64>;

/// Cash of a bet on harm, as the judge keeps it.
const CASH: f64 = 0.05;

/// Every 16th of the 65,536 values of a shape: enough for four digits of an effect.
const EVERY: usize = 16;

impl Latencies {
    /// The values of two shapes.
    pub fn new(stable: &Shape, canary: &Shape, margin: Option<Margin>) -> Latencies {
        let values = |shape: &Shape| -> Vec<f64> {
            (0..=u16::MAX).skip(EVERY / 2).step_by(EVERY).map(|bits| shape.draw(bits)).collect()
        };
        Latencies { stable: values(stable), canary: values(canary), margin }
    }

    /// The canary's without a margin.
    fn less(&self, margin: Margin) -> Vec<f64> {
        self.canary.iter().map(|value| margin.unshift(*value, 1.0)).collect()
    }
}

impl Traffic {
    /// The row of a test with these sizes, at a share of its own.
    pub fn of_sizes(&self, test: &str, level: f64, sizes: &SampleSizes, share: f64) -> Row {
        let (canary, stable) = (sizes.canary_ceil, sizes.stable_ceil);
        let requests = (canary as f64 / share).max(stable as f64 / (1.0 - share));
        Row {
            test: test.to_owned(),
            level,
            canary: Some(canary),
            stable: Some(stable),
            power: sizes.achieved_power,
            requests: Some((requests - 1e-9).ceil() as u64),
            seconds: Some(requests / self.per_second),
        }
    }

    fn of_canary(&self, test: String, level: f64, canary: Option<f64>, power: f64) -> Row {
        let canary = canary.map(f64::ceil);
        let requests = canary.map(|canary| canary / self.share);
        Row {
            test,
            level,
            canary: canary.map(|it| it as u64),
            stable: canary.map(|it| (it * (1.0 - self.share) / self.share).round() as u64),
            power,
            requests: requests.map(|it| it.ceil() as u64),
            seconds: requests.map(|it| it / self.per_second),
        }
    }

    /// The median and the 95th percentile.
    fn sequential(&self, what: &str, level: f64, least: f64, reached: &Reached) -> [Row; 2] {
        [("median", 0.5), ("95 %", 0.95)].map(|(quantile, p)| {
            let canary = requests_until(p, reached).map(|it| it.max(least));
            self.of_canary(format!("judge: {what}, {quantile}"), level, canary, p)
        })
    }

    fn ratio(&self) -> f64 {
        (1.0 - self.share) / self.share
    }
}

impl Row {
    /// As text: test, level, canary, stable, power, duration.
    pub fn cells(&self) -> [String; 6] {
        let count = |it: Option<u64>| it.map_or_else(|| "-".to_owned(), grouped);
        let seconds = self.seconds.filter(|it| it.is_finite() && *it < 1e15);
        let duration = seconds
            .map_or_else(|| "-".to_owned(), |it| remaining(Duration::from_secs_f64(it.max(1.0))));
        let power = format!("{:.1} %", self.power * 100.0);
        // Four digits, also of 1e-300.
        let level =
            format!("{:.3e}", self.level).parse::<f64>().map_or_else(|_| String::new(), exact);
        [format!("  {}", self.test), level, count(self.canary), count(self.stable), power, duration]
    }
}

/// The rows of the tests of latency.
///
/// # Errors
/// When a number is out of its range.
pub fn of_latency(
    traffic: &Traffic,
    policy: &Policy,
    latencies: &Latencies,
) -> Result<(Vec<Row>, Detections), PowerError> {
    let mut rows = Vec::new();
    let metric = metric(policy, Source::Latency);
    let (alpha, share, of_proof) = (level(policy, metric), traffic.share, policy.judge.alpha);
    let detection = |effects: Vec<Effect>, alpha: f64, cash: f64| -> Reached {
        let bet = ValueDetection { effects, share, alpha, max_stake: f64::MAX, cash };
        Box::new(move |requests| bet.reached(requests))
    };
    let health = &policy.health;
    let tolerated = metric.map_or(
        Margin { relative: health.relative_margin, absolute: health.absolute_margin_seconds },
        Metric::harm_margin,
    );
    let mut harm = None;
    if latencies.margin.is_none() {
        let margin =
            Margin { relative: health.relative_margin, absolute: health.absolute_margin_seconds };
        // The health check's margin is the larger of both parts.
        let mean = latencies.stable.iter().sum::<f64>() / latencies.stable.len().max(1) as f64;
        let margin = Margin::absolute(margin.absolute.max(margin.relative * mean));
        let superiority = effect::superiority(&latencies.stable, &latencies.less(margin));
        let plan = RankPower {
            superiority,
            alpha: traffic.alpha / 4.0,
            power: traffic.power,
            allocation_ratio: traffic.ratio(),
            alternative: Alternative::Greater,
        };
        rows.push(match superiority > 0.5 {
            true => traffic.of_sizes("ranks", plan.alpha, &plan.required_samples()?, share),
            false => traffic.of_canary("ranks".to_owned(), plan.alpha, None, traffic.power),
        });
        let effects = effect::of_harm(&latencies.stable, &latencies.less(tolerated));
        let reached = detection(effects, alpha, CASH);
        rows.extend(traffic.sequential("rolled back", alpha, 1.0, &reached));
        harm = Some(reached);
    }
    let accepted = latencies.margin.or(metric.map(|it| it.accepted)).unwrap_or_default();
    // Whether an equal canary is proven, unless a margin is asked about.
    let canary = match latencies.margin {
        Some(margin) => latencies.less(margin),
        None => latencies.stable.iter().map(|it| accepted.unshift(*it, 1.0)).collect(),
    };
    let proof = detection(effect::of_proof(&latencies.stable, &canary), of_proof, 0.0);
    let min_samples = metric.map_or(1.0, |it| it.min_samples as f64);
    rows.extend(traffic.sequential(
        proven(latencies.margin.is_some()),
        of_proof,
        min_samples,
        &proof,
    ));
    Ok((rows, Detections { harm, proof, alpha, of_proof, min_samples }))
}

/// The rows of the tests of failures.
pub fn of_failures(
    traffic: &Traffic,
    policy: &Policy,
    plan: &ProportionPower,
    has_margin: bool,
) -> (Vec<Row>, Detections) {
    let mut rows = Vec::new();
    let metric = metric(policy, Source::Failures);
    let (alpha, share, of_proof) = (level(policy, metric), traffic.share, policy.judge.alpha);
    let ProportionPower { canary_rate, stable_rate, .. } = *plan;
    let mut harm = None;
    if !has_margin {
        let fisher = FisherPower {
            canary_rate,
            stable_rate,
            alpha: traffic.alpha,
            power: traffic.power,
            allocation_ratio: traffic.ratio(),
        };
        rows.push(match fisher.required_samples() {
            Ok(sizes) => traffic.of_sizes("Fisher", traffic.alpha, &sizes, share),
            Err(_) => traffic.of_canary("Fisher".to_owned(), traffic.alpha, None, traffic.power),
        });
        let tolerated_ratio = 1.0 + metric.map_or(0.0, |it| it.harm_margin().relative);
        let bet = FailureBet { canary_rate, stable_rate, share, tolerated_ratio, alpha };
        let followed = bet.follow();
        let reached: Reached = Box::new(move |requests| followed.reached(requests));
        rows.extend(traffic.sequential("rolled back", alpha, 1.0, &reached));
        harm = Some(reached);
    }
    let accepted = metric.map_or(0.01, |it| it.accepted.absolute);
    let (accepted, more) =
        if has_margin { (plan.margin, canary_rate - stable_rate) } else { (accepted, 0.0) };
    // As wide as the judge takes it after some hundred requests without a failure.
    let variance = (stable_rate * (1.0 - stable_rate)).max(0.25 / 768.0);
    let rate = stable_rate + more;
    let distance = (accepted - more) / variance.sqrt();
    let variance_ratio = rate * (1.0 - rate) / variance;
    let bet = ValueDetection {
        effects: vec![Effect { share: 1.0, distance, variance_ratio }],
        share,
        alpha: of_proof,
        max_stake: MAX_LOSS * variance.sqrt() / (1.0 - share),
        cash: 0.0,
    };
    let proof: Reached = Box::new(move |requests| bet.reached(requests));
    let min_samples = metric.map_or(1.0, |it| it.min_samples as f64);
    rows.extend(traffic.sequential(proven(has_margin), of_proof, min_samples, &proof));
    (rows, Detections { harm, proof, alpha, of_proof, min_samples })
}

/// The rows of several guardrails together, as if they were independent: any of them rolls back, all have to be proven.
pub fn of_several(traffic: &Traffic, detections: &[Detections]) -> Vec<Row> {
    if detections.len() < 2 {
        return Vec::new();
    }
    let mut rows = Vec::new();
    let any = |requests: f64| {
        let missed = detections.iter().filter_map(|it| it.harm.as_ref());
        1.0 - missed.map(|harm| 1.0 - harm(requests)).product::<f64>()
    };
    let all = |requests: f64| detections.iter().map(|it| (it.proof)(requests)).product::<f64>();
    let alpha = detections.iter().map(|it| it.alpha).sum();
    let of_proof = detections.iter().map(|it| it.of_proof).fold(0.0, f64::max);
    let least = detections.iter().map(|it| it.min_samples).fold(1.0, f64::max);
    for (quantile, p) in [("median", 0.5), ("95 %", 0.95)] {
        let test = format!("judge: either rolled back, {quantile}");
        rows.push(traffic.of_canary(test, alpha, requests_until(p, any), p));
    }
    for (quantile, p) in [("median", 0.5), ("95 %", 0.95)] {
        let test = format!("judge: both proven, {quantile}");
        let canary = requests_until(p, all).map(|it| it.max(least));
        rows.push(traffic.of_canary(test, of_proof, canary, p));
    }
    rows
}

/// What the rows mean.
pub fn notes(min_samples: u64) -> String {
    format!(
        "Health check: Fisher (one-sided) and ranks (less the margin) at one look, from {min_samples} samples of each \
         track on. Judge: the sequential judge with the policy's margins and its part of alpha; \"proven\" is an equal \
         canary unless there is a margin. Its numbers are approximations. \"-\": not found, or only by very many \
         requests."
    )
}

fn proven(has_margin: bool) -> &'static str {
    if has_margin { "margin proven" } else { "equal proven" }
}

fn metric(policy: &Policy, source: Source) -> Option<&Metric> {
    policy.judge.metrics.iter().find(|metric| metric.source == source)
}

/// The metric's part of alpha.
fn level(policy: &Policy, metric: Option<&Metric>) -> f64 {
    metric.map_or(policy.judge.alpha, |metric| policy.judge.harm_alpha(metric))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::shape::lognormal_sigma;

    /// The rows of latency in the table of harm in docs/measurements.md, at 10 %: the metric alone, and at alpha/3.
    #[test]
    fn medians_are_within_a_quarter_of_the_measured_ones() {
        let normal = || Shape::normal(0.050, 0.015);
        let lognormal = || Shape::lognormal(0.050, lognormal_sigma(1.0));
        let heavy = || Shape::lognormal(0.050, 1.5);
        let pareto = || Shape::pareto(0.050, 2.5);
        for (stable, canary, alone, in_policy) in [
            (normal(), normal().plus(0.010), 26.0, 32.0),
            (normal(), normal().times(1.05), 289.0, 386.0),
            (normal(), normal().times(1.10), 78.0, 106.0),
            (lognormal(), lognormal().times(1.10), 602.0, 816.0),
            (lognormal(), lognormal().times(1.50), 40.0, 52.0),
            (heavy(), heavy().times(1.50), 121.0, 165.0),
            (pareto(), pareto().times(1.10), 52.0, 65.0),
            (pareto(), pareto().times(1.50), 13.0, 16.0),
        ] {
            let latencies = Latencies::new(&stable, &canary, None);
            let effects = effect::of_harm(&latencies.stable, &latencies.canary);
            for (alpha, measured) in [(0.05, alone), (0.05 / 3.0, in_policy)] {
                let (effects, share) = (effects.clone(), 0.1);
                let bet = ValueDetection { effects, share, alpha, max_stake: f64::MAX, cash: CASH };
                let median = requests_until(0.5, |n| bet.reached(n)).unwrap();
                let ratio = median / measured;
                assert!((0.75..1.25).contains(&ratio), "{measured}: {median}");
            }
        }
    }
}
