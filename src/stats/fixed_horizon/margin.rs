//! Margins: which difference is harm, and how much of it is accepted.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// The direction in which a difference is harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Larger values: latency, errors.
    Higher,
    /// Smaller values: accuracy, a conversion.
    Lower,
    /// Any change of the distribution: prediction scores.
    Either,
}

impl Harm {
    /// The signs of the differences, canary minus stable, that are harm.
    pub(crate) fn directions(self) -> &'static [f64] {
        match self {
            Harm::Higher => &[1.0],
            Harm::Lower => &[-1.0],
            Harm::Either => &[1.0, -1.0],
        }
    }
}

/// How much worse still counts as not worse: `value (1 + relative) + absolute`.
///
/// The direction of harm gives the sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Margin {
    /// As a share of stable's value: 0.1 allows 10 %.
    pub relative: f64,
    /// In the unit of the values.
    pub absolute: f64,
}

impl Margin {
    /// A margin relative to stable's value.
    pub const fn relative(relative: f64) -> Self {
        Self { relative, absolute: 0.0 }
    }

    /// A margin in the unit of the values.
    pub const fn absolute(absolute: f64) -> Self {
        Self { relative: 0.0, absolute }
    }

    /// The margin where its relative part counts standard deviations: the larger of both parts.
    pub fn of_spread(&self, deviation: f64) -> f64 {
        self.absolute.max(self.relative * deviation)
    }

    /// The canary's value without the margin, to compare with stable's values. The margin is subtracted
    /// from the canary, because functions are measured on stable's scale: added to stable, it could lift
    /// all values above that scale and hide any harm.
    ///
    /// A negative part counts as 0.
    pub(crate) fn unshift(&self, value: f64, sign: f64) -> f64 {
        let less = value - sign * self.absolute.max(0.0);
        let grows = if less >= 0.0 { sign } else { -sign };
        less / (1.0 + grows * self.relative.max(0.0)).max(f64::EPSILON)
    }
}
