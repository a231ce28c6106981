//! Reading the expected values, and comparing with them.

use std::fs;
use std::path::Path;

use serde_json::Value;
use serin::stats::Alternative;

/// Relative, unless a comment gives the reason for another bound.
pub const TOLERANCE: f64 = 1e-9;

/// The cases of one file in `tests/reference`.
pub fn cases(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[track_caller]
pub fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(number).collect()
}

#[track_caller]
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[track_caller]
pub fn assert_close(found: f64, expected: &Value, tolerance: f64, case: &Value) {
    let expected = number(expected);
    let close = (found - expected).abs() <= tolerance * expected.abs();
    assert!(close, "{found:e}, expected {expected:e}: {case}");
}

/// Where a value near 0 has no digits of its own, `scale` is the size of what it was made of.
#[track_caller]
pub fn assert_near(found: f64, expected: &Value, scale: f64, case: &Value) {
    let expected = number(expected);
    let allowed = TOLERANCE * expected.abs().max(scale);
    assert!((found - expected).abs() <= allowed, "{found:e}, expected {expected:e}: {case}");
}

/// The ends of an interval; the scale of an end near 0 is the interval's width.
#[track_caller]
pub fn assert_interval(found: (f64, f64), expected: &Value, case: &Value) {
    for (end, expected) in [(found.0, &expected[0]), (found.1, &expected[1])] {
        assert_near(end, expected, found.1 - found.0, case);
    }
}

/// A count.
pub fn count(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// As statsmodels and as we call them.
pub fn alternative(name: &Value) -> Alternative {
    match name.as_str().unwrap() {
        "larger" | "greater" => Alternative::Greater,
        _ => Alternative::TwoSided,
    }
}
