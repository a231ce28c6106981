//! Tuning: settings that the earlier rollouts of a store suggest, each with its reason. Nothing changes by itself.
//!
//! ```text
//! second      all ticks of about a second together: counts, and the means of both tracks' latencies
//! effect      sum of w (canary - stable) / sum of w stable over the seconds, w = n_c n_s / (n_c + n_s), so that a
//!             change of the share is not taken for one of the latency
//! excess      variance of the difference from second to second / variance that requests alone make
//! dependence  variance of the difference 8 to 30 seconds apart / from second to second
//! ```
//!
//! Equal versions are known from what happened: rollouts that were promoted turned out fine. The differences between
//! them and their stable are what margins have to allow.

use std::collections::VecDeque;

use crate::canary::observed::increment::Increment;
use crate::canary::policy::Policy;
use crate::stats::Moments;
use crate::stats::sequential::EvidenceUnit;
use crate::stats::sequential::detection::effect::Effect;
use crate::stats::sequential::detection::requests_until;
use crate::stats::sequential::detection::values::ValueDetection;

/// One rollout of the past, second by second.
#[derive(Clone, Debug)]
pub struct PastRollout {
    /// Whether its canary was promoted and not reverted.
    pub was_fine: bool,
    /// How often serin held it.
    pub holds: u64,
    open: Second,
    open_seconds: f64,
    seconds: u64,
    requests: u64,
    canary_requests: u64,
    failures: [u64; 2],
    latency: Moments,
    weighted_difference: f64,
    weighted_stable: f64,
    recent: VecDeque<f64>,
    near: Mean,
    far: Mean,
    /// The variance of a difference that requests alone make, divided by the variance of one.
    inverse: Mean,
}

#[derive(Clone, Debug, Default)]
struct Second {
    requests: [u64; 2],
    failures: [u64; 2],
    count: [f64; 2],
    sum: [f64; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

/// A setting, and why it should have this value.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Which setting.
    pub setting: Setting,
    /// The value; `None` where the past does not say.
    pub value: Option<Value>,
    /// What was seen, or what is missing.
    pub reason: String,
}

/// The settings that are proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// What counts as one draw.
    Unit,
    /// Tolerated slowdown, a share of stable's latency.
    RelativeMargin,
    /// Accepted slowdown, likewise.
    AcceptedSlowdown,
    /// Accepted difference of the failure rates.
    FailureMargin,
    /// Samples of each track.
    MinSamples,
    /// Minimum duration of a step.
    Bake,
}

/// The value of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A share.
    Share(f64),
    /// A number.
    Count(u64),
    /// Seconds.
    Seconds(u64),
    /// A unit.
    Unit(EvidenceUnit),
}

/// Rollouts that were promoted, below which margins are not proposed: the 90th percentile of two is a guess.
const MIN_FINE: usize = 3;

/// Seconds with both tracks, below which noise is not judged: twice the longest lag, and some.
const MIN_SECONDS: f64 = 120.0;

/// Latencies of stable, below which their spread is not known.
const MIN_LATENCIES: u64 = 1000;

/// Latencies are known to 0.8 %: a narrower margin would be proven too easily.
const BUCKET: f64 = 0.008;

/// Differences vary this much more than requests alone explain, or than successive ones: the judge's own measures.
const DEPENDENT: f64 = 1.4;

const LAGS: [usize; 4] = [8, 16, 24, 30];
const MAX_LAG: usize = 30;

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn value(self) -> f64 {
        self.sum / self.count.max(1.0)
    }
}

impl PastRollout {
    /// A rollout without ticks.
    pub fn new(was_fine: bool, holds: u64) -> PastRollout {
        PastRollout {
            was_fine,
            holds,
            open: Second::default(),
            open_seconds: 0.0,
            seconds: 0,
            requests: 0,
            canary_requests: 0,
            failures: [0; 2],
            latency: Moments::default(),
            weighted_difference: 0.0,
            weighted_stable: 0.0,
            recent: VecDeque::new(),
            near: Mean::default(),
            far: Mean::default(),
            inverse: Mean::default(),
        }
    }

    /// Takes in a tick.
    pub fn tick(&mut self, increment: &Increment) {
        let tracks = [&increment.stable, &increment.canary];
        for (place, track) in tracks.into_iter().enumerate() {
            self.open.requests[place] += track.requests;
            self.open.failures[place] += track.failures;
            for &(value, count) in &track.latency {
                self.open.count[place] += count as f64;
                self.open.sum[place] += value * count as f64;
            }
        }
        for &(value, count) in &increment.stable.latency {
            self.latency.record_many(value, count);
        }
        self.open_seconds += increment.seconds();
        if self.open_seconds >= 0.9 {
            let second = std::mem::take(&mut self.open);
            self.open_seconds = 0.0;
            self.close(&second);
        }
    }

