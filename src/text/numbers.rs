//! Numbers as text: values, probabilities, percentages, counts.

/// A probability or p-value: four decimals, or scientific below 0.0001.
pub fn probability(p: f64) -> String {
    if p == 0.0 {
        "< 1e-300".to_owned()
    } else if p < 0.0001 {
        format!("{p:.1e}")
    } else {
        format!("{p:.4}")
    }
}

/// "p = " or "p < " and the p-value.
///
/// ```
/// use serin::text::numbers::equation;
/// assert_eq!(equation("p", 0.0123), "p = 0.0123");
/// assert_eq!(equation("p", 0.0), "p < 1e-300");
/// ```
pub fn equation(name: &str, p: f64) -> String {
    let text = probability(p);
    if text.starts_with('<') { format!("{name} {text}") } else { format!("{name} = {text}") }
}

/// Two numbers with as many digits as it takes to see a difference between them.
///
/// ```
/// use serin::text::numbers::two_numbers;
/// assert_eq!(two_numbers(12.5, 13.0), ["12.5", "13"]);
/// assert_eq!(two_numbers(1e15 + 2.5, 1e15 + 1.5), ["1000000000000002.5", "1000000000000001.5"]);
/// ```
pub fn two_numbers(one: f64, other: f64) -> [String; 2] {
    let short = [one, other].map(number);
    let is_visible = short[0] != short[1] || one == other;
    if is_visible { short } else { [one, other].map(|value| value.to_string()) }
}

/// A p-value that may not exist: `none` without samples.
pub fn p_value(p: Option<f64>) -> String {
    p.map_or_else(|| "none".to_owned(), probability)
}

/// A number in any unit: six significant digits, no trailing zeros.
///
/// ```
/// use serin::text::numbers::number;
/// assert_eq!(number(0.866_666_67), "0.866667");
/// assert_eq!(number(12.5), "12.5");
/// assert_eq!(number(-2.0e9), "-2.000e9");
/// ```
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let digits_before = magnitude.max(1e-4).log10().floor();
    let text = format!("{value:.*}", (5.0 - digits_before) as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A number as it was given, or nearly: all digits that tell it from others, with an exponent if it is tiny
/// or huge.
///
/// ```
/// use serin::text::numbers::exact;
/// assert_eq!(exact(0.05), "0.05");
/// assert_eq!(exact(15.0), "15");
/// assert_eq!(exact(1e-300), "1e-300");
/// assert_eq!(exact(1e12), "1e12");
/// ```
pub fn exact(value: f64) -> String {
    let is_short = value == 0.0 || (1e-5..1e9).contains(&value.abs());
    if is_short { value.to_string() } else { format!("{value:e}") }
}

/// A share as a percentage, without the rounding error of the multiplication.
pub fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// A share as text in percent: one decimal, and as many more as keep it from looking like none or all.
///
/// ```
/// use serin::text::numbers::share;
/// assert_eq!(share(0.8054), "80.5 %");
/// assert_eq!(share(0.99975), "99.98 %");
/// assert_eq!(share(0.00025), "0.03 %");
/// assert_eq!(share(1.0), "100.0 %");
/// ```
pub fn share(share: f64) -> String {
    let percent = percent(share);
    let from_end = percent.min(100.0 - percent);
    let looks_whole = from_end > 0.0 && from_end < 0.1;
    let decimals = if looks_whole { -from_end.log10().floor().max(-6.0) } else { 1.0 };
    // Rounded before it is written: 99.975 is slightly less in binary.
    let unit = 10_f64.powf(decimals);
    format!("{:.*} %", decimals as usize, (percent * unit).round() / unit)
}

/// A whole number with its thousands separated.
///
/// ```
/// use serin::text::numbers::grouped;
/// assert_eq!(grouped(7), "7");
/// assert_eq!(grouped(1_234_567), "1,234,567");
/// ```
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of something.
///
/// ```
/// use serin::text::numbers::count;
/// assert_eq!(count(1, "request"), "1 request");
/// assert_eq!(count(1_088, "request"), "1,088 requests");
/// assert_eq!(count(0, "pair"), "0 pairs");
/// ```
pub fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number rounded to two significant digits; 0 if it is not finite.
pub fn two_digits(number: f64) -> f64 {
    significant(number, 2)
}

/// A number rounded to three significant digits; 0 if it is not finite.
///
/// ```
/// use serin::text::numbers::{number, three_digits};
/// assert_eq!(number(three_digits(0.528_472)), "0.528");
/// ```
pub fn three_digits(number: f64) -> f64 {
    significant(number, 3)
}

fn significant(number: f64, digits: i32) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return 0.0;
    }
    let unit = 10_f64.powf(number.abs().log10().floor() - f64::from(digits - 1));
    (number / unit).round() * unit
}
