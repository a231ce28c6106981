//! One prediction: assign a track, run the model, record the outcome. Stable answers if the canary fails.

pub mod explained;
mod tester;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use thiserror::Error;

use super::faults::Fault;
use super::inference::InferenceError;
use super::inference::Outputs;
use super::inference::means;
use super::inference::scores;
use super::intake::Fitted;
use super::live::Assigned;
use super::live::CanarySlot;
use super::live::Live;
use super::live::Loaded;
use super::segment_slots::InSegments;
use super::segment_slots::Named;
use super::shadow::queue::Shadow;
use crate::canary::Track;
use crate::canary::Weight;
use crate::canary::observed::groups::Group;
use crate::canary::observed::outputs::Means;
use crate::canary::observed::samples::Failure;
use crate::canary::observed::visits::Cell;
use crate::canary::traffic::prediction_id::Attribution;
use crate::model::Features;
use crate::model::Output;
use crate::model::OutputKind;
use crate::model::Row;
use crate::model::RowError;
use crate::service::clock::Clock;
use crate::service::log_limit::LogLimit;

use super::timed::Timed;
use super::timed::per_row;
use super::timed::timed;
use super::totals::FallbackReason;
pub use tester::predict_on;

/// A prediction request: one row or many.
pub struct Request<'a> {
    /// The rows, in the order of the answer.
    pub rows: Vec<Features<'a>>,
    /// Requests with the same key get the same track.
    pub key: Option<Cow<'a, str>>,
    /// Its segments.
    pub segments: Named<'a>,
    /// A positive number that the client knows beforehand and that latency may depend on, such as an expected size.
    pub covariate: Option<f64>,
}

/// The answer to a request.
pub struct Prediction {
    /// The model's output for each row.
    pub outputs: Outputs,
    /// The track that answered.
    pub track: Track,
    /// From the start of the inference to its answer; with a fallback, from the canary's start.
    pub latency: Duration,
    /// Whether stable answered because the canary failed.
    pub fallback: bool,
    /// What its label counts for.
    pub attribution: Attribution,
    /// Kept instead of a clone of the version: workers that count references to the same version would
    /// contend for its cache line.
    live: Guard<Arc<Live>>,
}

impl Prediction {
    /// The version that answered.
    pub fn answered_by(&self) -> &Loaded {
        match (self.track, &self.live.canary) {
            (Track::Canary, Some(canary_slot)) => &canary_slot.loaded,
            (Track::Canary, None) | (Track::Stable, _) => &self.live.stable,
        }
    }

    /// The rollout that drew its track, the step, and the canary's share then; rollout 0 for none.
    pub fn drawn_in(&self) -> (u64, u32, Weight) {
        let canary_slot = self.live.canary.as_ref();
        canary_slot.map_or((0, 0, Weight::ZERO), |canary_slot| {
            (canary_slot.rollout, canary_slot.step, canary_slot.split.weight())
        })
    }
}

/// Why a prediction fails.
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
    /// The stable model failed, and no other one can answer.
    #[error("the stable model {0}; the failure is counted, try again")]
    Stable(Failure),
    /// Other requests kept the inference threads occupied.
    #[error("the server is overloaded: no inference thread became free in time; try again")]
    Overloaded,
}

impl From<InferenceError> for PredictError {
    /// Why stable did not answer.
    fn from(error: InferenceError) -> PredictError {
        match error {
            InferenceError::Failed { failure, .. } => PredictError::Stable(failure),
            InferenceError::Overloaded => PredictError::Overloaded,
        }
    }
}

/// Anyone can send requests, so neither a failing model nor an overloaded one must fill the log.
static STABLE_FAILED: LogLimit = LogLimit::new();
static OVERLOADED: LogLimit = LogLimit::new();

fn position(row: usize, rows: usize) -> String {
    if rows > 1 { format!("instance {row}: ") } else { String::new() }
}

/// Answers a request from this `Live`.
///
/// # Errors
/// When a row does not fit the model, or stable itself fails. A failure of the canary is not an error: it is
/// counted, and stable answers.
pub async fn predict(
    live: Guard<Arc<Live>>,
    clock: &dyn Clock,
    stable_deadline: Duration,
    shadow: &Shadow,
    request: Request<'_>,
) -> Result<Prediction, PredictError> {
    let Request { rows, key, segments: named, covariate } = request;
    let rows = fit(&live, rows, true)?;
    let mut in_flight = InFlight::new(&live, key.as_deref(), &named, (rows.len(), covariate));
    // Before any answer, so that no failure and no client that gives up is missing on one track.
    live.inputs.offer(in_flight.assigned.tally(), &rows);
    if let Some(canary_slot) = in_flight.canary_slot() {
        let outcome = match live.intake.of_canary(&rows) {
            Some(rows) if canary_slot.admits(|| clock.steady()) => {
                let (fault, deadline) = (canary_slot.fault(&named), canary_slot.deadline);
                timed(&canary_slot.loaded, clock, fault, deadline, &rows).await
            }
            Some(_) => (Duration::ZERO, Err(breaker_open())),
            // The request exceeds a limit of the server, so the canary has not failed.
            None => (Duration::ZERO, Err(InferenceError::Overloaded)),
        };
        if let Some(answer) = in_flight.record_canary(canary_slot, outcome, clock, &rows) {
            shadow.keep(&rows, live.intake.layout(), None);
            return Ok(answer.of(live));
        }
    }
    let outcome = {
        let rows = live.intake.of_stable(&rows);
        timed(&live.stable, clock, Fault::NONE, stable_deadline, &rows).await
    };
    let (answer, shadowing) = in_flight.record_stable(outcome, stable_deadline, clock, &rows)?;
    shadow.keep(&rows, live.intake.layout(), shadowing.map(|canary_slot| canary_slot.rollout));
    if let Some(canary_slot) = shadowing {
        let stable = (&answer.outputs[..], per_row(answer.latency, &rows));
        let fault = canary_slot.fault(&named);
        shadow.offer(canary_slot, &live.recorder, (rows, live.intake.layout()), stable, fault);
    }
    Ok(answer.of(live))
}

