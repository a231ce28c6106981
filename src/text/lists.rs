//! Names, values and lists in messages.
//!
//! Input from clients and files is shortened and escaped, so that a message stays one readable line.

use strsim::osa_distance;

/// Maximum quotation, in characters: enough to recognize a value, too little to fill a log.
const QUOTED_CHARACTERS: usize = 40;

/// Maximum number of names before "and N more".
const LISTED_NAMES: usize = 30;

/// Maximum length of a name that gets a suggestion: the distance costs the product of both lengths.
const SUGGESTED_BYTES: usize = 64;

/// The text in backticks, control characters escaped, cut after 40 characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String =
        text.chars().take(QUOTED_CHARACTERS).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARACTERS).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The text on one line: control characters, and those that change its direction, are spaces.
pub fn one_line(text: &str) -> String {
    text.chars().map(|one| if is_hidden(one) { ' ' } else { one }).collect()
}

/// A list as a sentence has it: `a`, `a and b`, `a, b and c`.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Digits of a digest that tell artifacts apart.
const SHORT_DIGEST: usize = 12;

/// The beginning of a digest, for people.
pub fn short_digest(digest: &str) -> &str {
    digest.get(..SHORT_DIGEST).unwrap_or(digest)
}

/// Whether a text stays on one line and shows what it contains: no control characters, no line
/// separators, nothing that changes the writing direction.
pub fn is_one_line(text: &str) -> bool {
    !text.chars().any(is_hidden)
}

/// Whether a character ends a line, moves the cursor, or changes the direction of the text.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

/// The names in backticks, separated by commas, at most thirty of them.
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<String> = names.by_ref().take(LISTED_NAMES).map(quoted).collect();
    let rest = names.count();
    if rest > 0 {
        shown.push(format!("and {rest} more"));
    }
    shown.join(", ")
}

/// What other servers call a field, and what serin does.
const SYNONYMS: [(&str, &str); 8] = [
    ("label", "outcome"),
    ("actual", "outcome"),
    ("target", "outcome"),
    ("id", "prediction_id"),
    ("model", "model_path"),
    ("weight", "traffic_percent"),
    ("inputs", "instances"),
    ("user", "key"),
];

/// " (did you mean `x`?)" if the name looks like a typo of a candidate or has its meaning, else nothing.
pub(crate) fn did_you_mean<'n>(
    name: &str,
    candidates: impl IntoIterator<Item = &'n str>,
) -> String {
    let candidates: Vec<&str> = candidates.into_iter().take(SUGGESTED_AMONG).collect();
    let synonym = SYNONYMS.iter().find(|(other, ours)| *other == name && candidates.contains(ours));
    let near = synonym.map(|(_, ours)| *ours).or_else(|| closest(name, candidates));
    near.map_or_else(String::new, |near| format!(" (did you mean {}?)", quoted(near)))
}

/// Maximum number of candidates, so that a suggestion costs less than a millisecond.
const SUGGESTED_AMONG: usize = 200;

/// The candidate with the smallest edit distance (a transposition counts as one), if it is at most a
/// third of the name's length.
fn closest<'n>(name: &str, candidates: Vec<&'n str>) -> Option<&'n str> {
    if name.len() > SUGGESTED_BYTES {
        return None;
    }
    let folded = name.to_lowercase();
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= SUGGESTED_BYTES)
        .map(|candidate| (osa_distance(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Limit of the length of a name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Whether the text can name a metric, a segment key or a segment value: 1 to 64 letters (a-z, A-Z), digits, `_`,
/// `.` or `-`.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_gets_a_suggestion_and_another_word_does_not() {
        let names = ["tenure", "MonthlyCharges", "Contract"];
        assert_eq!(did_you_mean("tenrue", names), " (did you mean `tenure`?)");
        assert_eq!(did_you_mean("monthlycharges", names), " (did you mean `MonthlyCharges`?)");
        assert_eq!(did_you_mean("fsat", ["careful", "fast"]), " (did you mean `fast`?)");
        let fields = ["prediction_id", "outcome", "feedback"];
        assert_eq!(did_you_mean("label", fields), " (did you mean `outcome`?)");
        assert_eq!(did_you_mean("label", names), "", "a synonym of no candidate");
        assert_eq!(did_you_mean("height", names), "");
        assert_eq!(did_you_mean("", names), "");
        assert_eq!(did_you_mean(&"x".repeat(100_000), names), "");
    }

    #[test]
    fn what_was_sent_is_quoted_on_one_short_line() {
        assert_eq!(quoted("a\nb"), "`a\\nb`");
        assert_eq!(quoted(&"é".repeat(41)), format!("`{}…`", "é".repeat(40)));
    }

    #[test]
    fn long_lists_are_counted() {
        let names: Vec<String> = (0..32).map(|i| i.to_string()).collect();
        assert!(listed(names.iter().map(String::as_str)).ends_with("`29`, and 2 more"));
    }
}
