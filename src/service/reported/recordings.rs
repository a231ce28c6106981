//! Recorded values, measured by clients, by metric and track; in bounded memory.
//!
//! Up to [`MAX_KEPT`] values of a metric and track are kept as they are. From then on those kept are
//! a uniform random sample of all (Vitter's algorithm R), so that every test stays valid as it is,
//! whatever the distribution: a histogram would have to know the range beforehand. The loss of power
//! is irrelevant: two samples of 10,000 show a Cohen's d of 0.06 with a
//! power of 99 %, and the smallest effect that decides by default is 0.2.
//!
//! A restart or the deployment of another canary clears them.
//!
//! Vitter (1985), "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11(1),
//! doi:10.1145/3147.3165.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use parking_lot::Mutex;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng as _;
use rand_xoshiro::rand_core::SeedableRng as _;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::pending;
use super::pending::Pending;
use crate::canary::Metric as JudgedMetric;
use crate::canary::MetricName;
use crate::canary::Track;
use crate::canary::analysis::sample::Sample;
use crate::canary::analysis::sample::SampleCounts;
use crate::canary::observed::increment::Observation;
use crate::canary::observed::increment::RecordedIncrement;
use crate::canary::policy::metric::Source;
use crate::stats::MAX_MAGNITUDE;
use crate::stats::is_recordable;

/// The most values kept of each metric and track: 80 kB, and as many as the Kolmogorov-Smirnov
/// test compares exactly.
pub const MAX_KEPT: usize = 10_000;

/// The most metrics, so that generated names cannot fill the memory: together at most 10.3 MB.
pub const MAX_METRICS: usize = 64;

/// Why a number was not recorded.
#[derive(Debug, Error, PartialEq)]
pub enum RecordError {
    /// The number cannot be compared with others.
    #[error("score: {0:e} is out of range; use -{MAX_MAGNITUDE:e} to {MAX_MAGNITUDE:e}")]
    Score(f64),
    /// The number of a judged metric cannot be judged.
    #[error(
        "score: {score:e} is out of range for the judged metric {metric}; use another unit, in which \
         values are 0 or from {:e} to {:e} in absolute value",
        pending::MIN_MAGNITUDE,
        pending::MAX_MAGNITUDE
    )]
    NotJudged {
        /// The metric.
        metric: String,
        /// The number.
        score: f64,
    },
    /// There are too many metrics already.
    #[error(
        "metric: {name:?} would exceed the limit of {MAX_METRICS} metrics; use a recorded name, or \
         delete the recorded values with POST /reset"
    )]
    TooManyMetrics {
        /// The new one.
        name: String,
    },
}

/// What was recorded.
#[derive(Default)]
pub struct Recordings {
    /// Written by each request that records. The lock is held to store one value, or to copy 20,000 for an
    /// analysis.
    metrics: Mutex<BTreeMap<MetricName, Metric>>,
    /// Values that wait for the judge. Taken last, after `metrics`.
    pending: Mutex<Pending>,
    /// Observations of queries that wait for the judge. Taken last, after `metrics`.
    queried: Mutex<Queried>,
}

/// Observations of queries: at most one a second of each metric until the next tick.
#[derive(Default)]
struct Queried {
    judged: BTreeSet<MetricName>,
    waiting: Vec<Observation>,
}

/// Counts of recorded values, in total and by metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct RecordedCounts {
    /// Values of each track, of all metrics together.
    #[serde(flatten)]
    pub total: SampleCounts,
    /// Values of each track, by metric.
    pub metrics: BTreeMap<MetricName, SampleCounts>,
}

impl Recordings {
    /// Adds a number. Of each key the judge takes only the first.
    ///
    /// # Errors
    /// When it cannot be compared with others, or its metric would be one too many.
    pub fn record(
        &self,
        track: Track,
        metric: MetricName,
        score: f64,
        key: Option<&str>,
    ) -> Result<(), RecordError> {
        if !is_recordable(score) {
            return Err(RecordError::Score(score));
        }
        let mut metrics = self.metrics.lock();
        let mut pending = self.pending.lock();
        // Unjudged metrics must not keep out a judged one.
        let is_new = !metrics.contains_key(&metric) && !pending.judges(&metric);
        if is_new && metrics.len() >= MAX_METRICS {
            return Err(RecordError::TooManyMetrics { name: metric.to_string() });
        }
        if !pending.takes(&metric, score) {
            return Err(RecordError::NotJudged { metric: metric.to_string(), score });
        }
        pending.record(track, &metric, score, key);
        drop(pending);
        metrics.entry(metric).or_default().of_mut(track).record(score);
        Ok(())
    }

