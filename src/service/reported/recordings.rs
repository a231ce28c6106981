//! Which numbers were measured elsewhere, by metric and track? Kept in memory of limited size.
//!
//! Up to [`MAX_KEPT`] values of a metric and track are kept as they are. From then on those kept are
//! a uniform random sample of all (Vitter's algorithm R), so that every test stays valid as it is,
//! whatever the numbers look like: a histogram would have to know their range beforehand. What is
//! lost is only sharpness that nobody can use: two samples of 10,000 show a Cohen's d of 0.06 with a
//! power of 99 %, and the smallest effect that decides by default is 0.2.
//!
//! A restart loses them, and so does the deployment of another canary.
//!
//! Vitter (1985), "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11(1),
//! doi:10.1145/3147.3165.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng as _;
use rand_xoshiro::rand_core::SeedableRng as _;
use serde::Serialize;
use thiserror::Error;

use super::pending;
use super::pending::Pending;
use crate::canary::MetricName;
use crate::canary::Track;
use crate::canary::analysis::sample::Sample;
use crate::canary::analysis::sample::SampleCounts;
use crate::canary::observed::increment::RecordedIncrement;
use crate::canary::policy::metric::MetricNameError;
use crate::stats::MAX_MAGNITUDE;
use crate::stats::is_recordable;

/// The most values kept of each metric and track: 80 kB, and as many as the Kolmogorov-Smirnov
/// test compares exactly.
pub const MAX_KEPT: usize = 10_000;

/// The most metrics, so that names made by mistake (one a request, say) cannot fill the memory: all
/// together take at most 10.3 MB.
pub const MAX_METRICS: usize = 64;

/// Why a number was not recorded.
#[derive(Debug, Error, PartialEq)]
pub enum RecordError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] MetricNameError),
    /// The number cannot be compared with others.
    #[error(
        "score = {0:e} is out of range; give a finite number of at most {MAX_MAGNITUDE:e} in \
         absolute value"
    )]
    Score(f64),
    /// The number cannot be judged, and its metric is.
    #[error(
        "score = {score:e} of the judged metric {metric} is out of range; give 0, or {:e} to \
         {:e} in absolute value: choose another unit",
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
        "metric = {name:?} would be one more than the {MAX_METRICS} that are kept; use one of the \
         names there are, or clear them with POST /reset"
    )]
    TooManyMetrics {
        /// The new one.
        name: String,
    },
}

/// What was recorded.
#[derive(Default)]
pub struct Recordings {
    /// Written by every request that records; the lock is held while one value is put in its place,
    /// or while 20,000 are copied for an analysis.
    metrics: Mutex<BTreeMap<MetricName, Metric>>,
    /// What waits for the judge. Taken after `metrics` and before nothing, and held as shortly.
    pending: Mutex<Pending>,
}

/// How much was recorded of everything, and of each metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecordedCounts {
    /// Values of each track, of all metrics together.
    #[serde(flatten)]
    pub total: SampleCounts,
    /// Values of each track, by metric.
    pub metrics: BTreeMap<MetricName, SampleCounts>,
}

impl Recordings {
    /// Adds a number. Of a key the judge takes the first one alone.
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
        // Names that nobody judges must not keep out one that somebody does.
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

    /// Forgets what an analysis would compare. What waits for the judge stays: whoever clears may have
    /// seen the values, and must not choose which of them are judged.
    pub fn clear(&self) {
        // The memory is given back after the lock.
        let _forgotten = std::mem::take(&mut *self.metrics.lock());
    }

    /// From now on values of these metrics wait for the judge, and no earlier ones.
    pub fn judge(&self, metrics: impl IntoIterator<Item = MetricName>, salt: u128) {
        *self.pending.lock() = Pending::of(metrics, salt);
    }

    /// Lets nothing wait any more that came while the canary's share was another one, or left nothing
    /// to chance: within a tick all values must have had the same chance.
    pub fn drop_waiting(&self) {
        self.pending.lock().clear();
    }

    /// What the judge has not taken in yet, of the metrics that have enough of both tracks.
    pub fn increments(&self) -> BTreeMap<MetricName, RecordedIncrement> {
        self.pending.lock().take()
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
    /// Which value gives way. Seeded alike everywhere: the choice must not depend on the values,
    /// and it need not be secret, because whoever records could send any values anyway.
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
    fn what_is_recorded_is_kept_by_metric_and_track() {
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
    fn a_reservoir_takes_no_more_memory_than_it_is_said_to() {
        let mut reservoir = Reservoir::default();
        (0..3 * MAX_KEPT).for_each(|value| reservoir.record(value as f64));
        assert_eq!(reservoir.kept.capacity(), MAX_KEPT);
    }

    #[test]
    fn there_is_an_end_to_the_metrics_and_to_the_numbers() {
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