    fn close(&mut self, second: &Second) {
        let requests: u64 = second.requests.iter().sum();
        if requests == 0 {
            return;
        }
        self.seconds += 1;
        self.requests += requests;
        self.canary_requests += second.requests[1];
        (0..2).for_each(|place| self.failures[place] += second.failures[place]);
        let [stable, canary] = second.count;
        if stable == 0.0 || canary == 0.0 {
            return;
        }
        let difference = second.sum[1] / canary - second.sum[0] / stable;
        let weight = stable * canary / (stable + canary);
        self.weighted_difference += weight * difference;
        self.weighted_stable += weight * second.sum[0] / stable;
        self.inverse.add(1.0 / stable + 1.0 / canary);
        let half = |before: f64| 0.5 * (difference - before) * (difference - before);
        if let Some(last) = self.recent.back() {
            self.near.add(half(*last));
        }
        let count = self.recent.len();
        let far: Vec<f64> = LAGS
            .iter()
            .filter_map(|lag| self.recent.get(count.checked_sub(*lag)?))
            .map(|before| half(*before))
            .collect();
        if !far.is_empty() {
            self.far.add(far.iter().sum::<f64>() / far.len() as f64);
        }
        self.recent.push_back(difference);
        if self.recent.len() > MAX_LAG {
            self.recent.pop_front();
        }
    }

    /// The canary's mean latency relative to stable's, less 1.
    fn effect(&self) -> Option<f64> {
        let effect = self.weighted_difference / self.weighted_stable;
        effect.is_finite().then_some(effect)
    }

    /// The difference of the failure rates.
    fn more_failures(&self) -> Option<f64> {
        let stable = self.requests - self.canary_requests;
        let rate = |failures: u64, requests: u64| {
            (requests > 0).then(|| failures as f64 / requests as f64)
        };
        Some(rate(self.failures[1], self.canary_requests)? - rate(self.failures[0], stable)?)
    }
}

/// The settings that these rollouts suggest, under the present policy.
pub fn proposals(past: &[PastRollout], policy: &Policy) -> Vec<Proposal> {
    let fine: Vec<&PastRollout> = past.iter().filter(|it| it.was_fine).collect();
    let tolerated = slowdown(&fine);
    let accepted = tolerated.value.map(|it| match it {
        Value::Share(share) => 2.0 * share,
        Value::Count(_) | Value::Seconds(_) | Value::Unit(_) => 0.0,
    });
    let in_use = policy.judge.metrics.iter().find(|it| it.name.as_str() == "latency");
    let margin = accepted.or(in_use.map(|it| it.accepted.relative)).unwrap_or(0.1);
    vec![
        unit(&fine),
        tolerated,
        Proposal {
            setting: Setting::AcceptedSlowdown,
            value: accepted.map(Value::Share),
            reason: match accepted {
                Some(_) => {
                    "twice relative_margin, so that an equal canary is proven soon".to_owned()
                }
                None => "follows from relative_margin".to_owned(),
            },
        },
        failures(&fine),
        min_samples(past, margin),
        bake(past, policy, margin),
    ]
}

fn unit(fine: &[&PastRollout]) -> Proposal {
    let total = |of: fn(&PastRollout) -> Mean| {
        let sums = fine.iter().map(|it| of(it));
        sums.fold(Mean::default(), |a, b| Mean { sum: a.sum + b.sum, count: a.count + b.count })
    };
    let (near, far, inverse) = (total(|it| it.near), total(|it| it.far), total(|it| it.inverse));
    let spread = latencies(fine.iter().copied());
    let setting = Setting::Unit;
    if far.count < MIN_SECONDS {
        let reason = format!(
            "{} seconds with both tracks in promoted rollouts, {MIN_SECONDS} are needed",
            far.count
        );
        return Proposal { setting, value: None, reason };
    }
    let alone = spread.variance().unwrap_or(0.0) * inverse.value();
    let (excess, dependence) = (near.value() / alone, far.value() / near.value());
    let unit = match (excess > DEPENDENT, dependence > DEPENDENT) {
        (_, true) => EvidenceUnit::Auto,
        (true, false) => EvidenceUnit::Tick,
        (false, false) => EvidenceUnit::Request,
    };
    let reason = format!(
        "the tracks' difference varies {excess:.1} times as much from second to second as requests alone explain, and \
         {dependence:.1} times as much over half a minute (from {DEPENDENT} on it counts)"
    );
    Proposal { setting, value: Some(Value::Unit(unit)), reason }
}

