//! Figures about the traffic, each with its label.

use std::time::Duration;

use crate::service::status::overview::FleetStatus;
use crate::service::status::overview::Status;
use crate::text::durations::words;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::two_digits;

/// The measured share, and the rate of requests.
pub fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let (stable, canary) = (status.tracks.stable.requests, status.tracks.canary.requests);
    let all = stable + canary;
    if status.share_now() > 0.0 {
        let measured = match all {
            0 => "no requests at this step".to_owned(),
            _ => {
                let share = 100.0 * canary as f64 / all as f64;
                format!("{share:.1} % ({} of {})", grouped(canary), grouped(all))
            }
        };
        facts.push(("Measured", measured));
    }
    let forecast = status.health.as_ref().and_then(|health| health.forecast.as_ref());
    if let Some(rate) = forecast.map(|forecast| forecast.forecast.requests_per_second) {
        let rate = two_digits(rate);
        let rate = if rate < 100.0 { number(rate) } else { grouped(rate as u64) };
        facts.push(("Rate", format!("{rate} requests/s")));
    }
    if let Some(fleet) = &status.fleet {
        facts.push(("Replicas", replicas(fleet)));
    }
    facts
}

/// How many there are, who decides, and who is missing.
fn replicas(fleet: &FleetStatus) -> String {
    let (up, missing): (Vec<_>, Vec<_>) = fleet.replicas.iter().partition(|it| it.is_up);
    let leader = up.iter().find(|it| it.leads);
    let leader = match leader {
        Some(leader) => format!("{} decides", leader.name),
        None => "none decides at this moment".to_owned(),
    };
    let missing = missing.iter().map(|it| {
        let silent = Duration::from_secs_f64(it.silent_seconds.clamp(0.0, 1e6).round());
        format!("{} has reported nothing for {}", it.name, words(silent))
    });
    let all: Vec<String> = std::iter::once(leader).chain(missing).collect();
    format!("{} ({})", up.len(), all.join("; "))
}
