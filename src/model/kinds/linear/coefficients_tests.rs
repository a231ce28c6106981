//! Files of coefficients: what is read, and what is refused with its field.

use std::fmt::Write as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::model::kinds::features::MISSING;

const SMALL: &str = r#"{"model":"logistic_regression","intercept":0.5,"threshold":0.3,"features":[
    {"name":"x","kind":"number","coefficient":2,"mean":10,"scale":4,"missing":12},
    {"name":"c","kind":"category","levels":["a","b"],"coefficients":[1,-1],"missing":"b"},
    {"name":"n","kind":"category","levels":[3,1],"coefficients":[0.25,0.75]},
    {"name":"y","kind":"number","coefficient":-1}],
    "probes":[{"features":{"x":14,"c":"a","n":1,"y":0},"expected":0.985936}],
    "format":"serin.model/v1"}"#;

fn refusal(from: &str, to: &str) -> String {
    let changed = SMALL.replacen(from, to, 1);
    assert_ne!(changed, SMALL, "{from}");
    read(changed.as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_sum_has_each_term_and_what_a_missing_or_unknown_value_means() {
    let parsed = read(SMALL.as_bytes()).unwrap();
    assert_eq!((parsed.threshold, parsed.answer), (Some(0.3), Answer::Probability));
    let unknown = crate::model::kinds::features::UNKNOWN;
    let cases = [
        ([14.0, 0.0, 1.0, 0.0], 0.5 + 2.0 + 1.0 + 0.75),
        ([MISSING, MISSING, MISSING, 0.5], 0.5 + 2.0 * 0.5 - 1.0 - 0.5),
        ([10.0, unknown, unknown, 0.0], 0.5),
    ];
    for (row, expected) in cases {
        let mut score = [0.0];
        parsed.scores(&row, &mut Vec::new(), &mut score).unwrap();
        assert_eq!(score, [expected], "{row:?}");
    }
    let mut score = [0.0];
    parsed.predict(&[0.0, 0.0, 0.0, MISSING], &mut Vec::new(), &mut score).unwrap();
    assert!(score[0].is_nan(), "a number without `missing` has no answer: {score:?}");
}

#[test]
fn the_format_is_found_wherever_it_is_in_the_object_and_xgboost_is_not_taken_for_it() {
    for (file, expected) in [
        (SMALL, true),
        (r#" {"format": "serin.model/v2"}"#, true),
        (r#"{"a": {"format": "serin.model/v1"}}"#, false),
        (r#"{"learner": {"feature_names": []}, "format": "serin.model/v1"}"#, false),
        (r#"{"format": 1}"#, false),
        (r#"["format"]"#, false),
        ("", false),
    ] {
        assert_eq!(is_coefficients(file.as_bytes()), expected, "{file}");
    }
}

#[test]
fn a_wrong_field_is_refused_by_its_path() {
    let cases = [
        ("model/v1", "model/v2", "format: `serin.model/v2` is not known; this release reads"),
        ("\"model\":", "\"modle\":", "modle: unknown field `modle`"),
        ("logistic_regression", "logistic", "model: unknown variant `logistic`"),
        ("\"intercept\":0.5", "\"intercept\":\"0.5\"", "intercept: "),
        ("\"intercept\":0.5,", "", "missing field `intercept`"),
        ("\"threshold\":0.3", "\"threshold\":1.3", "threshold: 1.3 is not a probability"),
        ("logistic_", "linear_", "threshold: a linear_regression answers with no probability"),
        ("\"coefficient\":2,", "", "features[0].coefficient: missing"),
        ("\"coefficient\":2,", "\"coef\":2,", "features[0].coef: unknown field `coef`"),
        ("\"coefficient\":2,", "\"coefficient\":1e999,", "features[0].coefficient: number out"),
        ("\"mean\":10", "\"levels\":[1]", "features[0].levels: a number has `coefficient`"),
        ("\"scale\":4", "\"scale\":0", "features[0].scale: 0 is not a number above 0"),
        ("\"missing\":12", "\"missing\":\"12\"", "features[0].missing: \\\"12\\\" is not a number"),
        ("[1,-1]", "[1]", "features[1].coefficients: 1 numbers for 2 levels"),
        ("[1,-1]", "[1,null]", "features[1].coefficients[1]: "),
        ("[1,-1]", "[1,-1],\"mean\":2", "features[1].mean: a category has `levels`"),
        ("[\"a\",\"b\"]", "[\"b\",\"b\"]", "features[1].levels: \\\"b\\\" occurs twice"),
        ("[\"a\",\"b\"]", "[\"b\",[]]", "features[1].levels: category [] is neither"),
        ("[3,1]", "[1,1]", "features[2].levels: 1 occurs twice"),
        ("[3,1]", "[1,1.0]", "features[2].levels: 1 occurs twice"),
        ("[3,1]", "[0,-0.0]", "features[2].levels: 0 occurs twice"),
        ("[\"a\",\"b\"]", "[true,\"true\"]", "features[1].levels: \\\"true\\\" occurs twice"),
        ("\"missing\":\"b\"", "\"missing\":\"z\"", "features[1].missing: \\\"z\\\" is not one of"),
        ("\"kind\":\"number\"", "\"kind\":\"numeric\"", "features[0].kind: unknown variant"),
        ("0.985936", "0.98592", "probes[0]: the model answers 0.98593"),
        ("\"y\":0}", "\"Y\":0}", "probes[0]: "),
        ("\"n\":1,", "\"n\":\"1\",", "probes[0]: "),
        ("\"n\":1,", "\"n\":true,", "probes[0].features.n: feature `n`: the boolean true"),
        ("\"y\",", "\"x\",", "features: the name `x` occurs twice"),
    ];
    for (from, to, expected) in cases {
        let message = refusal(from, to);
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
    let behind = format!("{SMALL} 1");
    assert!(read(behind.as_bytes()).unwrap_err().to_string().contains("JSON: trailing"));
    let large = format!("{SMALL}{}", " ".repeat(MAX_COEFFICIENT_BYTES));
    assert!(read(large.as_bytes()).unwrap_err().to_string().contains("at most 8388608 are read"));
}

#[test]
fn levels_are_compared_as_values_and_not_as_the_text_that_a_message_shows() {
    let long = "x".repeat(59);
    let words = format!("[\"{long}1\",\"{long}2\"]");
    let file =
        SMALL.replace("[\"a\",\"b\"]", &words).replace("\"missing\":\"b\"", "\"missing\":null");
    read(file.replace("\"c\":\"a\"", &format!("\"c\":\"{long}1\"")).as_bytes()).unwrap();
    let number = SMALL.replace("[0.25,0.75]", "[0.25,0.75],\"missing\":3.0");
    let parsed = read(number.as_bytes()).unwrap();
    let mut score = [0.0];
    parsed.scores(&[10.0, -1.0, MISSING, 0.0], &mut Vec::new(), &mut score).unwrap();
    assert_eq!(score, [0.75]);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let marked = format!("\u{feff}{SMALL}");
    assert!(is_coefficients(marked.as_bytes()));
    read(marked.as_bytes()).unwrap();
}

/// A comparison of each probe with each level would be three billion.
#[test]
fn many_levels_with_many_probes_are_read_at_once_and_more_are_refused() {
    let file = |probes: usize| {
        let mut text =
            String::from("{\"format\":\"serin.model/v1\",\"model\":\"linear_regression\",");
        text.push_str(
            "\"intercept\":0,\"features\":[{\"name\":\"c\",\"kind\":\"category\",\"levels\":[\"a\"",
        );
        (0..300_000).for_each(|level| write!(text, ",\"{level}\"").unwrap());
        text.push_str("],\"coefficients\":[0");
        (0..300_000).for_each(|_| text.push_str(",1"));
        text.push_str("]}],\"probes\":[{\"features\":[\"a\"],\"expected\":0}");
        (1..probes).for_each(|_| text.push_str(",{\"features\":[\"299999\"],\"expected\":1}"));
        text.push_str("]}");
        text
    };
    let (done, end) = mpsc::channel();
    let most = file(MAX_PROBES);
    thread::spawn(move || done.send(read(most.as_bytes()).is_ok()));
    assert_eq!(end.recv_timeout(Duration::from_secs(30)), Ok(true));
    let refusal = read(file(MAX_PROBES + 1).as_bytes()).unwrap_err().to_string();
    assert_eq!(refusal, "probes: 10001 of them; keep at most 10000");
}
