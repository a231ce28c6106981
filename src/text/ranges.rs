//! Ranges of fields, checked while serde reads them.
//!
//! ```
//! use std::time::Duration;
//!
//! use serin::text::ranges::DurationWithin;
//! use serin::text::ranges::HOUR;
//!
//! #[derive(serde::Deserialize)]
//! struct Section {
//!     #[serde(with = "DurationWithin::<0, HOUR>")]
//!     pause: Duration,
//! }
//! let section: Section = serde_json::from_str(r#"{"pause": "1m 30s"}"#)?;
//! assert_eq!(section.pause, Duration::from_secs(90));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::fmt::Display;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

use super::durations::exactly;

/// A millisecond, in microseconds.
pub const MILLISECOND: u64 = 1000;

/// A second, in microseconds.
pub const SECOND: u64 = 1000 * MILLISECOND;

/// An hour, in microseconds.
pub const HOUR: u64 = 3600 * SECOND;

/// A month, in microseconds: longer durations are typing errors.
pub const MONTH: u64 = 720 * HOUR;

/// A duration from `MIN` to `MAX` microseconds, written as `250ms` or `1h 30m`.
pub struct DurationWithin<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> DurationWithin<MIN, MAX> {
    /// Writes the duration, to the nanosecond.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&exactly(*duration))
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// When it is not a duration, or out of range.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        duration_within(&text, MIN, MAX).map_err(D::Error::custom)
    }
}

/// A duration from `min` to `max` microseconds.
///
/// # Errors
/// When the text is not a duration, or out of range.
pub fn duration_within(text: &str, min: u64, max: u64) -> Result<Duration, String> {
    let parsed: Option<Duration> =
        text.parse::<SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    let [min, max] = [min, max].map(Duration::from_micros);
    let range = format!("{} to {}", exactly(min), hours(max));
    match parsed {
        Some(duration) if (min..=max).contains(&duration) => Ok(duration),
        Some(_) => Err(format!("{text:?} is out of range; use {range}")),
        None => {
            Err(format!("{text:?} is not a duration; use {range}, for example 250ms or 1h 30m"))
        }
    }
}

/// A duration as [`DurationWithin`], or none.
pub struct OptionalDurationWithin<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> OptionalDurationWithin<MIN, MAX> {
    /// Writes the duration, if there is one.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(exactly).serialize(to)
    }

    /// Reads a duration, if there is one.
    ///
    /// # Errors
    /// See [`DurationWithin::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        struct Inner<const MIN: u64, const MAX: u64>(Duration);
        impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Inner<MIN, MAX> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                DurationWithin::<MIN, MAX>::deserialize(from).map(Inner)
            }
        }
        Ok(Option::<Inner<MIN, MAX>>::deserialize(from)?.map(|Inner(duration)| duration))
    }
}

/// A whole number from `MIN` to `MAX`.
///
/// # Errors
/// When it is another.
pub fn integer<'de, const MIN: u64, const MAX: u64, T, D>(from: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    let number = u64::deserialize(from)?;
    let in_range = Some(number).filter(|number| (MIN..=MAX).contains(number));
    let converted = in_range.and_then(|number| T::try_from(number).ok());
    converted.ok_or_else(|| out_of_range(number, format!("{MIN} to {MAX}")))
}

/// A number of samples: 2 or more, and at most what a settings file can hold.
///
/// # Errors
/// When it is out of this range.
pub fn samples<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let samples = u64::deserialize(from)?;
    other_samples(samples).map_or(Ok(samples), |allowed| Err(out_of_range(samples, allowed)))
}

/// What to use in place of this number of samples; `None` if it is allowed.
pub fn other_samples(samples: u64) -> Option<String> {
    match samples {
        0 | 1 => Some("2 or more".to_owned()),
        _ if samples > i64::MAX.unsigned_abs() => Some(format!("at most {}", i64::MAX)),
        _ => None,
    }
}

/// What to use in place of this probability or share; `None` if it is allowed.
pub fn other_share(share: f64) -> Option<&'static str> {
    (!(share > 0.0 && share < 1.0)).then_some("more than 0 and less than 1")
}

/// A probability or share: more than 0 and less than 1.
///
/// # Errors
/// When it is another number.
pub fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    other_share(share).map_or(Ok(share), |allowed| Err(out_of_range(share, allowed)))
}

/// A margin: 0 or more.
///
/// # Errors
/// When it is negative or not finite.
pub fn margin<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    number(from, |margin| margin >= 0.0 && margin.is_finite(), "0 or more")
}

fn number<'de, D: Deserializer<'de>>(
    from: D,
    fits: impl Fn(f64) -> bool,
    allowed: &str,
) -> Result<f64, D::Error> {
    let number = f64::deserialize(from)?;
    if fits(number) { Ok(number) } else { Err(out_of_range(number, allowed)) }
}

fn out_of_range<E: Error>(value: impl Display, allowed: impl Display) -> E {
    E::custom(format_args!("{value} is out of range; use {allowed}"))
}

/// A limit in hours from an hour on: `720h`, not `30d`.
fn hours(limit: Duration) -> String {
    let hour = 3600;
    match limit.as_secs() {
        seconds if seconds >= hour => format!("{}h", seconds / hour),
        _ => exactly(limit),
    }
}
