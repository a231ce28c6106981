//! Which word was meant? What is unknown is named with the nearest word that is known.

use crate::text::lists::did_you_mean;

/// A message of a parser with a suggestion, if it complains of an unknown field or word.
///
/// ```
/// use serin::http::reading::suggestion::explained;
/// let said = "unknown field `mim_samples`, expected one of `look`, `min_samples`";
/// let more = "unknown field `mim_samples` (did you mean `min_samples`?), expected one of `look`, `min_samples`";
/// assert_eq!(explained(said), more);
/// ```
pub fn explained(message: &str) -> String {
    let Some((word, rest)) = unknown(message) else { return without_our_names(message) };
    // The list ends with its line; every second piece stands between backticks.
    let list = rest.lines().next().unwrap_or_default();
    let meant = did_you_mean(word, list.split('`').skip(1).step_by(2));
    format!("{}{meant}{rest}", &message[..message.len() - rest.len()])
}

/// Names of types say nothing to whoever sent something else.
fn without_our_names(message: &str) -> String {
    match message.split_once("expected struct ") {
        Some((before, after)) => {
            let name = |c: char| c.is_alphanumeric() || c == '_';
            format!("{before}expected an object of named fields{}", after.trim_start_matches(name))
        }
        None => message.to_owned(),
    }
}

/// The word that a parser does not know, and what it says after it.
pub fn unknown(message: &str) -> Option<(&str, &str)> {
    let begins = ["unknown field `", "unknown variant `"];
    let (_, after) = begins.iter().find_map(|begin| message.split_once(begin))?;
    let end = ["`, expected ", "` (did you mean `"].iter().find_map(|end| after.find(end))?;
    Some((&after[..end], &after[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_complains_of_something_else_is_quoted_as_it_is() {
        for message in [
            "unknown field `x`, there are no fields",
            "invalid type: string \"two\", expected usize",
            "unknown field `elephant`, expected `a` or `b`",
            "unknown field `",
            "",
        ] {
            assert_eq!(explained(message), message);
        }
        let null = "invalid type: null, expected struct GivenPlan at line 1 column 4";
        let said = "invalid type: null, expected an object of named fields at line 1 column 4";
        assert_eq!(explained(null), said);
        let two = "unknown variant `automtic`, expected `manual` or `automatic` at line 1 column 9";
        assert!(explained(two).contains("(did you mean `automatic`?), expected `manual` or"));
    }
}
