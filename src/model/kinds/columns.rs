//! Columns of a pipeline: from the values of a row to the numbers that its model takes.
//!
//! A program of steps over slots. The first slots are the row; each step appends one or more; at the end the
//! model's columns are gathered. All arithmetic is `f64`, in the order of scikit-learn's.

use crate::model::kinds::ensemble::WrongLength;
use crate::model::kinds::limits::MAX_FEATURES;
use crate::model::kinds::refusal::Reading;
use crate::model::kinds::refusal::Refusal;

/// A step. `from` is the slot it reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `(x - center) / scale`: StandardScaler, RobustScaler, MaxAbsScaler.
    Scale {
        /// Slot.
        from: usize,
        /// What is subtracted.
        center: f64,
        /// What it is divided by.
        scale: f64,
    },
    /// `x * factor + offset`, clipped to a range: MinMaxScaler.
    Stretch {
        /// Slot.
        from: usize,
        /// What it is multiplied by.
        factor: f64,
        /// What is added.
        offset: f64,
        /// The lowest and the highest value.
        clip: Option<(f64, f64)>,
    },
    /// A missing value becomes `value`: SimpleImputer.
    Fill {
        /// Slot.
        from: usize,
        /// The replacement.
        value: f64,
    },
    /// 1 for a missing value, 0 otherwise: MissingIndicator.
    IsMissing {
        /// Slot.
        from: usize,
    },
    /// A category becomes a number: OrdinalEncoder.
    Ordinal {
        /// Slot.
        from: usize,
        /// The numbers.
        lookup: Lookup,
    },
    /// A category becomes `width` numbers, one of them 1 or all 0: OneHotEncoder.
    OneHot {
        /// Slot.
        from: usize,
        /// The place of the 1; NaN for none.
        lookup: Lookup,
        /// How many slots are appended.
        width: usize,
    },
}

/// From a category to a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup {
    /// Categories that are numbers, ascending in a checked program. `None`: the value is a position already.
    pub levels: Option<Vec<f64>>,
    /// The number of each category.
    pub targets: Vec<f64>,
    /// The number of a missing value.
    pub missing: f64,
    /// The number of all other values.
    pub unknown: f64,
}

impl Lookup {
    /// Puts the categories in ascending order, each once with its first number.
    fn sort(&mut self) {
        let Some(levels) = &mut self.levels else { return };
        let pairs = levels.iter().map(|level| level + 0.0).zip(self.targets.iter().copied());
        let mut pairs: Vec<(f64, f64)> = pairs.collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        pairs.dedup_by(|later, first| later.0 == first.0);
        (*levels, self.targets) = pairs.into_iter().unzip();
    }

    fn number(&self, x: f64) -> f64 {
        if x.is_nan() {
            return self.missing;
        }
        let position = match &self.levels {
            None if x < 0.0 => None,
            None => Some(x as usize),
            // -0.0 is 0.0.
            Some(levels) => levels.binary_search_by(|level| level.total_cmp(&(x + 0.0))).ok(),
        };
        position.and_then(|at| self.targets.get(at)).copied().unwrap_or(self.unknown)
    }
}

/// A checked program.
#[derive(Clone, Debug)]
pub struct Columns {
    inputs: usize,
    slots: usize,
    steps: Vec<Step>,
    outputs: Vec<usize>,
}

impl Columns {
    /// Checks that every step reads a slot that exists by then.
    ///
    /// # Errors
    ///
    /// [`Refusal`] names the step.
    pub fn new(inputs: usize, mut steps: Vec<Step>, outputs: Vec<usize>) -> Reading<Self> {
        for step in &mut steps {
            if let Step::Ordinal { lookup, .. } | Step::OneHot { lookup, .. } = step {
                lookup.sort();
            }
        }
        let mut slots = inputs;
        for (index, step) in steps.iter().enumerate() {
            if step.from() >= slots {
                let problem = format!("step {index} reads column {} of {slots}", step.from());
                return Err(Refusal::new("columns", problem));
            }
            slots = slots.saturating_add(step.width());
        }
        if slots > MAX_FEATURES || outputs.len() > MAX_FEATURES {
            let problem = format!("more than {MAX_FEATURES} of them");
            return Err(Refusal::new("columns", problem));
        }
        match outputs.iter().find(|slot| **slot >= slots) {
            Some(slot) => Err(Refusal::new("columns", format!("column {slot} of {slots} is used"))),
            None => Ok(Self { inputs, slots, steps, outputs }),
        }
    }

