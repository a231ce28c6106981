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
//! Versions are known to be equal where an artifact was deployed as its own canary: what differed then was noise, which no
//! margin may take for harm. Versions that were promoted and not reverted turned out fine: their differences are what
//! margins have to allow.

pub mod past_rollout;

use self::past_rollout::Mean;
use self::past_rollout::PastRollout;
use self::past_rollout::Standing;
use crate::canary::policy::Policy;
use crate::stats::Moments;
use crate::stats::sequential::EvidenceUnit;
use crate::stats::sequential::detection::effect::Effect;
use crate::stats::sequential::detection::requests_until;
use crate::stats::sequential::detection::values::ValueDetection;

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

/// Rollouts of equal versions, or promoted ones, below which margins are not proposed: the 90th percentile of two is a
/// guess.
const MIN_KNOWN: usize = 3;

/// Seconds with both tracks, below which noise is not judged: twice the longest lag, and some.
const MIN_SECONDS: f64 = 120.0;

/// Latencies of stable, below which their spread is not known.
const MIN_LATENCIES: u64 = 1000;

/// Latencies are known to 0.8 %: a narrower margin would be proven too easily.
const BUCKET: f64 = 0.008;

/// Differences vary this much more than requests alone explain, or than successive ones: the judge's own measures.
const DEPENDENT: f64 = 1.4;

/// Differences half a minute apart vary this much more than those eight seconds apart: ten seconds are too short.
const STILL_GROWING: f64 = 1.2;

/// The settings that these rollouts suggest, under the present policy.
pub fn proposals(past: &[PastRollout], policy: &Policy) -> Vec<Proposal> {
    let known = Known::of(past);
    let tolerated = known.slowdown();
    let accepted = tolerated.value.map(|it| match it {
        Value::Share(share) => 2.0 * share,
        Value::Count(_) | Value::Seconds(_) | Value::Unit(_) => 0.0,
    });
    let in_use = policy.judge.metrics.iter().find(|it| it.name.as_str() == "latency");
    let margin = accepted.or(in_use.map(|it| it.accepted.relative)).unwrap_or(0.1);
    let is_inline = in_use.is_none_or(|it| it.unit.is_request());
    vec![
        known.unit(is_inline),
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
        known.failures(),
        min_samples(past, margin),
        bake(past, policy, margin),
    ]
}

/// The rollouts of which it is known what a difference means.
struct Known<'a> {
    equal: Vec<&'a PastRollout>,
    fine: Vec<&'a PastRollout>,
}

