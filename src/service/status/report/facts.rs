//! Figures about the traffic, each with its label.

use crate::service::status::overview::Status;
use crate::text::numbers::grouped;
use crate::text::numbers::number;
use crate::text::numbers::two_digits;

/// The measured share, and the rate of requests.
pub fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let (stable, canary) = (status.tracks.stable.requests, status.tracks.canary.requests);
    let all = stable + canary;
    if status.canary.is_some() && status.traffic_percent > 0.0 {
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
    facts
}
