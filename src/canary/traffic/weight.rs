//! The canary's share of traffic, always between 0 and 100 %.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

/// A share of traffic in basis points (hundredths of a percent), 0 to 10 000.
///
/// Zero means no traffic; it never means "not set".
///
/// ```
/// use serin::canary::Weight;
/// assert_eq!(Weight::from_percent(33.3)?.basis_points(), 3330);
/// assert!(Weight::from_percent(100.1).is_err());
/// # Ok::<(), serin::canary::traffic::weight::WeightError>(())
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(try_from = "f64", into = "f64")]
#[schema(value_type = f64, minimum = 0, maximum = 100)]
pub struct Weight(u16);

impl Weight {
    /// No traffic.
    pub const ZERO: Weight = Weight(0);
    /// All traffic, in basis points.
    pub const WHOLE: u16 = 10_000;

    /// The share given in basis points; `None` above 10 000.
    pub const fn from_basis_points(basis_points: u16) -> Option<Weight> {
        if basis_points > Weight::WHOLE { None } else { Some(Weight(basis_points)) }
    }

    /// The share given in percent, to a hundredth of a percent.
    ///
    /// # Errors
    /// When `percent` is not a number from 0 to 100, or finer than 0.01 %.
    pub fn from_percent(percent: f64) -> Result<Weight, WeightError> {
        let basis_points = percent * 100.0;
        let rounded = basis_points.round();
        if !(0.0..=f64::from(Weight::WHOLE)).contains(&rounded) || !(0.0..=100.0).contains(&percent)
        {
            return Err(WeightError::OutOfRange { percent });
        }
        // The largest rounding error of the multiplication.
        if (basis_points - rounded).abs() > 1e-11 {
            return Err(WeightError::TooFine { percent });
        }
        // `rounded` is a whole number from 0 to 10 000, so the cast is exact.
        Ok(Weight(rounded as u16))
    }

    /// Whether all traffic goes to one track.
    pub fn is_certain(self) -> bool {
        self.0 == 0 || self.0 == Weight::WHOLE
    }

    /// Whether it is no traffic.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// The share in basis points, 0 to 10 000.
    pub fn basis_points(self) -> u16 {
        self.0
    }

    /// The share in percent, 0 to 100.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// The share as a fraction, 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Weight::WHOLE)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent())
    }
}

impl From<Weight> for f64 {
    fn from(weight: Weight) -> f64 {
        weight.percent()
    }
}

impl TryFrom<f64> for Weight {
    type Error = WeightError;

    fn try_from(percent: f64) -> Result<Weight, WeightError> {
        Weight::from_percent(percent)
    }
}

/// A number that is not a valid share.
#[derive(Debug, Error, PartialEq)]
pub enum WeightError {
    /// Below 0, above 100, or not a number.
    #[error("{percent} is out of range; use 0 to 100")]
    OutOfRange {
        /// The given number.
        percent: f64,
    },
    /// Finer than a basis point.
    #[error("{percent} is finer than 0.01; use at most two decimals, for example 33.33")]
    TooFine {
        /// The given number.
        percent: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_basis_points_agree() {
        for basis_points in 0..=Weight::WHOLE {
            let weight = Weight::from_basis_points(basis_points).unwrap();
            assert_eq!(Weight::from_percent(weight.percent()).unwrap(), weight);
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for percent in [-0.01, 100.01, f64::NAN, f64::INFINITY, -1e300] {
            assert!(
                matches!(Weight::from_percent(percent), Err(WeightError::OutOfRange { .. })),
                "{percent} was accepted"
            );
        }
        for percent in [1e-9, 99.999_999_999] {
            assert_eq!(Weight::from_percent(percent), Err(WeightError::TooFine { percent }));
        }
        assert_eq!(Weight::from_percent(0.005), Err(WeightError::TooFine { percent: 0.005 }));
        assert_eq!(Weight::from_basis_points(10_001), None);
    }

    #[test]
    fn zero_is_a_share() {
        assert_eq!(Weight::from_percent(0.0).unwrap(), Weight::ZERO);
        assert_eq!(Weight::from_percent(-0.0).unwrap(), Weight::ZERO);
    }
}
