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

/// A share as a percentage, without the rounding error of the multiplication.
pub fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
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

/// A number rounded to two significant digits; 0 if it is not finite.
pub fn two_digits(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return 0.0;
    }
    let unit = 10_f64.powf(number.abs().log10().floor() - 1.0);
    (number / unit).round() * unit
}
