//! Both tracks side by side, as JSON: a look by hand, or a script without Prometheus.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Snapshot;
use super::TRACKS;
use crate::canary::Track;
use crate::canary::observed::outputs::Numbers;
use crate::canary::observed::samples::TrackSamples;
use crate::model::OutputKind;
use crate::service::serving::live::Loaded;
use crate::service::status::tracks::milliseconds;
use crate::stats::Summary;

/// Both tracks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summaries {
    /// Stable, since the current step began.
    pub stable: TrackSummary,
    /// The canary, over the same time.
    pub canary: TrackSummary,
}

/// One track since the current step began.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrackSummary {
    /// The version; `null` without a canary.
    pub version: Option<String>,
    /// Requests assigned to it.
    pub request_count: u64,
    /// Failures per request; 0 without requests.
    pub error_rate: f64,
    /// Mean latency of a request, divided by its rows; `null` without answers, as all latencies are.
    pub avg_latency_ms: Option<f64>,
    /// Median.
    pub p50_latency_ms: Option<f64>,
    /// 95th percentile.
    pub p95_latency_ms: Option<f64>,
    /// 99th percentile.
    pub p99_latency_ms: Option<f64>,
    /// What was answered. Of two classes the share of each label, a request of several rows counting by its mean; of many
    /// the mean probability of each class; of scores the quantiles `p10`, `p50` and `p90`. Empty without answers.
    pub prediction_distribution: BTreeMap<String, f64>,
}

impl Snapshot<'_> {
    /// Both tracks side by side.
    pub(crate) fn summaries(&self) -> Summaries {
        let samples = self.observed.all();
        let [stable, canary] =
            TRACKS.map(|track: Track| TrackSummary::new(self.loaded(track), samples.of(track)));
        Summaries { stable, canary }
    }
}

impl TrackSummary {
    fn new(loaded: Option<&Loaded>, samples: &TrackSamples) -> TrackSummary {
        let latency = &samples.latency;
        let quantile = |q| latency.quantile(q).map(milliseconds);
        let kind = loaded.map(|loaded| loaded.inference.model().output());
        TrackSummary {
            version: loaded.map(|loaded| loaded.version.name.clone()),
            request_count: samples.requests,
            error_rate: samples.failures.total() as f64 / samples.requests.max(1) as f64,
            avg_latency_ms: latency.mean().map(milliseconds),
            p50_latency_ms: quantile(0.50),
            p95_latency_ms: quantile(0.95),
            p99_latency_ms: quantile(0.99),
            prediction_distribution: kind.map(|kind| shares(kind, samples)).unwrap_or_default(),
        }
    }
}

fn shares(kind: &OutputKind, samples: &TrackSamples) -> BTreeMap<String, f64> {
    let numbers = samples.numbers.as_deref();
    match kind {
        OutputKind::Probability { threshold } => by_label(&samples.score, *threshold),
        OutputKind::Probabilities { classes } => {
            let means = numbers.map_or(&[][..], Numbers::classes).iter().map(Summary::mean);
            let named = classes.iter().cloned().zip(means);
            named.filter_map(|(class, mean)| Some((class, mean?))).collect()
        }
        OutputKind::Score => {
            let score = numbers.and_then(Numbers::score);
            let quantiles = [("p10", 0.1), ("p50", 0.5), ("p90", 0.9)];
            let known = |(name, q): (&str, f64)| Some((name.to_owned(), score?.quantile(q)?));
            quantiles.into_iter().filter_map(known).collect()
        }
    }
}

fn by_label(scores: &Summary, threshold: f64) -> BTreeMap<String, f64> {
    let (mut zeros, mut ones) = (0_u64, 0_u64);
    for (score, count) in scores.points().as_slice() {
        *(if *score < threshold { &mut zeros } else { &mut ones }) += count;
    }
    let all = zeros + ones;
    if all == 0 {
        return BTreeMap::new();
    }
    let share = |count: u64| count as f64 / all as f64;
    BTreeMap::from([("0".to_owned(), share(zeros)), ("1".to_owned(), share(ones))])
}
