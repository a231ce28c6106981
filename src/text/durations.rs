//! Durations as text.

use std::time::Duration;

use jiff::SignedDuration;

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