    /// The values of a metric, baseline's and canary's; both empty if there are none.
    pub fn samples(&self, metric: &MetricName) -> (Sample, Sample) {
        let (baseline, canary) = match self.metrics.lock().get(metric) {
            Some(Metric { stable, canary }) => (stable.clone(), canary.clone()),
            None => Default::default(),
        };
        (baseline.sample(), canary.sample())
    }

    /// How many values there are.
    pub fn counts(&self) -> RecordedCounts {
        let mut counts = RecordedCounts::default();
        for (name, Metric { stable, canary }) in self.metrics.lock().iter() {
            let of_metric = SampleCounts { baseline: stable.measured, canary: canary.measured };
            counts.total.baseline += of_metric.baseline;
            counts.total.canary += of_metric.canary;
            counts.metrics.insert(name.clone(), of_metric);
        }
        counts
    }

    /// Clears the values for analyses. Those that wait for the judge stay: a caller that has seen the values must
    /// not choose which of them are judged.
    pub fn clear(&self) {
        // Dropped after the lock.
        let _forgotten = std::mem::take(&mut *self.metrics.lock());
    }

    /// Adds what a query found of stable and of the canary at one moment: one observation for the judge.
    ///
    /// # Errors
    /// When a number cannot be judged; then neither is added.
    pub fn observe(&self, metric: &MetricName, found: [f64; 2]) -> Result<(), RecordError> {
        if let Some(score) = found.into_iter().find(|score| !is_recordable(*score)) {
            return Err(RecordError::Score(score));
        }
        let mut metrics = self.metrics.lock();
        let mut queried = self.queried.lock();
        if !queried.judged.contains(metric) {
            // The rollout has ended meanwhile.
            return Ok(());
        }
        let [stable, canary] = found;
        queried.waiting.push(Observation { metric: metric.clone(), stable, canary });
        drop(queried);
        let values = metrics.entry(metric.clone()).or_default();
        for (track, score) in [Track::Stable, Track::Canary].into_iter().zip(found) {
            values.of_mut(track).record(score);
        }
        Ok(())
    }

    /// Collects values of these metrics for the judge from now on.
    pub fn judge<'a>(&self, metrics: impl IntoIterator<Item = &'a JudgedMetric>, salt: u128) {
        let (queried, recorded): (Vec<&JudgedMetric>, Vec<&JudgedMetric>) =
            metrics.into_iter().partition(|metric| metric.source == Source::Prometheus);
        let name = |metric: &&JudgedMetric| metric.name.clone();
        *self.pending.lock() = Pending::of(recorded.iter().map(name), salt);
        let judged = queried.iter().map(name).collect();
        *self.queried.lock() = Queried { judged, waiting: Vec::new() };
    }

    /// Drops waiting values from another share, or from a share without randomization: all values of a tick must
    /// have had the same chance.
    pub fn drop_waiting(&self) {
        self.pending.lock().clear();
        self.queried.lock().waiting.clear();
    }

    /// Takes the waiting values of the metrics that have enough of both tracks.
    pub fn increments(&self) -> BTreeMap<MetricName, RecordedIncrement> {
        self.pending.lock().take()
    }

    /// Takes the observations of queries.
    pub fn observations(&self) -> Vec<Observation> {
        std::mem::take(&mut self.queried.lock().waiting)
    }
}

#[derive(Default)]
struct Metric {
    stable: Reservoir,
    canary: Reservoir,
}

impl Metric {
    fn of_mut(&mut self, track: Track) -> &mut Reservoir {
        match track {
            Track::Stable => &mut self.stable,
            Track::Canary => &mut self.canary,
        }
    }
}

/// A uniform random sample of what was recorded; all of it while there is room.
#[derive(Clone)]
struct Reservoir {
    kept: Vec<f64>,
    measured: u64,
    /// Chooses the value to replace. The seed is fixed: the choice must not depend on the values, and need not be
    /// secret, because a client could send any values anyway.
    random: Xoshiro256PlusPlus,
}

impl Default for Reservoir {
    fn default() -> Reservoir {
        Reservoir { kept: Vec::new(), measured: 0, random: Xoshiro256PlusPlus::seed_from_u64(0) }
    }
}

