//! Output of a model for one row, and what its numbers mean.
//!
//! A model names its kind of output once ([`OutputKind`]) and answers each row with numbers ([`Output`]).

use std::fmt;

use serde::Serialize;
use smallvec::SmallVec;
use smallvec::smallvec;
use utoipa::ToSchema;

use crate::text::lists::is_one_line;
use crate::text::lists::listed;

/// The most classes: the samples of each take 8 kB in each worker, and its comparison 100 kB.
pub const MAX_CLASSES: usize = 100;

/// The longest name of a class.
pub const MAX_CLASS_NAME_BYTES: usize = 64;

/// The first of these names that no class can have: empty, repeated, too long, or not on one line.
pub fn bad_class_name(names: &[String]) -> Option<&String> {
    let is_bad =
        |name: &str| name.is_empty() || name.len() > MAX_CLASS_NAME_BYTES || !is_one_line(name);
    let mut places = names.iter().enumerate();
    let found = places.find(|(place, name)| is_bad(name) || names[..*place].contains(name));
    found.map(|(_, name)| name)
}

/// What the numbers of a model's outputs mean.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "output", rename_all = "snake_case")]
pub enum OutputKind {
    /// One number, the probability of the positive class.
    Probability {
        /// The label is 1 at and above this probability.
        threshold: f64,
    },
    /// A probability for each class. They need not add up to 1: some models compare each class with all others.
    Probabilities {
        /// The names of the classes, in the order of the numbers.
        classes: Vec<String>,
    },
    /// One finite number: what a regression predicts, in the unit of its target.
    Score,
}

/// The label of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Label<'k> {
    /// 1 for the positive class of two, 0 for the other.
    Binary(u8),
    /// The class with the largest probability, the first of equal ones.
    Class(&'k str),
}

impl OutputKind {
    /// How many numbers an output has.
    pub fn numbers(&self) -> usize {
        match self {
            Self::Probability { .. } | Self::Score => 1,
            Self::Probabilities { classes } => classes.len(),
        }
    }

    /// Whether a model of this kind may answer with these numbers.
    pub fn allows(&self, output: &Output) -> bool {
        match (self, output.numbers()) {
            (Self::Probability { .. }, [probability]) => (0.0..=1.0).contains(probability),
            (Self::Probabilities { classes }, numbers) => {
                numbers.len() == classes.len() && numbers.iter().all(|p| (0.0..=1.0).contains(p))
            }
            (Self::Score, [score]) => score.is_finite(),
            (Self::Probability { .. } | Self::Score, _) => false,
        }
    }

    /// The label of an output; a score has none.
    pub fn label(&self, output: &Output) -> Option<Label<'_>> {
        match self {
            Self::Probability { threshold } => {
                Some(Label::Binary(u8::from(output.score() >= *threshold)))
            }
            Self::Probabilities { classes } => {
                classes.get(output.largest()).map(|class| Label::Class(class))
            }
            Self::Score => None,
        }
    }

    /// The probability at and above which the label is 1; `None` unless there are two classes.
    pub fn threshold(&self) -> Option<f64> {
        match self {
            Self::Probability { threshold } => Some(*threshold),
            Self::Probabilities { .. } | Self::Score => None,
        }
    }

    /// Whether an output has a label.
    pub fn has_labels(&self) -> bool {
        match self {
            Self::Probability { .. } | Self::Probabilities { .. } => true,
            Self::Score => false,
        }
    }

    /// The names of the classes, if there are more than two.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Probabilities { classes } => classes,
            Self::Probability { .. } | Self::Score => &[],
        }
    }

    /// Whether outputs of both kinds mean the same, so that they can be compared. Thresholds may differ.
    pub fn is_same_as(&self, other: &OutputKind) -> bool {
        match (self, other) {
            (Self::Probability { .. }, Self::Probability { .. }) | (Self::Score, Self::Score) => {
                true
            }
            (Self::Probabilities { classes: ours }, Self::Probabilities { classes: theirs }) => {
                ours == theirs
            }
            (Self::Probability { .. } | Self::Probabilities { .. } | Self::Score, _) => false,
        }
    }

    /// The output with its first number moved, as far as this kind allows. The probabilities of the other classes
    /// share what is left as before.
    #[must_use]
    pub fn shifted(&self, output: Output, by: f64) -> Output {
        let mut shifted = output;
        match (self, shifted.numbers.as_mut_slice()) {
            (Self::Probability { .. }, [first]) => *first = (*first + by).clamp(0.0, 1.0),
            (Self::Probabilities { .. }, [first, others @ ..]) => {
                let before = *first;
                *first = (before + by).clamp(0.0, 1.0);
                let left = (1.0 - *first) / (1.0 - before).max(f64::MIN_POSITIVE);
                others.iter_mut().for_each(|one| *one = (*one * left).clamp(0.0, 1.0));
            }
            (Self::Score, [first]) => *first += by,
            (Self::Probability { .. } | Self::Probabilities { .. } | Self::Score, _) => {}
        }
        shifted
    }
}

