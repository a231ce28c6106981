//! The class that the probability of an imported file belongs to, and the one that the user names.
//!
//! A file of two classes gives the probability of the second. A target whose positive value is the first would turn
//! every label around, so it is refused.

use super::error::ImportingError;
use crate::model::artifact::card::Target;
use crate::model::kinds::parsed::Answer;
use crate::model::kinds::parsed::Parsed;
use crate::text::lists::quoted;

/// Checks the value of the target against the classes of the file, where it names two.
pub(super) fn check(target: Option<&Target>, parsed: &Parsed) -> Result<(), ImportingError> {
    let (Some(target), [first, second]) = (target, parsed.classes.as_slice()) else {
        return Ok(());
    };
    match parsed.answer {
        Answer::Probability => names_second(target.positive.trim(), first, second),
        _ => Ok(()),
    }
}

fn names_second(positive: &str, first: &str, second: &str) -> Result<(), ImportingError> {
    if is_same(positive, second) {
        return Ok(());
    }
    // A target that was encoded as 0 and 1 before the training may have any words in the data.
    let is_encoded = number(first) == Some(0.0) && number(second) == Some(1.0);
    if is_encoded && number(positive).is_none() {
        return Ok(());
    }
    let is_first = is_same(positive, first);
    let (positive, first, second) = (quoted(positive), quoted(first), quoted(second));
    Err(match is_first {
        true => ImportingError::FirstClass { positive, second },
        false => ImportingError::NoClass { positive, first, second },
    })
}

fn is_same(positive: &str, class: &str) -> bool {
    positive == class.trim() || number(positive).is_some() && number(positive) == number(class)
}

/// The number that a class is: also that of a flag.
fn number(text: &str) -> Option<f64> {
    match text.trim() {
        "false" | "False" => Some(0.0),
        "true" | "True" => Some(1.0),
        text => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_are_numbers_are_compared_as_numbers() {
        assert!(names_second("2", "1.0", "2.0").is_ok());
        let first = names_second("1", "1.0", "2.0");
        assert!(matches!(first, Err(ImportingError::FirstClass { .. })), "{first:?}");
        let neither = names_second("3", "1.0", "2.0");
        assert!(matches!(neither, Err(ImportingError::NoClass { .. })), "{neither:?}");
    }
}
