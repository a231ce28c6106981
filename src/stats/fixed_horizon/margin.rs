//! Margins: which difference is harm, and how much of it is accepted.

use serde::Deserialize;
use serde::Serialize;

/// Which difference of the canary's is harm?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Larger values: latency, errors.
    Higher,
    /// Smaller values: accuracy, a conversion.
    Lower,
    /// Any change of the distribution: prediction scores.
    Either,
}

/// How much worse still counts as not worse: `value (1 + relative) + absolute`.
///
/// The direction of harm gives the sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Margin {
    /// As a share of stable's value: 0.1 allows 10 %.
    pub relative: f64,
    /// In the unit of the values.
    pub absolute: f64,
}

impl Margin {
    /// A share of stable's value and nothing else.
    pub const fn relative(relative: f64) -> Self {
        Self { relative, absolute: 0.0 }
    }

    /// An amount in the unit of the values and nothing else.
    pub const fn absolute(absolute: f64) -> Self {
        Self { relative: 0.0, absolute }
    }

    /// The value of stable's that a value of the canary's may be compared with: what is granted is
    /// taken off the canary's, because the functions are measured on stable's scale. Put onto
    /// stable's it could lift all of its values above that scale, and hide any harm.
    ///
    /// A negative part grants nothing.
    pub(crate) fn unshift(&self, value: f64, sign: f64) -> f64 {
        let less = value - sign * self.absolute.max(0.0);
        let grows = if less >= 0.0 { sign } else { -sign };
        less / (1.0 + grows * self.relative.max(0.0)).max(f64::EPSILON)
    }
}