impl<'a> Known<'a> {
    fn of(past: &'a [PastRollout]) -> Known<'a> {
        let of = |standing| past.iter().filter(move |it| it.standing == standing).collect();
        Known { equal: of(Standing::Equal), fine: of(Standing::Fine) }
    }

    /// What counts as one draw, from the noise between equal versions, or if that is too little, promoted ones as well.
    fn unit(&self, is_inline: bool) -> Proposal {
        let setting = Setting::Unit;
        let count = |all: &[&PastRollout]| Mean::of(all.iter().map(|it| it.far[3])).count;
        let (all, what) = if count(&self.equal) >= MIN_SECONDS {
            (self.equal.clone(), "equal versions")
        } else {
            ([&self.equal[..], &self.fine[..]].concat(), "equal or promoted versions")
        };
        if count(&all) < MIN_SECONDS {
            let reason = format!(
                "{} pairs of seconds half a minute apart in rollouts of {what}, {MIN_SECONDS} are needed",
                count(&all)
            );
            return Proposal { setting, value: None, reason };
        }
        let total = |of: fn(&PastRollout) -> Mean| Mean::of(all.iter().map(|it| of(it))).value();
        let far = [total(|it| it.far[0]), total(|it| it.far[1]), total(|it| it.far[2])];
        let [near, last, inverse] =
            [total(|it| it.near), total(|it| it.far[3]), total(|it| it.inverse)];
        let spread = latencies(all.iter().copied()).variance().unwrap_or(0.0);
        let excess = near / (spread * inverse);
        let dependence = (far.iter().sum::<f64>() + last) / 4.0 / near;
        let unit = match (excess > DEPENDENT, dependence > DEPENDENT) {
            // Decides by itself how long the spans have to be, in every rollout anew.
            (_, true) if !is_inline => EvidenceUnit::Auto,
            (_, true) if last > STILL_GROWING * far[0] => EvidenceUnit::Minute,
            (_, true) => EvidenceUnit::TenSeconds,
            (true, false) => EvidenceUnit::Tick,
            (false, false) => EvidenceUnit::Request,
        };
        let reason = format!(
            "in {} rollouts of {what} the tracks' difference varied {excess:.1} times as much from second to second as \
             requests alone explain, and {dependence:.1} times as much over half a minute (from {DEPENDENT} on it counts)",
            all.len()
        );
        Proposal { setting, value: Some(Value::Unit(unit)), reason }
    }

    fn slowdown(&self) -> Proposal {
        let setting = Setting::RelativeMargin;
        match self.differences("% in latency", |it| it.effect()) {
            Err(reason) => Proposal { setting, value: None, reason },
            Ok((share, reason)) => {
                // Up to half a percent, and never within a bucket.
                let value = (share.max(BUCKET) * 200.0).ceil() / 200.0;
                Proposal { setting, value: Some(Value::Share(value)), reason }
            }
        }
    }

    fn failures(&self) -> Proposal {
        let setting = Setting::FailureMargin;
        match self.differences("percentage points in failures", |it| it.more_failures()) {
            Err(reason) => Proposal { setting, value: None, reason },
            Ok((share, reason)) => {
                // To a tenth of a percent, the least that is proven in reasonable time.
                let value = (share.max(1e-3) * 1000.0).ceil() / 1000.0;
                Proposal { setting, value: Some(Value::Share(value)), reason }
            }
        }
    }

    /// What nine of ten rollouts differed by at most, of equal versions or of promoted ones, whichever is more; and that
    /// in words.
    fn differences(
        &self,
        unit: &str,
        of: impl Fn(&PastRollout) -> Option<f64>,
    ) -> Result<(f64, String), String> {
        let percentile = |all: &[&PastRollout]| {
            let sizes: Vec<f64> = all.iter().filter_map(|it| of(it)).map(f64::abs).collect();
            (sizes.len(), percentile_90(sizes))
        };
        let ((equal, noise), (fine, allowed)) = (percentile(&self.equal), percentile(&self.fine));
        let of_equal = noise.map(|it| {
            format!(
                "9 of 10 of {equal} rollouts of equal versions differed by at most {:.2} {unit}, and a narrower margin \
                 takes such noise for harm",
                100.0 * it
            )
        });
        let of_fine = allowed.map(|it| {
            format!(
                "9 of 10 of the {fine} promoted versions differed from stable by at most {:.2} {unit}",
                100.0 * it
            )
        });
        let said: Vec<String> = of_equal.into_iter().chain(of_fine).collect();
        match noise.into_iter().chain(allowed).reduce(f64::max) {
            Some(share) => Ok((share, said.join("; "))),
            None => Err(format!(
                "rollouts of equal versions in the tick log: {equal}, of promoted ones: {fine}; {MIN_KNOWN} of either are needed"
            )),
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
    let seconds: u64 = past.iter().map(|it| it.seconds()).sum();
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

/// `None` of fewer than three.
fn percentile_90(mut sizes: Vec<f64>) -> Option<f64> {
    sizes.sort_by(f64::total_cmp);
    let place = (0.9 * sizes.len() as f64).ceil() as usize;
    sizes.get(place.checked_sub(1)?).copied().filter(|_| sizes.len() >= MIN_KNOWN)
}

#[cfg(test)]
#[path = "tuning_tests.rs"]
mod tests;