impl fmt::Display for OutputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probability { .. } => f.write_str("the probability of one of two classes"),
            Self::Probabilities { classes } => {
                write!(
                    f,
                    "probabilities of the classes {}",
                    listed(classes.iter().map(String::as_str))
                )
            }
            Self::Score => f.write_str("a score"),
        }
    }
}

/// The numbers that a model answers for one row. A single one costs no allocation.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct Output {
    numbers: SmallVec<[f64; 1]>,
}

impl Output {
    /// An output of one number.
    #[inline]
    pub fn of(number: f64) -> Self {
        Self { numbers: smallvec![number] }
    }

    /// An output of these numbers, one for each class.
    pub fn of_many(numbers: Vec<f64>) -> Self {
        Self { numbers: SmallVec::from_vec(numbers) }
    }

    /// The numbers.
    pub fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// The first number: the probability of the positive class, or the score.
    #[inline]
    pub fn score(&self) -> f64 {
        self.numbers.first().copied().unwrap_or(f64::NAN)
    }

    /// The place of the largest number, the first of equal ones.
    pub fn largest(&self) -> usize {
        let mut largest = 0;
        for (place, number) in self.numbers.iter().enumerate() {
            if *number > self.numbers[largest] {
                largest = place;
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: OutputKind = OutputKind::Probability { threshold: 0.5 };

    fn colors() -> OutputKind {
        let classes = ["red", "green", "blue"].map(str::to_owned);
        OutputKind::Probabilities { classes: classes.to_vec() }
    }

    #[test]
    fn a_probability_is_between_zero_and_one() {
        assert!([0.0, 0.5, 1.0].into_iter().all(|p| HALF.allows(&Output::of(p))));
        for number in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(!HALF.allows(&Output::of(number)), "{number}");
        }
    }

    #[test]
    fn a_score_is_finite_and_each_class_has_a_probability() {
        assert!([-1e300, 0.0, 7.5].into_iter().all(|it| OutputKind::Score.allows(&Output::of(it))));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!OutputKind::Score.allows(&Output::of(number)), "{number}");
        }
        assert!(colors().allows(&Output::of_many(vec![0.2, 0.3, 0.5])));
        // One against all others.
        assert!(colors().allows(&Output::of_many(vec![0.9, 0.9, 0.0])));
        for numbers in [vec![0.5, 0.5], vec![0.2, 0.3, 1.5], vec![0.2, f64::NAN, 0.5], vec![]] {
            assert!(!colors().allows(&Output::of_many(numbers.clone())), "{numbers:?}");
            assert!(!HALF.allows(&Output::of_many(numbers)));
        }
    }

    #[test]
    fn the_label_is_one_at_the_threshold_and_above() {
        let labels = [0.49, 0.5, 1.0].map(|p| HALF.label(&Output::of(p)));
        assert_eq!(labels, [0, 1, 1].map(|label| Some(Label::Binary(label))));
    }

    #[test]
    fn the_label_of_many_classes_is_the_first_of_the_largest_and_a_score_has_none() {
        let colors = colors();
        for (numbers, label) in
            [([0.2, 0.3, 0.5], "blue"), ([0.4, 0.4, 0.2], "red"), ([0.1, 0.8, 0.1], "green")]
        {
            let output = Output::of_many(numbers.to_vec());
            assert_eq!(colors.label(&output), Some(Label::Class(label)));
        }
        assert_eq!(OutputKind::Score.label(&Output::of(1.0)), None);
    }

    #[test]
    fn a_shift_moves_the_first_number_and_keeps_the_sum_of_the_classes() {
        assert_eq!(HALF.shifted(Output::of(0.25), 0.9).score(), 1.0);
        assert_eq!(OutputKind::Score.shifted(Output::of(0.25), 0.9).score(), 1.15);
        let moved = colors().shifted(Output::of_many(vec![0.2, 0.2, 0.6]), 0.4);
        let expected = [0.6, 0.1, 0.3];
        assert!(moved.numbers().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(
            colors().allows(&colors().shifted(Output::of_many(vec![1.0, 0.0, 0.0]), -0.5)),
            "a certain class"
        );
    }

    #[test]
    fn kinds_are_the_same_if_their_numbers_mean_the_same() {
        let other = OutputKind::Probabilities {
            classes: ["red", "blue", "green"].map(str::to_owned).to_vec(),
        };
        assert!(HALF.is_same_as(&OutputKind::Probability { threshold: 0.9 }));
        assert!(colors().is_same_as(&colors()));
        for (one, another) in [(colors(), other), (HALF, colors()), (HALF, OutputKind::Score)] {
            assert!(!one.is_same_as(&another) && !another.is_same_as(&one));
        }
    }
}
