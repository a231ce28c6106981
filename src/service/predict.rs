//! One prediction: assign, infer, record, and never let the user feel the canary.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use thiserror::Error;

use super::clock::Clock;
use super::inference::InferenceError;
use super::live::Lane;
use super::live::Live;
use super::live::Loaded;
use super::shadow::Shadow;
use crate::canary::Track;
use crate::canary::signals::Failure;
use crate::model::Features;
use crate::model::Row;
use crate::model::RowError;

/// What is asked: one row or many, and for whom.
pub struct Request<'a> {
    /// The rows, in the order they are to be answered.
    pub rows: Vec<Features<'a>>,
    /// Whoever has the same key gets the same track.
    pub key: Option<Cow<'a, str>>,
}

/// What is answered.
pub struct Prediction {
    /// The probability of the positive class, for each row.
    pub probabilities: Vec<f64>,
    /// The track that answered.
    pub track: Track,
    /// From the start of the inference to its answer; with a fallback, from the canary's start.
    pub latency: Duration,
    /// Whether stable stepped in for a canary that failed.
    pub fallback: bool,
    /// Kept instead of a clone of the version: two workers that count references to the same version
    /// would wait for each other's cache.
    live: Guard<Arc<Live>>,
}

impl Prediction {
    /// The version that answered.
    pub fn answered_by(&self) -> &Loaded {
        match (self.track, &self.live.canary) {
            (Track::Canary, Some(lane)) => &lane.loaded,
            (Track::Canary, None) | (Track::Stable, _) => &self.live.stable,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum PredictError {
    /// A row does not fit the model.
    #[error("{}{cause}", position(*.row, *.rows))]
    Row {
        /// Which row, counted from 0.
        row: usize,
        /// Of how many.
        rows: usize,
        /// What is wrong with it.
        cause: RowError,
    },
    /// The stable model failed, and there is nobody behind it.
    #[error("the stable model {}; the failure is counted, try again", .0.failure)]
    Stable(InferenceError),
}

fn position(row: usize, rows: usize) -> String {
    if rows > 1 { format!("instance {row}: ") } else { String::new() }
}

/// Answers a request from this `Live`.
///
/// # Errors
/// When a row does not fit the model, or stable itself fails. A canary's failure is no error: it
/// is counted, and stable answers.
pub async fn predict(
    live: Guard<Arc<Live>>,
    clock: &dyn Clock,
    stable_deadline: Duration,
    shadow: &Shadow,
    request: Request<'_>,
) -> Result<Prediction, PredictError> {
    let rows = fit(&live, request.rows)?;
    let mut fallback = false;
    let mut lost = Duration::ZERO;
    let key = request.key.as_deref();
    let assigned = live.assign(key);
    let (track, visit) = (assigned.track, assigned.visit);
    if let (Track::Canary, Some(lane)) = (track, &live.canary) {
        let (latency, outcome) = timed(&lane.loaded, clock, lane.delay, lane.deadline, &rows).await;
        match outcome {
            Ok(probabilities) => {
                let latency_seconds = per_row(latency, &rows);
                live.recorder.record(Track::Canary, visit, latency_seconds, &probabilities);
                if let Some(wire) = &lane.tripwire {
                    wire.answered();
                }
                shadow.keep(&rows, None);
                let track = Track::Canary;
                return Ok(Prediction { probabilities, track, latency, fallback, live });
            }
            Err(error) => {
                live.recorder.record_failure(Track::Canary, visit, error.failure);
                if let Some(wire) = &lane.tripwire {
                    wire.failed();
                }
                tracing::debug!(version = lane.loaded.version.name, ?error, "the canary failed");
                (fallback, lost) = (true, latency);
            }
        }
    }
    // A request that was the canary's does not become a sample of stable: the two tracks are
    // comparable only as the split has drawn them.
    let (latency, outcome) = timed(&live.stable, clock, None, stable_deadline, &rows).await;
    match outcome {
        Ok(probabilities) => {
            // The tracks are compared by one measure: what would have been too late of the canary's is
            // so of stable's, although the user gets it.
            let deadline = live.canary.as_ref().map_or(stable_deadline, |lane| lane.deadline);
            let is_late = latency > deadline;
            let to_shadow = |lane: &&Lane| !fallback && !is_late && lane.shadows(assigned, key);
            let shadowing = live.canary.as_ref().filter(to_shadow);
            shadow.keep(&rows, shadowing.map(|lane| lane.rollout));
            if !fallback && is_late {
                live.recorder.record_failure(Track::Stable, visit, Failure::Deadline);
            } else if !fallback {
                let latency_seconds = per_row(latency, &rows);
                live.recorder.record(Track::Stable, visit, latency_seconds, &probabilities);
                if let Some(lane) = shadowing {
                    shadow.offer(lane, &live.recorder, rows, &probabilities, latency_seconds);
                }
            }
            let latency = latency + lost;
            Ok(Prediction { probabilities, track: Track::Stable, latency, fallback, live })
        }
        Err(error) => {
            if !fallback {
                live.recorder.record_failure(Track::Stable, visit, error.failure);
            }
            tracing::warn!(version = live.stable.version.name, ?error, "stable failed");
            Err(PredictError::Stable(error))
        }
    }
}

/// What a request adds to the latency samples, in seconds. Per row, so that a few large requests do
/// not look like a slow model.
pub(super) fn per_row(latency: Duration, rows: &[Row<'_>]) -> f64 {
    latency.as_secs_f64() / rows.len().max(1) as f64
}

/// The rows in the order of the schema. Stable's schema stands for both: a canary with other
/// features is never deployed.
fn fit<'a>(live: &Live, rows: Vec<Features<'a>>) -> Result<Vec<Row<'a>>, PredictError> {
    let schema = live.stable.inference.model().schema();
    let count = rows.len();
    rows.into_iter()
        .enumerate()
        .map(|(row, features)| {
            schema.row(features).map_err(|cause| PredictError::Row { row, rows: count, cause })
        })
        .collect()
}

/// A version's answer within its deadline, and how long it took, both tracks measured by the same
/// two clock reads. The injected delay counts: it plays a slow model.
pub(super) async fn timed(
    loaded: &Loaded,
    clock: &dyn Clock,
    delay: Option<Duration>,
    deadline: Duration,
    rows: &[Row<'_>],
) -> (Duration, Result<Vec<f64>, InferenceError>) {
    let started = clock.steady();
    let mut left = deadline;
    if let Some(delay) = delay {
        tokio::time::sleep(delay.min(deadline)).await;
        left = deadline.saturating_sub(clock.steady().saturating_sub(started));
    }
    let outcome =
        if left.is_zero() { Err(late(deadline)) } else { loaded.inference.run(rows, left).await };
    let latency = clock.steady().saturating_sub(started);
    (latency, if latency > deadline { outcome.and(Err(late(deadline))) } else { outcome })
}

fn late(deadline: Duration) -> InferenceError {
    let detail = format!("no answer within {deadline:?}");
    InferenceError { failure: Failure::Deadline, detail }
}
