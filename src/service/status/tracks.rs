//! What was observed of the two versions.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::canary::Samples;
use crate::canary::observed::outputs::Numbers;
use crate::canary::observed::samples::Failures;
use crate::canary::observed::samples::TrackSamples;
use crate::stats::Summary;

/// What was observed of both tracks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tracks {
    /// The stable version.
    pub stable: TrackStatus,
    /// The canary.
    pub canary: TrackStatus,
}

/// What was observed of one track.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TrackStatus {
    /// Requests routed to it.
    pub requests: u64,
    /// Latency samples: the requests it answered.
    pub samples: u64,
    /// Requests it failed.
    pub failures: u64,
    /// Failures by kind.
    pub failures_by_kind: Failures,
    /// Failures per request.
    pub failure_rate: f64,
    /// Their latency.
    #[serde(flatten)]
    pub latency: LatencyStatus,
    /// Mean predicted probability or score.
    pub mean_score: Option<f64>,
}

/// Latency in milliseconds; `null` without samples.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct LatencyStatus {
    /// Mean.
    pub mean_ms: Option<f64>,
    /// Standard deviation.
    pub std_ms: Option<f64>,
    /// Median.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
}

impl Tracks {
    /// The tracks of these samples.
    pub(crate) fn new(samples: &Samples) -> Tracks {
        Tracks {
            stable: TrackStatus::new(&samples.stable),
            canary: TrackStatus::new(&samples.canary),
        }
    }
}

impl TrackStatus {
    fn new(samples: &TrackSamples) -> TrackStatus {
        let latency = &samples.latency;
        let failures = samples.failures.total();
        TrackStatus {
            requests: samples.requests,
            samples: latency.count(),
            failures,
            failures_by_kind: samples.failures,
            failure_rate: failures as f64 / samples.requests.max(1) as f64,
            latency: LatencyStatus::new(latency),
            mean_score: match samples.numbers.as_deref().and_then(Numbers::score) {
                Some(scores) => scores.mean(),
                None => samples.score.mean(),
            },
        }
    }
}

impl LatencyStatus {
    pub(super) fn new(latency: &Summary) -> LatencyStatus {
        LatencyStatus {
            mean_ms: latency.mean().map(milliseconds),
            std_ms: latency.std_dev().map(milliseconds),
            p50_ms: latency.quantile(0.50).map(milliseconds),
            p95_ms: latency.quantile(0.95).map(milliseconds),
            p99_ms: latency.quantile(0.99).map(milliseconds),
        }
    }
}

/// Seconds as milliseconds, rounded to a tenth of a nanosecond, below which there is only noise.
pub(crate) fn milliseconds(seconds: f64) -> f64 {
    let rounded = (seconds * 1e10).round() / 1e7;
    if rounded.is_finite() { rounded } else { seconds * 1e3 }
}
