//! Predictions for testers, who choose the track. They count neither as samples nor for split and breaker.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;

use super::Attribution;
use super::PredictError;
use super::Prediction;
use super::Request;
use super::fit;
use crate::canary::Track;
use crate::service::clock::Clock;
use crate::service::serving::faults::Fault;
use crate::service::serving::inference::InferenceError;
use crate::service::serving::live::Live;
use crate::service::serving::timed::timed;

/// Answers a request from the named track; from stable if there is no canary, or if the canary fails.
///
/// # Errors
/// As [`predict`](super::predict).
pub async fn predict_on(
    track: Track,
    live: Guard<Arc<Live>>,
    clock: &dyn Clock,
    stable_deadline: Duration,
    request: Request<'_>,
) -> Result<Prediction, PredictError> {
    let rows = fit(&live, request.rows, false)?;
    let (mut fallback, mut lost) = (false, Duration::ZERO);
    // Labels of testers' requests do not count either.
    let attribution = Attribution::Excluded;
    // A canary that is being rolled back does not answer testers either.
    let canary = live.canary.as_ref().filter(|canary_slot| canary_slot.is_open());
    if let (Track::Canary, Some(canary_slot)) = (track, canary) {
        let fault = canary_slot.fault(&request.segments);
        let (latency, outcome) = match live.intake.of_canary(&rows) {
            Some(rows) => {
                timed(&canary_slot.loaded, clock, fault, canary_slot.deadline, &rows).await
            }
            None => (Duration::ZERO, Err(InferenceError::Overloaded)),
        };
        match outcome {
            Ok(outputs) => {
                return Ok(Prediction { outputs, track, latency, fallback, attribution, live });
            }
            Err(_) => (fallback, lost) = (true, latency),
        }
    }
    let (latency, outcome) = {
        let rows = live.intake.of_stable(&rows);
        timed(&live.stable, clock, Fault::NONE, stable_deadline, &rows).await
    };
    let outputs = outcome?;
    let latency = latency + lost;
    Ok(Prediction { outputs, track: Track::Stable, latency, fallback, attribution, live })
}
