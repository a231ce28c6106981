//! A canary that gets no requests, so that nothing can be judged.

use crate::canary::Verdict;
use crate::service::status::overview::RolloutStatus;
use crate::service::status::overview::Status;

/// Seconds for which the rate of requests is measured at least, once a rollout is that old.
const RATE_SECONDS: f64 = 30.0;

/// That no request comes although the rollout is judged by requests; `None` if some do.
pub(super) fn silence(status: &Status, rollout: &RolloutStatus) -> Option<String> {
    let health = status.health.as_ref();
    let rate = health.and_then(|health| health.forecast.as_ref()).map(|it| &it.forecast);
    // Requests of users who come again are requests, too, although they bring no evidence.
    let rate = rate.map_or(0.0, |it| it.requests_per_second + it.repeated_per_second);
    let is_old = rollout.elapsed_seconds >= RATE_SECONDS;
    // The rate of a new rollout is 0 until its first tick closes.
    let has_begun = !is_old && status.tracks.stable.requests + status.tracks.canary.requests > 0;
    // By hand a person may promote on what was seen before the requests stopped.
    let is_decided =
        rollout.plan.is_none() && health.is_some_and(|it| it.verdict == Verdict::Promote);
    let is_awaited = rollout.judges_requests() && status.traffic_percent > 0.0;
    (is_awaited && rate == 0.0 && !has_begun && !is_decided).then(|| {
        let since = rollout.last_request_at.map(|last| status.at.duration_since(last).as_secs());
        let time = match (since, is_old) {
            (Some(seconds), _) => format!("No requests for {seconds} s"),
            (None, true) => format!("No requests for {RATE_SECONDS} s"),
            (None, false) => "No requests yet".to_owned(),
        };
        format!("{time}; without requests serin neither promotes nor rolls back.")
    })
}
