//! Values of flags: percentages, durations and ranges.

use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;

use crate::text::ranges::MONTH;
use crate::text::ranges::duration_within;

/// A percentage such as `5%` as a share.
///
/// # Errors
/// Names the flag, its value, and what is allowed.
pub fn percentage(flag: &str, text: &str, max: f64) -> anyhow::Result<f64> {
    text.trim()
        .strip_suffix('%')
        .and_then(|number| number.trim().parse::<f64>().ok())
        .filter(|percent| (0.0..=max).contains(percent))
        .map(|percent| percent / 100.0)
        .with_context(|| {
            format!("--{flag}: {text:?} is not a percentage; use 0% to {max}%, for example 1%")
        })
}

/// A duration such as `1h 30m`, at most a month.
///
/// # Errors
/// Names the flag, its value, and what is allowed.
pub fn duration(flag: &str, text: &str) -> anyhow::Result<Duration> {
    duration_within(text, 0, MONTH).map_err(|message| anyhow!("--{flag}: {message}"))
}

/// A finite number, as JSON requires.
///
/// # Errors
/// When it is not finite.
pub fn finite(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "not a finite number".to_owned())
}

/// The value of a flag, if it is in range.
///
/// # Errors
/// Names the flag, its value, and what is allowed.
pub fn in_range<T>(flag: &str, value: T, low: T, high: T) -> anyhow::Result<T>
where
    T: PartialOrd + std::fmt::Display,
{
    // Written so that NaN is out of range.
    if !(value >= low && value <= high) {
        bail!("--{flag}: {value} is out of range; use {low} to {high}");
    }
    Ok(value)
}
