//! Prior of the Bayesian reading: from what earlier rollouts of this store have shown, or the default.
//!
//! ```text
//! values    true effects ~ N(0, tau^2), as a share of stable's mean; of scores in stable's standard deviations
//! failures  rate of either track ~ Beta with the mean of stable's rates, worth half a failure (Jeffreys)
//! tau       from the effects that at least five rollouts ended with, shrunk toward the default (`spread_of_effects`)
//! ```

use serde::Deserialize;
use serde::Serialize;

use crate::canary::judge::judgement::Judgement;
use crate::canary::judge::monitors::measured::Measured;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::policy::source::MarginKind;
use crate::canary::policy::source::MonitorKind;
use crate::stats::posterior::Beta;
use crate::stats::posterior::DEFAULT_EFFECTS;
use crate::stats::posterior::Effect;
use crate::stats::posterior::spread_of_effects;

/// The effects that the newest rollouts ended with, one of each version; the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EarlierEffects(Vec<RolloutEffects>);

/// What one rollout showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutEffects {
    /// The digest of its canary.
    canary: String,
    effects: Vec<MetricEffect>,
}

/// What it showed of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricEffect {
    metric: MetricName,
    shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    /// Canary minus stable, as a share of stable's mean; of scores in standard deviations of stable's.
    Effect(Effect),
    /// Stable's failure rate.
    Rate(f64),
}

/// A prior, and from how many rollouts it is; 0: the default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Learned<T> {
    pub(super) prior: T,
    pub(super) rollouts: u64,
}

/// Rollouts that are remembered. More change the spread little, and models change.
const MAX_ROLLOUTS: usize = 50;

/// Effects below which the default prior stays as it is.
pub const MIN_ROLLOUTS: usize = 5;

/// Weak: it is outweighed by some dozens of requests. A new version is within 20 % of stable's mean in two of three
/// cases.
const OF_MEAN: f64 = 0.2;

/// Its scores are within the harmful margin of half a standard deviation as often.
const OF_SPREAD: f64 = 0.5;

/// 1 % of requests fail, a belief worth 50 requests.
const FAILURES: Beta = Beta { failures: 0.5, answers: 49.5 };

/// A mean failure rate is taken to be within these, so that the prior is worth at most 500 requests: traffic outweighs it
/// within a minute.
const RATES: [f64; 2] = [0.001, 0.5];

impl EarlierEffects {
    /// Remembers what a rollout ended with. Of a version that was deployed again only the last counts.
    pub fn learn(&mut self, judgement: &Judgement) {
        let Some(sequential) = &judgement.sequential else { return };
        let metrics = sequential.policy.metrics.iter().zip(&sequential.measured);
        let effects: Vec<MetricEffect> =
            metrics.filter_map(|(metric, measured)| MetricEffect::of(metric, measured)).collect();
        if effects.is_empty() {
            return;
        }
        let canary = judgement.digest.clone();
        self.0.retain(|one| one.canary != canary);
        self.0.push(RolloutEffects { canary, effects });
        let excess = self.0.len().saturating_sub(MAX_ROLLOUTS);
        self.0.drain(..excess);
    }

    /// Whether no rollout has shown anything yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The standard deviation of the difference of means, as a share of stable's mean.
    pub(super) fn of_mean(&self, metric: &MetricName) -> Learned<f64> {
        self.spread(metric, OF_MEAN)
    }

    /// The standard deviation of the difference of scores, in standard deviations of stable's scores.
    pub(super) fn of_spread(&self, metric: &MetricName) -> Learned<f64> {
        self.spread(metric, OF_SPREAD)
    }