fn slowdown(fine: &[&PastRollout]) -> Proposal {
    let effects: Vec<f64> = fine.iter().filter_map(|it| it.effect()).map(f64::abs).collect();
    let setting = Setting::RelativeMargin;
    match percentile_90(&effects) {
        Err(reason) => Proposal { setting, value: None, reason },
        Ok(share) => {
            // Up to half a percent, and never within a bucket.
            let value = (share.max(BUCKET) * 200.0).ceil() / 200.0;
            let reason = format!(
                "9 of 10 of the {} promoted versions differed from stable by at most {:.1} % in latency",
                effects.len(),
                100.0 * share
            );
            Proposal { setting, value: Some(Value::Share(value)), reason }
        }
    }
}

fn failures(fine: &[&PastRollout]) -> Proposal {
    let effects: Vec<f64> = fine.iter().filter_map(|it| it.more_failures()).map(f64::abs).collect();
    let setting = Setting::FailureMargin;
    match percentile_90(&effects) {
        Err(reason) => Proposal { setting, value: None, reason },
        Ok(share) => {
            // To a tenth of a percent, the least that is proven in reasonable time.
            let value = (share.max(1e-3) * 1000.0).ceil() / 1000.0;
            let reason = format!(
                "9 of 10 of the {} promoted versions differed by at most {:.2} percentage points in failures",
                effects.len(),
                100.0 * share
            );
            Proposal { setting, value: Some(Value::Share(value)), reason }
        }
    }
}

fn min_samples(past: &[PastRollout], margin: f64) -> Proposal {
    let setting = Setting::MinSamples;
    match variation(past) {
        Err(reason) => Proposal { setting, value: None, reason },
        Ok(variation) => {
            let value = (variation / margin).powi(2).ceil().clamp(20.0, 10_000.0);
            let reason = format!(
                "stable's latency varies by {:.0} % of its mean; that many values give the mean to within {:.1} % (one \
                 standard error), between 20 and 10,000",
                100.0 * variation,
                100.0 * margin
            );
            Proposal { setting, value: Some(Value::Count(value as u64)), reason }
        }
    }
}

fn bake(past: &[PastRollout], policy: &Policy, margin: f64) -> Proposal {
    let setting = Setting::Bake;
    let none = |reason: String| Proposal { setting, value: None, reason };
    let variation = match variation(past) {
        Ok(variation) => variation,
        Err(reason) => return none(reason),
    };
    let seconds: u64 = past.iter().map(|it| it.seconds).sum();
    let requests: u64 = past.iter().map(|it| it.requests).sum();
    let per_second = requests as f64 / seconds.max(1) as f64;
    let share = policy.weight.share();
    if share <= 0.0 || share >= 1.0 {
        return none("the weight leaves a track empty".to_owned());
    }
    let detection = ValueDetection {
        effects: vec![Effect { share: 1.0, distance: margin / variation, variance_ratio: 1.0 }],
        share,
        alpha: policy.judge.alpha,
        max_stake: f64::MAX,
        cash: 0.0,
    };
    match requests_until(0.95, |requests| detection.reached(requests)) {
        None => none("an equal canary would not be proven within 10^9 requests".to_owned()),
        Some(canary) => {
            let needed = (canary / (share * per_second)).max(60.0);
            let minutes = (needed / 60.0).ceil() as u64;
            let reason = format!(
                "at {per_second:.1} requests/s and {} % on the canary 19 of 20 equal canaries are proven not slower by \
                 {:.1} % within that time (approximately)",
                policy.weight.percent(),
                100.0 * margin
            );
            // A setting takes up to 720 hours.
            Proposal { setting, value: Some(Value::Seconds((60 * minutes).min(2_592_000))), reason }
        }
    }
}

/// Standard deviation of stable's latency over its mean.
fn variation(past: &[PastRollout]) -> Result<f64, String> {
    let latency = latencies(past.iter());
    let missing = || {
        format!(
            "{} latencies of stable in the tick log, {MIN_LATENCIES} are needed",
            latency.count()
        )
    };
    if latency.count() < MIN_LATENCIES {
        return Err(missing());
    }
    let variation = latency.std_dev().unwrap_or(0.0) / latency.mean().unwrap_or(f64::NAN);
    if variation.is_finite() && variation > 0.0 {
        Ok(variation)
    } else {
        Err("stable's latency does not vary".to_owned())
    }
}

/// Stable's latencies of all these rollouts.
fn latencies<'a>(past: impl Iterator<Item = &'a PastRollout>) -> Moments {
    let mut all = Moments::default();
    past.for_each(|it| all.merge(&it.latency));
    all
}

fn percentile_90(differences: &[f64]) -> Result<f64, String> {
    let count = differences.len();
    if count < MIN_FINE {
        let versions = if count == 1 { "version" } else { "versions" };
        return Err(format!("{count} promoted {versions} in the tick log, {MIN_FINE} are needed"));
    }
    let mut sorted = differences.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (0.9 * count as f64).ceil() as usize;
    Ok(sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0))
}

#[cfg(test)]
#[path = "tuning_tests.rs"]
mod tests;
