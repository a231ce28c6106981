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
    let positive = target.positive.trim();
    if parsed.answer != Answer::Probability || is_same(positive, second) {
        return Ok(());
    }
    // A target that was encoded as 0 and 1 before the training may have any words in the data.
    let is_encoded = number(first) == Some(0.0) && number(second) == Some(1.0);
    if is_encoded && number(positive).is_none() {
        return Ok(());
    }
    let (positive, first, second) = (quoted(positive), quoted(first), quoted(second));
    Err(match positive == first || (is_encoded && number(target.positive.trim()) == Some(0.0)) {
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
