//! One prediction: assign, infer, record, and never let the user feel the canary.

mod tester;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use thiserror::Error;

use super::clock::Clock;
use super::inference::InferenceError;
use super::injector::Fault;
use super::live::Lane;
use super::live::Live;
use super::live::Loaded;
use super::segments::InSegments;
use super::segments::Named;
use super::shadow::Shadow;
use super::visits::Visit;
use crate::canary::Track;
use crate::canary::Weight;
use crate::canary::prediction_id::Standing;
use crate::canary::signals::Failure;
use crate::model::Features;
use crate::model::Row;
use crate::model::RowError;

pub use tester::predict_on;

/// What is asked: one row or many, and for whom.
pub struct Request<'a> {
    /// The rows, in the order they are to be answered.
    pub rows: Vec<Features<'a>>,
    /// Whoever has the same key gets the same track.
    pub key: Option<Cow<'a, str>>,
    /// The segments it is in.
    pub segments: Named<'a>,
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
    /// What its label would be good for.
    pub standing: Standing,
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

    /// The rollout that drew its track, the step, and the canary's share then; rollout 0 for none.
    pub fn drawn_in(&self) -> (u64, u32, Weight) {
        let lane = self.live.canary.as_ref();
        lane.map_or((0, 0, Weight::ZERO), |lane| (lane.rollout, lane.step, lane.split.weight()))
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
    let segments = match &live.canary {
        Some(lane) if !request.segments.is_empty() => lane.segments.find(&request.segments),
        Some(_) | None => InSegments::default(),
    };
    let mut fallback = false;
    let mut lost = Duration::ZERO;
    let key = request.key.as_deref();
    let assigned = live.assign(key);
    let (track, visit) = (assigned.track, assigned.visit);
    let mut standing = standing(&live, visit);
    if let (Track::Canary, Some(lane)) = (track, &live.canary) {
        let (latency, outcome) = if lane.admits(|| clock.steady()) {
            timed(&lane.loaded, clock, lane.fault(&request.segments), lane.deadline, &rows).await
        } else {
            (Duration::ZERO, Err(not_asked()))
        };
        match outcome {
            Ok(probabilities) => {
                let latency_seconds = per_row(latency, &rows);
                live.recorder.record(Track::Canary, visit, latency_seconds, &probabilities);
                let answer = (latency_seconds, &probabilities[..]);
                record_in(&live, &segments, Track::Canary, visit, answer);
                lane.answered(latency_seconds);
                shadow.keep(&rows, None);
                let track = Track::Canary;
                return Ok(Prediction { probabilities, track, latency, fallback, standing, live });
            }
            Err(error) => {
                live.recorder.record_failure(Track::Canary, visit, error.failure);
                // A burst of one segment may have opened the breaker: the others have nothing to do with it.
                if error.failure != Failure::BreakerOpen {
                    live.recorder.record_failure_in(&segments, Track::Canary, visit);
                }
                lane.failed(error.failure, || clock.steady());
                tracing::debug!(version = lane.loaded.version.name, ?error, "the canary failed");
                (fallback, lost, standing) = (true, latency, Standing::Apart);
            }
        }
    }
    // A request that was the canary's does not become a sample of stable: the two tracks are
    // comparable only as the split has drawn them.
    let (latency, outcome) = timed(&live.stable, clock, Fault::NONE, stable_deadline, &rows).await;
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
                live.recorder.record_failure_in(&segments, Track::Stable, visit);
                // The canary's label would have been nobody's, so this is, too.
                standing = Standing::Apart;
            } else if !fallback {
                let latency_seconds = per_row(latency, &rows);
                live.recorder.record(Track::Stable, visit, latency_seconds, &probabilities);
                let answer = (latency_seconds, &probabilities[..]);
                record_in(&live, &segments, Track::Stable, visit, answer);
                if let Some(lane) = shadowing {
                    let fault = lane.fault(&request.segments);
                    let answer = (&probabilities[..], latency_seconds);
                    shadow.offer(lane, &live.recorder, rows, answer, fault);
                }
            }
            let latency = latency + lost;
            let track = Track::Stable;
            Ok(Prediction { probabilities, track, latency, fallback, standing, live })
        }
        Err(error) => {
            if !fallback {
                live.recorder.record_failure(Track::Stable, visit, error.failure);
                live.recorder.record_failure_in(&segments, Track::Stable, visit);
            }
            tracing::warn!(version = live.stable.version.name, ?error, "stable failed");
            Err(PredictError::Stable(error))
        }
    }
}

/// Counts an answer in its segments, if it is in any: its seconds a row, and its predictions if a policy says
/// that they act.
fn record_in(
    live: &Live,
    segments: &InSegments,
    track: Track,
    visit: Visit,
    (latency_seconds, probabilities): (f64, &[f64]),
) {
    if segments.is_empty() {
        return;
    }
    let scores = match &live.canary {
        Some(lane) if lane.segments.scores => probabilities,
        Some(_) | None => &[],
    };
    live.recorder.record_in(segments, track, visit, latency_seconds, scores);
}

/// What a label of this request would be good for, if whoever is asked answers.
fn standing(live: &Live, visit: Visit) -> Standing {
    match (&live.canary, visit) {
        (None, _) => Standing::Apart,
        (Some(lane), _) if !lane.is_open() => Standing::Apart,
        (Some(_), Visit::First) => Standing::Judged,
        (Some(_), Visit::Repeated) => Standing::Shown,
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
/// two clock reads. An injected delay counts: it plays a slow model.
pub(super) async fn timed(
    loaded: &Loaded,
    clock: &dyn Clock,
    fault: Fault,
    deadline: Duration,
    rows: &[Row<'_>],
) -> (Duration, Result<Vec<f64>, InferenceError>) {
    let started = clock.steady();
    let mut left = deadline;
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay.min(deadline)).await;
        left = deadline.saturating_sub(clock.steady().saturating_sub(started));
    }
    let outcome = if left.is_zero() {
        Err(late(deadline))
    } else if fault.fails {
        let detail = "an error that was injected on purpose".to_owned();
        Err(InferenceError { failure: Failure::Error, detail })
    } else {
        loaded.inference.run(rows, left).await.map(|probabilities| fault.shifted(probabilities))
    };
    let latency = clock.steady().saturating_sub(started);
    (latency, if latency > deadline { outcome.and(Err(late(deadline))) } else { outcome })
}

fn not_asked() -> InferenceError {
    let detail = "it had failed too often in a row".to_owned();
    InferenceError { failure: Failure::BreakerOpen, detail }
}

fn late(deadline: Duration) -> InferenceError {
    let detail = format!("no answer within {deadline:?}");
    InferenceError { failure: Failure::Deadline, detail }
}
