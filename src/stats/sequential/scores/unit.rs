//! Unit of scores of any size: the spread of stable's first values.

use serde::Deserialize;
use serde::Serialize;

use crate::stats::fixed_horizon::margin::Margin;
use crate::stats::sequential::shift_monitor::ShiftMargins;

/// From this many values of stable on the unit is fixed: its spread is known to about 10 % then.
const MIN_VALUES: f64 = 50.0;

/// How many standard deviations from 0 to 1. Bets see values within four of stable's mean; those beyond count as four.
const DEVIATIONS: f64 = 8.0;

/// The resolution of the buckets of [`Layout::Any`](crate::stats::Layout::Any), as a share of a value.
const RESOLUTION: f64 = 1.0 / 64.0;

/// The spread of values that do not vary at all, as a share of their mean: one row that is sent again and again does
/// not tell how far two models may differ on it.
const WITHOUT_SPREAD: f64 = 0.2;

/// Scores of any size as numbers from 0 to 1.
///
/// ```text
/// u = 1/2 + (x - m) / (8 s), within 0 to 1      m, s = mean and standard deviation of stable's first 50 values
/// ```
///
/// `s` is at least the resolution of the buckets, 1/64 of the mean; without any variation it is a fifth of the mean.
/// Once fixed the unit stays, so that the bets of all ticks see the same numbers. It comes from earlier ticks than the
/// values it is used for. A wrong guess costs power, not validity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    count: f64,
    mean: f64,
    squares: f64,
    fixed: Option<Fixed>,
}

/// A unit that is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    center: f64,
    /// The least standard deviation that counts.
    floor: f64,
    /// The length of the range from 0 to 1.
    width: f64,
}

impl Unit {
    /// Takes in values of stable, and fixes the unit as soon as there are enough.
    pub fn learn(&mut self, stable: &[(f64, u64)]) {
        if self.fixed.is_some() {
            return;
        }
        for &(value, count) in stable.iter().filter(|(value, _)| value.is_finite()) {
            let count = count as f64;
            self.count += count;
            let before = value - self.mean;
            self.mean += before * (count / self.count);
            self.squares += count * before * (value - self.mean);
        }
        if self.count >= MIN_VALUES {
            let deviation = (self.squares / self.count).sqrt();
            let share = if deviation > 0.0 { RESOLUTION } else { WITHOUT_SPREAD };
            let floor = share * self.mean.abs();
            let width = (DEVIATIONS * deviation.max(floor)).max(f64::MIN_POSITIVE);
            let is_usable = width.is_finite() && self.mean.is_finite();
            self.fixed = is_usable.then_some(Fixed { center: self.mean, floor, width });
        }
    }

    /// The unit; `None` before stable's first fifty values.
    pub fn fixed(&self) -> Option<Fixed> {
        self.fixed
    }
}

impl Fixed {
    /// These scores from 0 to 1.
    pub fn scores(&self, values: &[(f64, u64)]) -> Vec<(f64, u64)> {
        let map = |x: f64| (0.5 + (x - self.center) / self.width).clamp(0.0, 1.0);
        mapped(values, map)
    }

    /// These differences of scores from -1 to 1.
    pub fn differences(&self, values: &[(f64, u64)]) -> Vec<(f64, u64)> {
        mapped(values, |d| (d / self.width).clamp(-1.0, 1.0))
    }

    /// Margins in this unit. A relative part counts at least the smallest spread that counts.
    pub fn margins(&self, margins: ShiftMargins) -> ShiftMargins {
        let of = |margin: Margin| Margin {
            relative: margin.relative,
            absolute: margin.absolute.max(margin.relative * self.floor) / self.width,
        };
        let ShiftMargins { harmful, tolerated, accepted } = margins;
        ShiftMargins { harmful: of(harmful), tolerated: of(tolerated), accepted: of(accepted) }
    }

    /// A length in the unit of the scores.
    pub fn length(&self, of: f64) -> f64 {
        of * self.width
    }

    /// A standard deviation in the unit of the scores, and at least the smallest one that counts.
    pub fn spread(&self, of: f64) -> f64 {
        self.length(of).max(self.floor)
    }
}

fn mapped(values: &[(f64, u64)], map: impl Fn(f64) -> f64) -> Vec<(f64, u64)> {
    let finite = values.iter().filter(|(value, _)| value.is_finite());
    finite.map(|(value, count)| (map(*value), *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(values: &[(f64, u64)]) -> Fixed {
        let mut unit = Unit::default();
        unit.learn(values);
        unit.fixed().unwrap()
    }

    #[test]
    fn the_unit_is_fixed_with_fifty_values_and_stays() {
        let mut unit = Unit::default();
        unit.learn(&[(90.0, 20), (110.0, 29)]);
        assert_eq!(unit.fixed(), None);
        unit.learn(&[(f64::NAN, 7), (90.0, 9)]);
        let first = unit.fixed().unwrap();
        unit.learn(&[(1e9, 1000)]);
        assert_eq!(unit.fixed(), Some(first));
        assert!((first.width - 80.0).abs() < 1.0, "{first:?}");
        assert_eq!(
            first.scores(&[(first.center, 3), (1e300, 1), (-1e300, 1)]),
            [(0.5, 3), (1.0, 1), (0.0, 1)]
        );
        assert_eq!(first.differences(&[(first.width, 1), (-1e300, 2)]), [(1.0, 1), (-1.0, 2)]);
    }

    #[test]
    fn values_without_a_spread_have_a_share_of_their_mean() {
        let constant = fixed(&[(50.0, 100)]);
        assert!((constant.spread(0.0) - 10.0).abs() < 1e-9);
        // Within a bucket: mean 2000, standard deviation 10.
        let coarse = fixed(&[(1990.0, 50), (2010.0, 50)]);
        assert!((coarse.spread(0.0) - 31.25).abs() < 1e-9);
        let zero = fixed(&[(0.0, 100)]);
        assert_eq!(zero.scores(&[(0.0, 1), (1e-9, 1), (-1e-9, 1)]), [(0.5, 1), (1.0, 1), (0.0, 1)]);
        let margin = Margin { relative: 0.5, absolute: 0.0 };
        let margins = ShiftMargins { harmful: margin, tolerated: margin, accepted: margin };
        // Half of ten, of a range of eighty.
        assert!((constant.margins(margins).harmful.absolute - 5.0 / 80.0).abs() < 1e-12);
    }
}
