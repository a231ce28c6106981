//! History of each metric: how its interval has narrowed, at no more than [`MOST`] moments of the rollout.
//!
//! A function of the policy and the ticks, like the monitors: a replay gives the same history. Moments are dropped
//! evenly as it grows, but neither the newest nor the first pass, shift and failure. What all intervals have in common
//! counts every tick, also those whose moment was dropped.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::SequentialVerdict;
use crate::canary::judge::margins::Margins;
use crate::canary::judge::monitors::Monitors;
use crate::canary::judge::tick_log::LogError;
use crate::canary::judge::tick_log::LoggedTick;
use crate::canary::judge::verdict::Classification;
use crate::canary::judge::verdict::MetricEvidence;
use crate::canary::policy::judge_policy::JudgePolicy;
use crate::canary::policy::metric::Metric;
use crate::canary::policy::metric::MetricName;
use crate::canary::traffic::weight::Weight;
use crate::stats::Harm;

/// Moments of a metric.
pub const MOST: usize = 200;

/// Moments kept besides the newest and the first pass, shift and failure.
const KEPT: usize = MOST - 4;

/// How the interval of a metric has narrowed since the rollout began.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MetricHistory {
    /// The rollout.
    pub rollout: u64,
    /// The metric.
    pub metric: MetricName,
    /// In which direction it is worse.
    pub harm: Harm,
    /// Moments at which something was known of the difference, oldest first; at most 200. The last one is the newest.
    #[schema(max_items = 200)]
    pub moments: Vec<Moment>,
    /// The first moment at which the intervals so far had nothing in common: the difference has changed, or one of them
    /// was wrong by chance.
    pub contradicted: Option<Moment>,
}

/// A metric at one moment. Differences are canary minus stable, in the unit of the metric's values: seconds, a share, or
/// that of what clients report.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MetricMoment)]
pub struct Moment {
    /// The tick of the sequential judge.
    pub tick: u64,
    /// When it closed.
    pub at: Timestamp,
    /// The step of the rollout.
    pub step: u32,
    /// The canary's share of the requests.
    pub traffic_percent: f64,
    /// Samples of stable since the rollout began.
    pub stable_samples: u64,
    /// Samples of the canary, likewise.
    pub canary_samples: u64,
    /// The conclusion; left out before there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Conclusion>,
    /// The difference.
    pub effect: Option<f64>,
    /// Its confidence interval at this moment alone, as in the evidence.
    pub interval: Option<[f64; 2]>,
    /// What all intervals so far have in common. Margins move with stable's mean, so they are compared as multiples of the
    /// accepted margin. Left out from the moment on at which they have nothing in common.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_common: Option<[f64; 2]>,
    /// A difference within this passes.
    pub accepted: f64,
    /// A larger difference fails.
    pub harmful: f64,
}

/// What was concluded of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// It passes.
    Pass,
    /// It differs by more than tolerated, short of harm.
    Shifted,
    /// It fails.
    Fail,
}

impl Conclusion {
    fn of(evidence: &MetricEvidence) -> Option<Conclusion> {
        match evidence.classification {
            Classification::Fail => Some(Conclusion::Fail),
            _ if evidence.is_shifted => Some(Conclusion::Shifted),
            Classification::Pass => Some(Conclusion::Pass),
            Classification::Inconclusive | Classification::Insufficient => None,
        }
    }
}

impl Moment {
    fn new(
        metric: &Metric,
        evidence: &MetricEvidence,
        tick: &LoggedTick,
        weight: Weight,
    ) -> Moment {
        let Margins { accepted, harmful, .. } = Margins::new(metric, evidence);
        // All visits of keys are compared by other numbers than these.
        let is_of_these = evidence.by_visits.is_none();
        Moment {
            tick: tick.number,
            at: tick.at,
            step: tick.step,
            traffic_percent: weight.percent(),
            stable_samples: evidence.samples.stable,
            canary_samples: evidence.samples.canary,
            conclusion: Conclusion::of(evidence),
            effect: evidence.effect,
            interval: evidence.interval.filter(|_| is_of_these),
            in_common: None,
            accepted,
            harmful,
        }
    }

    /// The margin in whose multiples differences are compared; `None` where nothing is accepted or harmful.
    pub fn unit(&self) -> Option<f64> {
        let unit = if self.accepted > 0.0 { self.accepted } else { self.harmful };
        (unit > 0.0 && unit.is_finite()).then_some(unit)
    }
}

/// The histories of all metrics of a rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricHistories(Vec<Course>);

/// The moments of one metric so far.
#[derive(Clone, Debug, PartialEq)]
struct Course {
    /// One moment in this many is kept.
    stride: u64,
    /// Moments seen.
    seen: u64,
    kept: Vec<Moment>,
    /// The first pass, shift and failure.
    concluded: Vec<Moment>,
    newest: Option<Moment>,
    /// What all intervals have in common, as multiples of the margin; `None` before the first.
    in_common: Option<[f64; 2]>,
    contradicted: Option<Moment>,
}