    /// The failure rate of either track. Worth half a failure whatever the rate: more would draw the track with fewer
    /// requests toward the mean, and make an equal canary look worse.
    pub(super) fn failures(&self, metric: &MetricName) -> Learned<Beta> {
        let rates: Vec<f64> = self.shown(metric).filter_map(Shown::rate).collect();
        if rates.len() < MIN_ROLLOUTS {
            return Learned { prior: FAILURES, rollouts: 0 };
        }
        let Beta { failures, answers } = FAILURES;
        let all = DEFAULT_EFFECTS * failures / (failures + answers) + rates.iter().sum::<f64>();
        let rate = (all / (DEFAULT_EFFECTS + rates.len() as f64)).clamp(RATES[0], RATES[1]);
        let prior = Beta { failures, answers: failures * (1.0 - rate) / rate };
        Learned { prior, rollouts: rates.len() as u64 }
    }

    fn spread(&self, metric: &MetricName, default: f64) -> Learned<f64> {
        // Known better than the default prior knows it.
        let is_known = |effect: &Effect| effect.standard_error <= default;
        let effects: Vec<Effect> =
            self.shown(metric).filter_map(Shown::effect).filter(is_known).collect();
        let is_enough = effects.len() >= MIN_ROLLOUTS;
        let learned = spread_of_effects(&effects, default).filter(|_| is_enough);
        let rollouts = learned.map_or(0, |_| effects.len() as u64);
        Learned { prior: learned.unwrap_or(default), rollouts }
    }

    fn shown(&self, metric: &MetricName) -> impl Iterator<Item = Shown> {
        let all = self.0.iter().flat_map(|rollout| &rollout.effects);
        all.filter(move |it| it.metric == *metric).map(|it| it.shown)
    }
}

impl Shown {
    fn effect(self) -> Option<Effect> {
        match self {
            Shown::Effect(effect) => Some(effect),
            Shown::Rate(_) => None,
        }
    }

    fn rate(self) -> Option<f64> {
        match self {
            Shown::Effect(_) => None,
            Shown::Rate(rate) => Some(rate),
        }
    }
}

impl MetricEffect {
    fn of(metric: &Metric, measured: &Measured) -> Option<MetricEffect> {
        if !is_read(metric, measured) {
            return None;
        }
        let shown = match metric.source.properties().margin {
            MarginKind::OfFailureRate => {
                let counts = &measured.counts;
                let is_known = counts.stable as f64 >= FAILURES.failures + FAILURES.answers;
                let rate = counts.stable_failures as f64 / counts.stable as f64;
                is_known.then_some(Shown::Rate(rate))?
            }
            MarginKind::OfMean | MarginKind::OfSpread => {
                let scale = scale(metric, measured)?;
                let (estimate, standard_error) = measured.effect.effect()?;
                let [estimate, standard_error] = [estimate, standard_error].map(|it| it / scale);
                let is_known = standard_error > 0.0 && standard_error.is_finite();
                (is_known && estimate.is_finite())
                    .then_some(Shown::Effect(Effect { estimate, standard_error }))?
            }
            MarginKind::Absolute => return None,
        };
        Some(MetricEffect { metric: metric.name.clone(), shown })
    }
}

/// What the effects of a metric are shares of: stable's mean, or the standard deviation of its scores.
pub(super) fn scale(metric: &Metric, measured: &Measured) -> Option<f64> {
    let scale = match metric.source.properties().margin {
        MarginKind::OfMean => measured.stable_mean.map(f64::abs),
        MarginKind::OfSpread => measured.stable_spread,
        MarginKind::OfFailureRate | MarginKind::Absolute => None,
    };
    scale.filter(|scale| *scale > 0.0)
}

/// Whether a metric has a reading: one of split traffic or labels, with values on both tracks, and with every request as
/// a draw.
pub(super) fn is_read(metric: &Metric, measured: &Measured) -> bool {
    // Of the class with the largest difference it would overstate; noise that lasts makes requests dependent.
    let is_selected = measured.class.is_some() || !metric.unit.is_request();
    // The effect of a quantile is one of a share.
    let is_quantile = matches!(metric.source.properties().monitor, MonitorKind::Quantile(_));
    let is_unusable = is_selected || is_quantile || metric.source.is_shadow();
    !is_unusable && measured.counts.fewest() > 0
}

#[cfg(test)]
#[path = "prior_tests.rs"]
mod tests;
