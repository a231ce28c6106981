//! Numbers as tables write them.

/// Signs of currencies, before or after the number.
const CURRENCIES: [char; 5] = ['$', '€', '£', '¥', '₹'];

/// Separators of thousands other than the comma and the point: spaces, no-break spaces and the apostrophe.
const GROUPS: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\'', '’'];

/// A finite number with or without marks, and whether it has some: grouped thousands, a currency, a percent
/// sign.
pub fn number(text: &str, has_decimal_comma: bool) -> Option<(f64, bool)> {
    let plain = plain(text, has_decimal_comma).map(|number| (number, false));
    plain.or_else(|| marked(text, has_decimal_comma).map(|number| (number, true)))
}

/// A finite number without marks.
pub fn plain(text: &str, has_decimal_comma: bool) -> Option<f64> {
    let finite = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
    if !has_decimal_comma {
        return finite(text);
    }
    match (text.split_once(','), text.contains('.')) {
        (Some((whole, fraction)), false) => finite(&format!("{whole}.{fraction}")),
        (Some(_), true) => None,
        // 1.200 is a thousand with two hundred.
        (None, true) if grouped(text, ',').is_some() => None,
        (None, _) => finite(text),
    }
}

/// A finite number with grouped thousands, a currency or a percent sign; `12.5 %` is 12.5.
///
/// ```
/// use serin::text::tables::number::marked;
/// assert_eq!(marked("$1,200.50", false), Some(1200.5));
/// assert_eq!(marked("1.200,50 €", true), Some(1200.5));
/// assert_eq!(marked("12.5 %", false), Some(12.5));
/// assert_eq!(marked("1,20", false), None);
/// ```
pub fn marked(text: &str, has_decimal_comma: bool) -> Option<f64> {
    let signed = |text: &str| match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest.trim_start().to_owned()),
        None => (1.0, text.strip_prefix('+').unwrap_or(text).trim_start().to_owned()),
    };
    let (outer, rest) = signed(text.trim());
    let bare = rest.trim_start_matches(CURRENCIES).trim_end_matches(CURRENCIES).trim();
    let bare = bare.strip_suffix('%').unwrap_or(bare).trim_end();
    let (inner, bare) = signed(bare);
    if !bare.starts_with(|c: char| c.is_ascii_digit() || ".,".contains(c)) {
        return None;
    }
    let decimal = if has_decimal_comma { ',' } else { '.' };
    let number = match grouped(&bare, decimal) {
        Some(number) => number,
        None => plain(&bare, has_decimal_comma)?,
    };
    Some(outer * inner * number)
}

/// The number behind groups of three digits: `1,234,567.8` where the decimal sign is a point.
fn grouped(text: &str, decimal: char) -> Option<f64> {
    let (whole, fraction) = text.split_once(decimal).unwrap_or((text, "0"));
    let separator = whole.chars().find(|c| !c.is_ascii_digit())?;
    let is_separator =
        GROUPS.contains(&separator) || (".,".contains(separator) && separator != decimal);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.split(separator);
    let first = groups.next()?;
    let is_grouped = is_separator
        && (1..=3).contains(&first.len())
        && first != "0"
        && digits(first)
        && groups.all(|group| group.len() == 3 && digits(group))
        && digits(fraction);
    let joined: String = whole.chars().filter(char::is_ascii_digit).collect();
    if is_grouped { format!("{joined}.{fraction}").parse().ok() } else { None }
}

/// Whether a text is a code and not a quantity: digits with a leading zero, such as a postal code.
pub fn is_code(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_and_other_texts_are_not() {
        for (text, has_decimal_comma, expected) in [
            ("1,200", false, Some(1200.0)),
            ("-1,234,567.5", false, Some(-1_234_567.5)),
            ("1.234.567,5", true, Some(1_234_567.5)),
            ("1 200", false, Some(1200.0)),
            ("1\u{202f}200,5", true, Some(1200.5)),
            ("1'200.50", false, Some(1200.5)),
            ("$ 5", false, Some(5.0)),
            ("-$5.25", false, Some(-5.25)),
            ("$-5.25", false, Some(-5.25)),
            ("5 €", false, Some(5.0)),
            ("12.3%", false, Some(12.3)),
            ("12,3 %", true, Some(12.3)),
            ("1,20", false, None),
            ("12,3456", false, None),
            ("0,123", false, None),
            ("1,200,5", false, None),
            ("1 2", false, None),
            ("$", false, None),
            ("%", false, None),
            ("many", false, None),
            ("1-2", false, None),
            ("2024-05-06", false, None),
            ("", false, None),
        ] {
            assert_eq!(marked(text, has_decimal_comma), expected, "{text:?}");
        }
    }

    #[test]
    fn a_decimal_comma_is_read_where_the_file_has_them() {
        assert_eq!(plain("1,5", true), Some(1.5));
        assert_eq!(plain("-0,125", true), Some(-0.125));
        assert_eq!(plain("12", true), Some(12.0));
        assert_eq!(plain("1.200", true), None);
        assert_eq!(plain("1,5", false), None);
        assert_eq!(plain("1e999", false), None);
        assert_eq!(plain("nan", false), None);
    }

    #[test]
    fn only_digits_after_a_zero_are_a_code() {
        assert!(is_code("01234") && is_code("00"));
        assert!(!is_code("0") && !is_code("0.5") && !is_code("10") && !is_code("0a"));
    }
}
