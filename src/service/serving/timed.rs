//! Timed inference: both tracks are measured by the same two clock reads.

use std::time::Duration;

use super::faults::Fault;
use super::inference::InferenceError;
use super::inference::Outputs;
use super::live::Loaded;
use crate::canary::observed::samples::Failure;
use crate::model::Row;
use crate::service::clock::Clock;

/// The latency and the outcome.
pub(crate) type Timed = (Duration, Result<Outputs, InferenceError>);

/// Runs a version within its deadline and measures it. An injected delay counts: it simulates a slow model.
pub(crate) async fn timed(
    loaded: &Loaded,
    clock: &dyn Clock,
    fault: Fault,
    deadline: Duration,
    rows: &[Row<'_>],
) -> Timed {
    let started = clock.steady();
    let outcome = if fault.is_none()
        && let Some(outcome) = loaded.inference.at_once(rows)
    {
        outcome
    } else {
        // Boxed, so that a request that does not wait does not carry the state of waiting.
        Box::pin(waited_for(loaded, clock, fault, deadline, rows)).await
    };
    let latency = clock.steady().saturating_sub(started);
    (latency, if latency > deadline { outcome.and(Err(late(deadline))) } else { outcome })
}

/// The answer of a version with a fault, or of one that runs on its own threads.
async fn waited_for(
    loaded: &Loaded,
    clock: &dyn Clock,
    fault: Fault,
    deadline: Duration,
    rows: &[Row<'_>],
) -> Result<Outputs, InferenceError> {
    let started = clock.steady();
    let mut left = deadline;
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay.min(deadline)).await;
        left = deadline.saturating_sub(clock.steady().saturating_sub(started));
    }
    if left.is_zero() {
        return Err(late(deadline));
    }
    if fault.fails {
        let detail = "an error that was injected on purpose";
        return Err(InferenceError::failed(Failure::Error, detail));
    }
    let kind = loaded.inference.model().output();
    loaded.inference.run(rows, left).await.map(|outputs| fault.shifted(kind, outputs))
}

/// What a request adds to the latency samples, in seconds. Per row, so that a few large requests do
/// not look like a slow model.
pub(crate) fn per_row(latency: Duration, rows: &[Row<'_>]) -> f64 {
    latency.as_secs_f64() / rows.len().max(1) as f64
}

fn late(deadline: Duration) -> InferenceError {
    InferenceError::failed(Failure::Deadline, format!("no answer within {deadline:?}"))
}
