//! The numbers that classify a metric, as its monitor measures them.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::stats::sequential::EProcess;
use crate::stats::sequential::PairMonitor;
use crate::stats::sequential::Score;
use crate::stats::sequential::ShiftMonitor;

/// How many samples of a metric were observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Stable's samples; for failures its requests, in shadow the pairs.
    pub stable: u64,
    /// The canary's samples.
    pub canary: u64,
    /// Stable's failures; of a tail its requests above the time or stable's quantile; 0 for other metrics.
    pub stable_failures: u64,
    /// The same of the canary's.
    pub canary_failures: u64,
}

impl Counts {
    /// Samples of the track that has fewer.
    pub fn fewest(&self) -> u64 {
        self.stable.min(self.canary)
    }
}

/// Visits of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyVisits {
    /// Of stable's keys.
    pub stable: u64,
    /// Of the canary's.
    pub canary: u64,
    /// Of the track with fewer, at the running share.
    pub at_this_share: u64,
    /// The same at the next look.
    pub next_look: u64,
}

/// What the last look over all visits of keys saw, at the running share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LastLook {
    /// Visits, of failures with those that failed; of other metrics the answered visits.
    pub counts: Counts,
    /// Canary minus stable: of failures a share of visits, of scores a probability. Of latency a share of stable's, by
    /// the geometric means.
    pub difference: f64,
    /// The harmful, the tolerated and the accepted margin in the same unit.
    pub margins: [f64; 3],
    /// Whether all visits show harm, a shift or the proof, and first visits alone do not.
    pub decided: [bool; 3],
}

/// The numbers that classify a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The metric.
    pub metric: MetricName,
    /// How many samples were observed.
    pub counts: Counts,
    /// The e-process against "no worse than tolerated" (harm); for scores "within the harmful margin".
    pub harm: EProcess,
    /// For scores: the e-process against "within what is tolerated".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<EProcess>,
    /// The e-process against "worse than accepted" (non-inferiority).
    pub proven: EProcess,
    /// Where `harm` counts spans of time: harm with every request as a draw, which only holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_request: Option<EProcess>,
    /// The shortest span of time that counts as one draw now, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_seconds: Option<f64>,
    /// The effect on the mean: canary minus stable, in the metric's unit. Of a quantile the effect on the share of
    /// requests above stable's.
    pub effect: Score,
    /// Of a quantile: the canary's minus stable's, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile_effect: Option<f64>,
    /// Stable's recent mean, or quantile.
    pub stable_mean: Option<f64>,
    /// For scores: the standard deviation of stable's recent values, the unit of their
    /// relative margins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_spread: Option<f64>,
    /// For scores of split traffic: the same of the canary's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_spread: Option<f64>,
    /// For scores in shadow: the recent mean size of the differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<f64>,
    /// For many classes: the one with the most evidence of a difference. Effect, mean, spreads and distance are its.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Visits of keys, where all of them are judged; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visits: Option<KeyVisits>,
    /// The last look over all visits of keys; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_look: Option<LastLook>,
}

impl Measured {
    pub(super) fn judged(&mut self, [harm, shift, proven]: [&EProcess; 3], effect: Score) {
        (self.harm, self.shift, self.proven) = (*harm, Some(*shift), *proven);
        self.effect = effect;
    }

    pub(super) fn of_shift(&mut self, one: &ShiftMonitor) {
        self.judged([&one.harm, &one.shift, &one.proven], one.effect);
        self.stable_mean = one.center();
        self.stable_spread = one.spread();
        self.canary_spread = one.canary_spread();
    }

    pub(super) fn of_pairs(&mut self, one: &PairMonitor) {
        self.judged([&one.harm, &one.shift, &one.proven], one.effect);
        self.stable_spread = one.spread();
        self.distance = one.distance();
    }

    /// Whether both tracks have the samples that a pass takes, and some were compared. Every visit of a key counts where
    /// all of them are judged. The samples of the first tick are only counted where nothing was known of stable before.
    /// Where nothing exceeds a quantile, nothing is compared, and what a promotion waits for is enough.
    pub(crate) fn has_enough(&self, metric: &Metric) -> bool {
        let is_decidable = metric.source.properties().decidable_after.is_some();
        let is_known = self.is_compared() || is_decidable && self.awaits(metric).is_none();
        self.samples().into_iter().all(|samples| samples >= metric.min_samples) && is_known
    }

    /// The further effective samples that a promotion waits for while the metric is not proven. Visits of keys that come
    /// back count.
    pub(crate) fn awaits(&self, metric: &Metric) -> Option<u64> {
        let [stable, canary] = self.samples().map(|samples| samples as f64);
        metric.awaits(stable * canary / (stable + canary).max(1.0))
    }

    /// The samples of stable and of the canary. Every visit of a key counts where all of them are judged.
    pub(crate) fn samples(&self) -> [u64; 2] {
        let [stable, canary] = self.visits.map_or([0; 2], |visits| [visits.stable, visits.canary]);
        [self.counts.stable.max(stable), self.counts.canary.max(canary)]
    }

    /// Whether anything was bet on.
    pub(crate) fn is_compared(&self) -> bool {
        self.effect.effect().is_some()
    }
}