impl MetricHistories {
    /// Takes in what the monitors conclude after a tick with this share.
    pub fn take_in(
        &mut self,
        policy: &JudgePolicy,
        monitors: &Monitors,
        tick: &LoggedTick,
        weight: Weight,
    ) {
        self.0.resize_with(policy.metrics.len(), Course::beginning);
        let verdict = SequentialVerdict::new(policy, tick.number, &monitors.measured());
        let metrics = policy.metrics.iter().zip(&verdict.metrics);
        for (course, (metric, evidence)) in self.0.iter_mut().zip(metrics) {
            course.take_in(Moment::new(metric, evidence, tick, weight));
        }
    }

    /// Takes in a chunk of the tick log: its snapshot, and the ticks after it up to `up_to`.
    ///
    /// # Errors
    /// When one of these ticks is missing or cannot be read.
    pub fn replay(
        &mut self,
        policy: &JudgePolicy,
        snapshot: Monitors,
        ticks: &[LoggedTick],
        up_to: u64,
    ) -> Result<(), LogError> {
        let mut monitors = snapshot;
        for tick in ticks.iter().take_while(|tick| tick.number <= up_to) {
            let increment = tick.taken_in(&mut monitors)?;
            self.take_in(policy, &monitors, tick, increment.weight);
        }
        Ok(())
    }

    /// The same histories, continued by later ones.
    pub fn continued(mut self, later: MetricHistories) -> MetricHistories {
        self.0.resize_with(self.0.len().max(later.0.len()), Course::beginning);
        for (course, later) in self.0.iter_mut().zip(later.0) {
            course.join(later);
        }
        self
    }

    /// The history of a metric of the policy; `None` if it has no such metric.
    pub fn of(&self, rollout: u64, policy: &JudgePolicy, name: &str) -> Option<MetricHistory> {
        let place = policy.metrics.iter().position(|metric| metric.name.as_str() == name)?;
        let (metric, course) = (&policy.metrics[place], self.0.get(place));
        Some(MetricHistory {
            rollout,
            metric: metric.name.clone(),
            harm: metric.harm,
            moments: course.map_or_else(Vec::new, Course::moments),
            contradicted: course.and_then(|course| course.contradicted.clone()),
        })
    }
}

impl Course {
    fn beginning() -> Course {
        Course {
            stride: 1,
            seen: 0,
            kept: Vec::new(),
            concluded: Vec::new(),
            newest: None,
            in_common: None,
            contradicted: None,
        }
    }

    fn take_in(&mut self, moment: Moment) {
        let is_known = moment.effect.is_some() || moment.conclusion.is_some();
        let is_same = self.newest.as_ref().is_some_and(|newest| {
            let seen = |it: &Moment| (it.stable_samples, it.canary_samples, it.step, it.conclusion);
            seen(newest) == seen(&moment)
        });
        if !is_known || is_same {
            return;
        }
        let moment = self.compared(moment);
        let is_new = |conclusion| self.concluded.iter().all(|it| it.conclusion != conclusion);
        if moment.conclusion.is_some() && is_new(moment.conclusion) {
            self.concluded.push(moment.clone());
        }
        if self.seen.is_multiple_of(self.stride) {
            self.kept.push(moment.clone());
        }
        self.seen += 1;
        self.newest = Some(moment);
        if self.kept.len() > KEPT {
            let mut place = 0;
            self.kept.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// Takes in a later course, also what the moments that it dropped have in common.
    fn join(&mut self, later: Course) {
        later.moments().into_iter().for_each(|moment| self.take_in(moment));
        if self.contradicted.is_none() {
            self.contradicted = later.contradicted;
        }
        if let Some([low, high]) = later.in_common.filter(|_| self.contradicted.is_none()) {
            let [least, most] = self.in_common.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
            self.in_common = Some([low.max(least), high.min(most)]);
        }
        if let Some(newest) = self.newest.take() {
            self.newest = Some(self.compared(newest));
        }
    }

    /// The moment with what all intervals so far have in common.
    fn compared(&mut self, moment: Moment) -> Moment {
        let Some(unit) = moment.unit().filter(|_| self.contradicted.is_none()) else {
            return Moment { in_common: None, ..moment };
        };
        if let Some([low, high]) = moment.interval.map(|ends| ends.map(|end| end / unit)) {
            let [least, most] = self.in_common.unwrap_or([f64::NEG_INFINITY, f64::INFINITY]);
            self.in_common = Some([low.max(least), high.min(most)]);
        }
        let in_common = self.in_common.filter(|[low, high]| low <= high);
        if self.in_common.is_some() && in_common.is_none() {
            self.contradicted = Some(Moment { in_common: None, ..moment.clone() });
        }
        Moment { in_common: in_common.map(|ends| ends.map(|end| end * unit)), ..moment }
    }

    /// All moments that are kept, oldest first.
    fn moments(&self) -> Vec<Moment> {
        let mut moments: Vec<&Moment> =
            self.kept.iter().chain(&self.concluded).chain(&self.newest).collect();
        moments.sort_by_key(|moment| moment.tick);
        moments.dedup_by_key(|moment| moment.tick);
        moments.into_iter().cloned().collect()
    }
}

#[cfg(test)]
#[path = "metric_history_tests.rs"]
mod tests;
