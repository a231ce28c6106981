//! The values of one track.

use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use crate::stats::MAX_MAGNITUDE;
use crate::stats::Points;
use crate::stats::is_recordable;

/// The values of one track, and how many were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    points: Points,
    measured: u64,
}

/// If all values are smaller, their squares vanish, and with them the variance.
const MIN_MAGNITUDE: f64 = 1.0 / MAX_MAGNITUDE;

/// A value that no test can use.
#[derive(Debug, Error, PartialEq)]
#[error(
    "value {position} is {value:e}; use finite numbers of at most {MAX_MAGNITUDE:e} in absolute value, and at \
     least one of {MIN_MAGNITUDE:e} unless all are 0"
)]
pub struct ValueError {
    /// The position of the value, counted from 1.
    pub position: usize,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A sample of exactly these values, in any order.
    ///
    /// # Errors
    /// When a value is not finite or too large to be squared, or all are too small.
    pub fn of(values: &[f64]) -> Result<Sample, ValueError> {
        Sample::drawn(values, values.len() as u64)
    }

    /// A random sample of `measured` values.
    ///
    /// # Errors
    /// When a value is not finite or too large to be squared, or all are too small.
    pub fn drawn(values: &[f64], measured: u64) -> Result<Sample, ValueError> {
        if let Some(index) = values.iter().position(|value| !is_recordable(*value)) {
            return Err(ValueError { position: index + 1, value: values[index] });
        }
        let largest = values.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
        if let Some(value) = largest.filter(|value| *value != 0.0 && value.abs() < MIN_MAGNITUDE) {
            let position = values.iter().position(|one| *one == value).map_or(1, |index| index + 1);
            return Err(ValueError { position, value });
        }
        Ok(Sample {
            points: Points::from_samples(values),
            measured: measured.max(values.len() as u64),
        })
    }

    /// The distinct values with their counts.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// How many values were measured; more than there are when they are a random sample.
    pub fn measured(&self) -> u64 {
        self.measured
    }

    /// How many values are 1, if all of them are 0 or 1.
    pub(super) fn ones(&self) -> Option<u64> {
        match self.points.as_slice() {
            [(0.0, _)] => Some(0),
            [(1.0, ones)] | [(0.0, _), (1.0, ones)] => Some(*ones),
            _ => None,
        }
    }
}

/// Values of each track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SampleCounts {
    /// Values of the stable version.
    pub baseline: u64,
    /// Values of the canary.
    pub canary: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_whose_squares_vanish_are_refused_like_those_whose_squares_overflow() {
        let error = Sample::of(&[1e-165, 3e-165, 0.0]).unwrap_err();
        assert_eq!(error.position, 2);
        assert!(
            error.to_string().contains("3e-165") && error.to_string().contains("1e-144"),
            "{error}"
        );
        assert!(Sample::of(&[1e-165, 3e-140, 0.0]).is_ok());
        assert!(Sample::of(&[0.0, 0.0]).is_ok());
    }

    #[test]
    fn values_that_are_not_numbers_are_refused_by_position() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e145] {
            let error = Sample::of(&[0.1, 0.2, value]).unwrap_err();
            assert_eq!(error.position, 3);
            assert!(error.to_string().contains("1e144"), "{error}");
        }
    }

    #[test]
    fn only_zeros_and_ones_are_rates() {
        let ones = |values: &[f64]| Sample::of(values).unwrap().ones();
        assert_eq!(ones(&[0.0, 1.0, 1.0]), Some(2));
        assert_eq!(ones(&[0.0, -0.0]), Some(0));
        assert_eq!(ones(&[1.0]), Some(1));
        for values in [&[][..], &[0.0, 0.5], &[0.0, 1.0, 2.0], &[2.0], &[-1.0, 1.0]] {
            assert_eq!(ones(values), None, "{values:?}");
        }
    }
}
