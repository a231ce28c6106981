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

/// The time that is left, to two units, rounded up to a second.
///
/// ```
/// use std::time::Duration;
/// use serin::text::durations::remaining;
/// assert_eq!(remaining(Duration::from_millis(499_001)), "8 min 20 s");
/// assert_eq!(remaining(Duration::from_secs(7200)), "2 h");
/// assert_eq!(remaining(Duration::from_secs(180_000)), "2 days 2 h");
/// ```
pub fn remaining(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let day = if seconds / 86_400 == 1 { "day" } else { "days" };
    let parts = [
        (seconds / 86_400, day),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let largest = parts.iter().position(|(number, _)| *number > 0).unwrap_or(parts.len() - 1);
    let shown = parts.iter().skip(largest).take(2).enumerate();
    let shown = shown.filter(|(place, (number, _))| *place == 0 || *number > 0);
    shown.map(|(_, (number, unit))| format!("{number} {unit}")).collect::<Vec<_>>().join(" ")
}

/// A duration as a setting takes it, to the nanosecond.
pub fn exactly(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}