impl Reservoir {
    fn record(&mut self, value: f64) {
        self.measured = self.measured.saturating_add(1);
        let room = MAX_KEPT - self.kept.len();
        if room > 0 {
            if self.kept.len() == self.kept.capacity() {
                // Doubles as a vector does, but not beyond what will ever be kept.
                self.kept.reserve_exact(self.kept.len().max(64).min(room));
            }
            self.kept.push(value);
            return;
        }
        // A place among all values so far, uniform up to 2^-64 of their number; the new value is
        // kept if the place is among those there are.
        let place = (u128::from(self.random.next_u64()) * u128::from(self.measured)) >> 64;
        if let Some(kept) = self.kept.get_mut(place as usize) {
            *kept = value;
        }
    }

    fn sample(&self) -> Sample {
        // Every value was checked when it was recorded, so that none is refused here.
        Sample::drawn(&self.kept, self.measured).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MetricName {
        MetricName::new(text).unwrap()
    }

    fn counts(baseline: u64, canary: u64) -> SampleCounts {
        SampleCounts { baseline, canary }
    }

    #[test]
    fn values_are_kept_by_metric_and_track() {
        let recordings = Recordings::default();
        recordings.record(Track::Stable, name("score"), 0.5, None).unwrap();
        recordings.record(Track::Canary, name("score"), 0.7, None).unwrap();
        recordings.record(Track::Canary, name("revenue"), -3.0, None).unwrap();
        let (baseline, canary) = recordings.samples(&name("score"));
        assert_eq!(baseline.points().as_slice(), [(0.5, 1)]);
        assert_eq!(canary.points().as_slice(), [(0.7, 1)]);
        let found = recordings.counts();
        assert_eq!(found.total, counts(1, 2));
        assert_eq!(found.metrics[&name("revenue")], counts(0, 1));
        assert_eq!(recordings.samples(&name("other")), Default::default());
        recordings.clear();
        assert_eq!(recordings.counts(), RecordedCounts::default());
    }

    #[test]
    fn beyond_the_limit_a_uniform_sample_of_all_values_is_kept() {
        let recordings = Recordings::default();
        for value in 0..100_000 {
            recordings.record(Track::Canary, name("score"), f64::from(value), None).unwrap();
        }
        let (_, canary) = recordings.samples(&name("score"));
        assert_eq!(recordings.counts().total, counts(0, 100_000));
        assert_eq!(canary.points().total(), MAX_KEPT as u64);
        // Each tenth of the values has a binomial number in the sample: 1,000 with a standard
        // deviation of 28.5.
        for tenth in 0..10 {
            let range = f64::from(tenth * 10_000)..f64::from((tenth + 1) * 10_000);
            let inside = canary.points().iter().filter(|point| range.contains(&point.0)).count();
            assert!((880..1120).contains(&inside), "{inside} of {range:?}");
        }
    }

    #[test]
    fn up_to_the_limit_nothing_is_lost() {
        let recordings = Recordings::default();
        for value in 0..MAX_KEPT {
            recordings.record(Track::Stable, name("score"), value as f64, None).unwrap();
        }
        let (baseline, _) = recordings.samples(&name("score"));
        assert!(baseline.points().iter().enumerate().all(|(i, point)| point == (i as f64, 1)));
    }

    #[test]
    fn a_reservoir_takes_no_more_memory_than_documented() {
        let mut reservoir = Reservoir::default();
        (0..3 * MAX_KEPT).for_each(|value| reservoir.record(value as f64));
        assert_eq!(reservoir.kept.capacity(), MAX_KEPT);
    }

    #[test]
    fn metrics_and_values_are_bounded() {
        let recordings = Recordings::default();
        for i in 0..MAX_METRICS {
            recordings.record(Track::Stable, name(&format!("m{i}")), 1.0, None).unwrap();
        }
        let error = recordings.record(Track::Stable, name("more"), 1.0, None).unwrap_err();
        assert!(error.to_string().contains("/reset"), "{error}");
        recordings.record(Track::Canary, name("m0"), 1.0, None).unwrap();
        for score in [f64::NAN, f64::INFINITY, -1e145] {
            let error = recordings.record(Track::Stable, name("m0"), score, None).unwrap_err();
            assert!(matches!(error, RecordError::Score(_)), "{error}");
        }
        assert_eq!(recordings.counts().metrics.len(), MAX_METRICS);
    }

    #[test]
    fn many_threads_may_record() {
        let recordings = Recordings::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for value in 0..5000 {
                        let track = if value % 2 == 0 { Track::Stable } else { Track::Canary };
                        recordings.record(track, name("score"), f64::from(value), None).unwrap();
                    }
                });
            }
        });
        assert_eq!(recordings.counts().total, counts(10_000, 10_000));
    }
}
