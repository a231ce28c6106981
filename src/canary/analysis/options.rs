//! Options of a two-sample analysis.

use thiserror::Error;

use crate::stats::MAX_MAGNITUDE;
use crate::stats::Margin;

/// When a difference decides. [`AnalysisOptions::checked`] keeps every field in its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnalysisOptions {
    pub(super) p_threshold: f64,
    pub(super) effect_threshold: f64,
    pub(super) min_samples: u64,
    pub(super) higher_is_better: bool,
    pub(super) margin: Option<Margin>,
}

/// The options a user gave; the others keep their defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnalysisOverrides {
    /// A smaller p-value is significant. Default 0.05.
    pub p_threshold: Option<f64>,
    /// The smallest |Cohen's d| that matters. Default 0.2, by convention a small effect.
    pub effect_threshold: Option<f64>,
    /// Values that each track needs. Default 30.
    pub min_samples: Option<u64>,
    /// Whether a larger value is better. Default true, as for a score; false for a latency.
    pub higher_is_better: Option<bool>,
    /// How much worse the canary's mean may be. With a margin the non-inferiority test decides;
    /// without one, a significant difference of at least `effect_threshold`.
    pub margin: Option<Margin>,
}

impl AnalysisOptions {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// When an option is out of its range, or when both `margin` and `effect_threshold` are given.
    pub fn checked(given: AnalysisOverrides) -> Result<AnalysisOptions, OptionError> {
        let default = AnalysisOptions::default();
        let options = AnalysisOptions {
            p_threshold: given.p_threshold.unwrap_or(default.p_threshold),
            effect_threshold: given.effect_threshold.unwrap_or(default.effect_threshold),
            min_samples: given.min_samples.unwrap_or(default.min_samples),
            higher_is_better: given.higher_is_better.unwrap_or(default.higher_is_better),
            margin: given.margin,
        };
        let AnalysisOptions { p_threshold, effect_threshold, min_samples, margin, .. } = options;
        check_p_threshold(p_threshold)?;
        if !(effect_threshold >= 0.0 && effect_threshold.is_finite()) {
            let allowed = "0 or more, for example 0.2";
            return Err(OptionError::range("effect_threshold", effect_threshold, allowed));
        }
        if min_samples < 2 {
            let allowed = "2 or more, for example 30 (a variance needs two values)";
            return Err(OptionError::range("min_samples", min_samples, allowed));
        }
        let Some(margin) = margin else { return Ok(options) };
        let is_possible = (0.0..1.0).contains(&margin.relative)
            && (0.0..=MAX_MAGNITUDE).contains(&margin.absolute);
        if !is_possible {
            return Err(OptionError::margin(&margin_text(margin)));
        }
        match given.effect_threshold {
            Some(_) => Err(OptionError::MarginAndEffect),
            None => Ok(options),
        }
    }
}

impl Default for AnalysisOptions {
    fn default() -> AnalysisOptions {
        AnalysisOptions {
            p_threshold: 0.05,
            effect_threshold: 0.2,
            min_samples: 30,
            higher_is_better: true,
            margin: None,
        }
    }
}

/// # Errors
/// When the threshold is not between 0 and 1.
pub(super) fn check_p_threshold(p_threshold: f64) -> Result<(), OptionError> {
    if p_threshold > 0.0 && p_threshold < 1.0 {
        return Ok(());
    }
    let allowed = "more than 0 and less than 1, for example 0.05";
    Err(OptionError::range("p_threshold", p_threshold, allowed))
}

/// A margin as users write it: `5%` of the baseline's mean, or `3` in the unit of the values.
///
/// # Errors
/// When it is not a number.
pub fn parsed_margin(text: &str) -> Result<Margin, OptionError> {
    let parsed = |number: &str| number.trim().parse::<f64>().map_err(|_| OptionError::margin(text));
    match text.trim().strip_suffix('%') {
        Some(percentage) => Ok(Margin::relative(parsed(percentage)? / 100.0)),
        None => Ok(Margin::absolute(parsed(text)?)),
    }
}

/// The inverse of [`parsed_margin`].
pub fn margin_text(margin: Margin) -> String {
    if margin.relative == 0.0 {
        return margin.absolute.to_string();
    }
    // 0.07 * 100 is 7.000000000000001.
    format!("{}%", (margin.relative * 1e14).round() / 1e12)
}

/// An option that cannot be used.
#[derive(Debug, Error, PartialEq)]
pub enum OptionError {
    /// A value outside the option's range.
    #[error("{field}: {value} is out of range; use {allowed}")]
    OutOfRange {
        /// The option.
        field: &'static str,
        /// The value given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two rules for one decision.
    #[error(
        "margin and effect_threshold are both given; use margin to show that the canary is not \
         worse, or effect_threshold to look for a difference"
    )]
    MarginAndEffect,
}

impl OptionError {
    pub(super) fn range(
        field: &'static str,
        value: impl std::fmt::Display,
        allowed: &'static str,
    ) -> OptionError {
        OptionError::OutOfRange { field, value: value.to_string(), allowed }
    }

    fn margin(value: &str) -> OptionError {
        let allowed = "0 or more in the unit of the values, for example 3, or a share of the \
                       baseline's mean below 100%, for example 5%";
        OptionError::OutOfRange { field: "margin", value: value.to_owned(), allowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_read_and_written_alike() {
        for (text, margin) in [
            ("5%", Margin::relative(0.05)),
            ("7%", Margin::relative(0.07)),
            ("0.5%", Margin::relative(0.005)),
            ("3", Margin::absolute(3.0)),
            ("0", Margin::absolute(0.0)),
            ("1e-3", Margin::absolute(0.001)),
        ] {
            assert_eq!(parsed_margin(text), Ok(margin), "{text}");
            assert_eq!(parsed_margin(&margin_text(margin)), Ok(margin), "{text}");
        }
        for text in ["", "%", "5 percent", "a%"] {
            let error = parsed_margin(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("margin: {text} is out of range; use")), "{error}");
        }
    }

    #[test]
    fn options_out_of_range_are_named() {
        let none = AnalysisOverrides::default();
        let p = |p_threshold| AnalysisOverrides { p_threshold: Some(p_threshold), ..none };
        let effect = |threshold| AnalysisOverrides { effect_threshold: Some(threshold), ..none };
        let samples = |min_samples| AnalysisOverrides { min_samples: Some(min_samples), ..none };
        let margin = |margin| AnalysisOverrides { margin: Some(margin), ..none };
        for (given, named) in [
            (p(0.0), "p_threshold: 0 is out of range"),
            (p(1.0), "p_threshold: 1 is"),
            (p(-0.1), "p_threshold: -0.1 is"),
            (p(f64::NAN), "p_threshold: NaN is"),
            (effect(-0.1), "effect_threshold: -0.1 is"),
            (effect(f64::INFINITY), "effect_threshold: inf is"),
            (samples(1), "min_samples: 1 is"),
            (samples(0), "min_samples: 0 is"),
            (margin(Margin::absolute(-1.0)), "margin: -1 is"),
            (margin(Margin::absolute(f64::NAN)), "margin: NaN is"),
            (margin(Margin::relative(1.0)), "margin: 100% is"),
        ] {
            let error = AnalysisOptions::checked(given).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("; use "), "{error}");
        }
        let both =
            AnalysisOverrides { effect_threshold: Some(0.2), ..margin(Margin::relative(0.1)) };
        assert_eq!(AnalysisOptions::checked(both), Err(OptionError::MarginAndEffect));
        assert_eq!(AnalysisOptions::checked(none), Ok(AnalysisOptions::default()));
    }
}
