//! Durations as text: how they are read and written.

use std::time::Duration;

use jiff::SignedDuration;
use thiserror::Error;

/// Upper limit of every duration in a setting or request, a month: longer ones are typing errors.
pub const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 3600);

/// A duration as people write it: `250ms`, `1h 30m`.
///
/// # Errors
/// When the text is not a duration, or is not within 0s to 720h.
pub fn parsed_duration(field: &'static str, text: &str) -> Result<Duration, DurationError> {
    let parsed: Option<Duration> =
        text.parse::<SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    parsed
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| DurationError { field, text: text.to_owned() })
}

/// A text that is not a duration.
#[derive(Debug, Error, PartialEq)]
#[error("{field}: {text:?} is not a duration; use 0s to 720h, for example 250ms or 1h 30m")]
pub struct DurationError {
    field: &'static str,
    text: String,
}

/// A measured duration: three significant digits in the unit that suits them.
///
/// ```
/// use serin::text::durations::duration;
/// assert_eq!(duration(0.013_048), "13.0 ms");
/// assert_eq!(duration(-2.47e-7), "-247 ns");
/// ```
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        s if s >= 0.9995 => (seconds, "s"),
        s if s >= 0.999_5e-3 => (seconds * 1e3, "ms"),
        s if s >= 0.999_5e-6 => (seconds * 1e6, "µs"),
        _ => (seconds * 1e9, "ns"),
    };
    let decimals = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    if value == 0.0 { "0 ns".to_owned() } else { format!("{value:.decimals$} {unit}") }
}

/// A duration for a message: whole seconds, rounded up, above one second.
pub fn words(duration: Duration) -> String {
    if duration.as_secs() >= 1 && duration.subsec_nanos() > 0 {
        exactly(Duration::from_secs(duration.as_secs() + 1))
    } else {
        exactly(duration)
    }
}

/// A duration as a setting takes it, to the nanosecond.
pub fn exactly(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}
