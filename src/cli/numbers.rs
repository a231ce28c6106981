//! Which numbers may a flag hold?

use anyhow::Context;
use anyhow::bail;

/// A percentage as people write it, with its sign, as a share.
///
/// # Errors
/// Names the flag, its value, and what is allowed.
pub fn percentage(flag: &str, text: &str, most: f64) -> anyhow::Result<f64> {
    text.trim()
        .strip_suffix('%')
        .and_then(|number| number.trim().parse::<f64>().ok())
        .filter(|percent| (0.0..=most).contains(percent))
        .map(|percent| percent / 100.0)
        .with_context(|| {
            format!("--{flag} = {text:?} is no percentage; give one from 0% to {most}%, like 1%")
        })
}

/// A number that JSON can carry.
///
/// # Errors
/// When it is none.
pub fn finite(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "it is no number".to_owned())
}

/// The value of a flag, if it is allowed.
///
/// # Errors
/// Names the flag, its value, and what is allowed.
pub fn in_range<T>(flag: &str, value: T, low: T, high: T) -> anyhow::Result<T>
where
    T: PartialOrd + std::fmt::Display,
{
    // Written so that NaN is out of range.
    if !(value >= low && value <= high) {
        bail!("--{flag} = {value} is out of range; give {low} to {high}");
    }
    Ok(value)
}