/// A request under way: its assignment and its outcome so far.
struct InFlight<'a> {
    live: &'a Live,
    key: Option<&'a str>,
    segments: InSegments,
    group: Group,
    assigned: Assigned,
    /// How long the canary took to fail, which is zero if it was not called, and why stable answers instead; `None` if it
    /// has not failed.
    lost: Option<(Duration, FallbackReason)>,
}

/// A prediction without the `Live` it was made from.
struct Answer {
    outputs: Outputs,
    track: Track,
    latency: Duration,
    fallback: bool,
    attribution: Attribution,
}

impl Answer {
    fn of(self, live: Guard<Arc<Live>>) -> Prediction {
        let Answer { outputs, track, latency, fallback, attribution } = self;
        Prediction { outputs, track, latency, fallback, attribution, live }
    }
}

impl<'a> InFlight<'a> {
    fn new(
        live: &'a Live,
        key: Option<&'a str>,
        named: &Named<'_>,
        (rows, covariate): (usize, Option<f64>),
    ) -> InFlight<'a> {
        let segments = match &live.canary {
            Some(canary_slot) if !named.is_empty() => canary_slot.segments.find(named),
            Some(_) | None => InSegments::default(),
        };
        let group = match &live.canary {
            Some(_) => Group::of(rows, covariate, segments.iter().min()),
            None => Group::default(),
        };
        InFlight { live, key, segments, group, assigned: live.assign(key), lost: None }
    }

    /// The canary's slot, if the request is assigned to the canary.
    fn canary_slot(&self) -> Option<&'a CanarySlot> {
        self.live.canary.as_ref().filter(|_| self.assigned.track == Track::Canary)
    }

    /// Records the canary's outcome; `None` if it failed, and stable has to answer.
    fn record_canary(
        &mut self,
        canary_slot: &CanarySlot,
        (latency, outcome): Timed,
        clock: &dyn Clock,
        rows: &[Row<'_>],
    ) -> Option<Answer> {
        match outcome {
            Ok(outputs) => {
                let latency_seconds = per_row(latency, rows);
                self.record(Track::Canary, latency_seconds, &outputs);
                canary_slot.answered(latency_seconds);
                let (track, attribution) = (Track::Canary, self.assigned.attribution);
                Some(Answer { outputs, track, latency, fallback: false, attribution })
            }
            Err(error) => {
                let key_use = self.assigned.key_use;
                let mut reason = FallbackReason::Overloaded;
                if let InferenceError::Failed { failure, .. } = error {
                    reason = FallbackReason::Failed(failure);
                    self.live.recorder.record_failure(Track::Canary, key_use, failure);
                    self.record_visit(Track::Canary, Cell::record_failure);
                    // One segment's failures may have opened the breaker; they say nothing about others.
                    if failure != Failure::BreakerOpen {
                        let recorder = &self.live.recorder;
                        recorder.record_failure_in(&self.segments, Track::Canary, key_use);
                    }
                    canary_slot.failed(failure, || clock.steady());
                }
                tracing::debug!(
                    version = canary_slot.loaded.version.name,
                    ?error,
                    "the canary failed"
                );
                self.lost = Some((latency, reason));
                None
            }
        }
    }

    /// Records stable's outcome. Also returns the slot of the canary that gets the same request in shadow.
    ///
    /// A request assigned to the canary does not become a sample of stable: the tracks are comparable only
    /// as the split has drawn them.
    fn record_stable(
        &self,
        (latency, outcome): Timed,
        stable_deadline: Duration,
        clock: &dyn Clock,
        rows: &[Row<'_>],
    ) -> Result<(Answer, Option<&'a CanarySlot>), PredictError> {
        let fallback = self.lost.is_some();
        let canary_slot = self.live.canary.as_ref();
        let outputs = match outcome {
            Ok(outputs) => outputs,
            Err(error) => {
                self.log_failed_stable(&error, clock);
                match error {
                    InferenceError::Failed { failure, .. } => {
                        if !fallback {
                            self.record_failure(failure);
                        }
                        if let Some(canary_slot) = canary_slot {
                            canary_slot.stable_failed();
                        }
                    }
                    InferenceError::Overloaded => self.live.recorder.record_overload(),
                }
                return Err(error.into());
            }
        };
        // Both tracks are measured alike: what would be too late for the canary counts as late for
        // stable, although the user gets the answer.
        let is_late =
            latency > canary_slot.map_or(stable_deadline, |canary_slot| canary_slot.deadline);
        // A late answer of the canary has no label, so a late one of stable has none either.
        let attribution =
            if fallback || is_late { Attribution::Excluded } else { self.assigned.attribution };
        let latency_seconds = per_row(latency, rows);
        if !fallback && is_late {
            self.record_failure(Failure::Deadline);
        } else if !fallback {
            self.record(Track::Stable, latency_seconds, &outputs);
        }
        // The breaker compares the versions as they are now, so it counts fallbacks too.
        match canary_slot {
            Some(canary_slot) if is_late => canary_slot.stable_failed(),
            Some(canary_slot) => canary_slot.stable_answered(latency_seconds),
            None => {}
        }
        let in_shadow = |canary_slot: &&CanarySlot| {
            !fallback && !is_late && canary_slot.shadows(self.assigned, self.key, &self.live.homes)
        };
        let shadowing = canary_slot.filter(in_shadow);
        let mut latency = latency;
        if let Some((lost, reason)) = self.lost {
            self.live.recorder.record_fallback(reason);
            latency += lost;
        }
        let answer = Answer { outputs, track: Track::Stable, latency, fallback, attribution };
        Ok((answer, shadowing))
    }

    fn log_failed_stable(&self, error: &InferenceError, clock: &dyn Clock) {
        let version = &self.live.stable.version.name;
        match error {
            InferenceError::Failed { .. } => {
                if let Some(count) = STABLE_FAILED.due(clock.steady()) {
                    tracing::warn!(version, ?error, count, "stable failed");
                }
            }
            InferenceError::Overloaded => {
                if let Some(count) = OVERLOADED.due(clock.steady()) {
                    tracing::warn!(version, count, "overloaded: {error}");
                }
            }
        }
    }

    /// What the version of a track answers.
    fn kind(&self, track: Track) -> &OutputKind {
        match (track, &self.live.canary) {
            (Track::Canary, Some(canary_slot)) => canary_slot.loaded.inference.model().output(),
            (Track::Canary, None) | (Track::Stable, _) => {
                self.live.stable.inference.model().output()
            }
        }
    }

    /// Counts an answer, and in its segments. Scores count by segment only if a policy judges them.
    fn record(&self, track: Track, latency_seconds: f64, outputs: &[Output]) {
        let scores = scores(self.kind(track), outputs);
        let (recorder, key_use) = (&self.live.recorder, self.assigned.key_use);
        let to = (track, self.group);
        match self.kind(track) {
            OutputKind::Probability { .. } => {
                recorder.record(to, key_use, latency_seconds, &scores);
            }
            OutputKind::Probabilities { .. } => {
                let means = Means::Probabilities(&means(outputs));
                recorder.record_means(to, key_use, latency_seconds, means);
            }
            OutputKind::Score => {
                let mean = means(outputs).first().copied().unwrap_or_default();
                recorder.record_means(to, key_use, latency_seconds, Means::Score(mean));
            }
        }
        self.record_visit(track, |cell| {
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            cell.record(latency_seconds, Some(mean).filter(|_| !scores.is_empty()));
        });
        if self.segments.is_empty() {
            return;
        }
        let scores: &[f64] = match &self.live.canary {
            Some(canary_slot) if canary_slot.segments.scores => &scores,
            Some(_) | None => &[],
        };
        recorder.record_in(&self.segments, track, key_use, latency_seconds, scores);
    }

    /// Counts a failure of stable.
    fn record_failure(&self, failure: Failure) {
        let (recorder, key_use) = (&self.live.recorder, self.assigned.key_use);
        recorder.record_failure(Track::Stable, key_use, failure);
        recorder.record_failure_in(&self.segments, Track::Stable, key_use);
        self.record_visit(Track::Stable, Cell::record_failure);
    }

    /// Counts a visit of the key, if the request has one.
    fn record_visit(&self, track: Track, count: impl FnOnce(&mut Cell)) {
        self.live.recorder.record_visit(track, self.assigned.cell, count);
    }
}

/// The rows as both versions can read them.
fn fit<'a>(
    live: &Live,
    rows: Vec<Features<'a>>,
    is_counted: bool,
) -> Result<Fitted<'a>, PredictError> {
    let count = rows.len();
    let fitted = live.intake.rows(rows, is_counted);
    fitted.map_err(|(row, cause)| PredictError::Row { row, rows: count, cause })
}

fn breaker_open() -> InferenceError {
    InferenceError::failed(Failure::BreakerOpen, "the circuit breaker is open")
}
