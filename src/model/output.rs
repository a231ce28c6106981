//! Output of a model for one row, and what its numbers mean.
//!
//! A model names its kind of output once ([`OutputKind`]) and answers each row with numbers
//! ([`Output`]). The canary reads every kind through [`Output::score`]: the score metric, label flips,
//! shadow pairs and prediction ids see one number a row, whatever else an output carries.

/// What the numbers of a model's outputs mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputKind {
    /// One number, the probability of the positive class.
    Probability {
        /// The label is 1 at and above this probability.
        threshold: f64,
    },
}

impl OutputKind {
    /// The names of an output's numbers, in order.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Probability { .. } => &["probability"],
        }
    }

    /// Whether a model of this kind may answer with these numbers.
    pub fn allows(self, output: Output) -> bool {
        match self {
            Self::Probability { .. } => (0.0..=1.0).contains(&output.score()),
        }
    }

    /// The label of an output: 1 for the positive class, 0 for the other.
    pub fn label(self, output: Output) -> u8 {
        u8::from(output.score() >= self.threshold())
    }

    /// The score at and above which the label is 1.
    pub fn threshold(self) -> f64 {
        match self {
            Self::Probability { threshold } => threshold,
        }
    }

    /// The output with its score moved, as far as this kind allows.
    #[must_use]
    pub fn shifted(self, output: Output, by: f64) -> Output {
        match self {
            Self::Probability { .. } => Output::of((output.score() + by).clamp(0.0, 1.0)),
        }
    }
}

/// The numbers a model answers for one row, as many as its kind has names. One number costs no
/// allocation.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Output {
    number: f64,
}

impl Output {
    /// An output of one number.
    pub const fn of(number: f64) -> Self {
        Self { number }
    }

    /// The numbers, in the order of [`OutputKind::names`].
    pub fn numbers(&self) -> &[f64] {
        std::slice::from_ref(&self.number)
    }

    /// The number that the canary compares.
    pub const fn score(self) -> f64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: OutputKind = OutputKind::Probability { threshold: 0.5 };

    #[test]
    fn a_probability_is_between_zero_and_one() {
        assert!([0.0, 0.5, 1.0].into_iter().all(|p| HALF.allows(Output::of(p))));
        for number in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(!HALF.allows(Output::of(number)), "{number}");
        }
    }

    #[test]
    fn the_label_is_one_at_the_threshold_and_above() {
        assert_eq!([0.49, 0.5, 1.0].map(|p| HALF.label(Output::of(p))), [0, 1, 1]);
    }

    #[test]
    fn an_output_has_a_number_for_each_name() {
        let output = Output::of(0.25);
        assert_eq!(output.numbers(), [0.25]);
        assert_eq!(output.numbers().len(), HALF.names().len());
        assert_eq!(HALF.shifted(output, 0.9).score(), 1.0);
    }
}