    /// For each number that the model gets, the input that it is made of.
    pub fn origins(&self) -> Vec<usize> {
        let mut origins: Vec<usize> = (0..self.inputs).collect();
        for step in &self.steps {
            let origin = origins.get(step.from()).copied().unwrap_or_default();
            origins.extend(std::iter::repeat_n(origin, step.width()));
        }
        self.outputs.iter().map(|slot| origins.get(*slot).copied().unwrap_or_default()).collect()
    }

    /// How many numbers the model gets.
    pub fn width(&self) -> usize {
        self.outputs.len()
    }

    /// What a row costs, in splits of trees: a step one, a number that is moved a quarter.
    pub fn cost(&self) -> usize {
        self.steps.len() + self.room() / 4
    }

    /// How many numbers the work space of a row needs.
    pub fn room(&self) -> usize {
        self.slots + self.outputs.len()
    }

    /// The model's numbers for a row, in work space that is kept from row to row.
    ///
    /// # Errors
    ///
    /// [`WrongLength`], if the row has another length.
    pub fn run<'s>(
        &self,
        row: &[f64],
        scratch: &'s mut Vec<f64>,
    ) -> Result<&'s [f64], WrongLength> {
        if row.len() != self.inputs {
            let (found, expected) = (row.len(), self.inputs);
            return Err(WrongLength { what: "row", found, expected });
        }
        scratch.clear();
        scratch.extend_from_slice(row);
        for step in &self.steps {
            step.run(scratch);
        }
        for slot in &self.outputs {
            scratch.push(scratch.get(*slot).copied().unwrap_or(f64::NAN));
        }
        Ok(scratch.get(self.slots..).unwrap_or_default())
    }
}

impl Step {
    fn from(&self) -> usize {
        match self {
            Self::Scale { from, .. } | Self::Stretch { from, .. } | Self::Fill { from, .. } => {
                *from
            }
            Self::IsMissing { from } => *from,
            Self::Ordinal { from, .. } | Self::OneHot { from, .. } => *from,
        }
    }

    /// How many slots it appends.
    pub fn width(&self) -> usize {
        match self {
            Self::OneHot { width, .. } => *width,
            _ => 1,
        }
    }

    fn run(&self, slots: &mut Vec<f64>) {
        let x = slots.get(self.from()).copied().unwrap_or(f64::NAN);
        let value = match self {
            Self::Scale { center, scale, .. } => (x - center) / scale,
            Self::Stretch { factor, offset, clip, .. } => {
                let value = x * factor + offset;
                match clip {
                    // Comparisons leave NaN as it is.
                    Some((low, _)) if value < *low => *low,
                    Some((_, high)) if value > *high => *high,
                    _ => value,
                }
            }
            Self::Fill { value, .. } if x.is_nan() => *value,
            Self::Fill { .. } => x,
            Self::IsMissing { .. } => f64::from(u8::from(x.is_nan())),
            Self::Ordinal { lookup, .. } => lookup.number(x),
            Self::OneHot { lookup, width, .. } => {
                let place = lookup.number(x);
                let start = slots.len();
                slots.resize(start + width, 0.0);
                if let Some(slot) = slots
                    .get_mut(start..)
                    .and_then(|new| if place >= 0.0 { new.get_mut(place as usize) } else { None })
                {
                    *slot = 1.0;
                }
                return;
            }
        };
        slots.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_that_are_numbers_are_found_in_any_order_and_zero_has_no_sign() {
        let lookup = Lookup {
            levels: Some(vec![3.0, -0.0, 1.5, 3.0]),
            targets: vec![0.0, 1.0, 2.0, 9.0],
            missing: -1.0,
            unknown: -2.0,
        };
        let columns = Columns::new(1, vec![Step::Ordinal { from: 0, lookup }], vec![1]).unwrap();
        let cases =
            [(3.0, 0.0), (0.0, 1.0), (-0.0, 1.0), (1.5, 2.0), (2.0, -2.0), (f64::NAN, -1.0)];
        for (x, expected) in cases {
            assert_eq!(columns.run(&[x], &mut Vec::new()).unwrap(), [expected], "{x}");
        }
        assert_eq!(columns.cost(), 1);
    }
}
