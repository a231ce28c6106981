//! What does a tester get who names a track? That track's answer, and nothing of it is counted: not
//! as a sample, not by the split, not by whatever takes a canary back.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;

use super::PredictError;
use super::Prediction;
use super::Request;
use super::Standing;
use super::fit;
use crate::canary::Track;
use crate::service::clock::Clock;
use crate::service::serving::faults::Fault;
use crate::service::serving::live::Live;
use crate::service::serving::timed::timed;

/// Answers a request from the track that a tester has named, or from stable if that is the canary and
/// there is none. Whoever asks for a canary that fails gets stable's answer like everybody else.
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
    let rows = fit(&live, request.rows)?;
    let (mut fallback, mut lost) = (false, Duration::ZERO);
    // Labels of testers' requests count as little as the requests.
    let standing = Standing::Apart;
    // One that is being taken back is gone for testers, too.
    let canary = live.canary.as_ref().filter(|lane| lane.is_open());
    if let (Track::Canary, Some(lane)) = (track, canary) {
        let fault = lane.fault(&request.segments);
        let (latency, outcome) = timed(&lane.loaded, clock, fault, lane.deadline, &rows).await;
        match outcome {
            Ok(probabilities) => {
                return Ok(Prediction { probabilities, track, latency, fallback, standing, live });
            }
            Err(_) => (fallback, lost) = (true, latency),
        }
    }
    let (latency, outcome) = timed(&live.stable, clock, Fault::NONE, stable_deadline, &rows).await;
    let probabilities = outcome.map_err(PredictError::Stable)?;
    let latency = latency + lost;
    Ok(Prediction { probabilities, track: Track::Stable, latency, fallback, standing, live })
}
