//! Bad bodies of /predict are refused with field, value and remedy, and leave no trace.

use serde_json::json;

use crate::client::CUSTOMER;
use crate::harness::TestApp;
use crate::problem::Refused;
use crate::problem::refused;

const PATH: &str = "/predict";

/// Sends each body. Afterwards nothing has changed, and the server predicts as before.
fn assert_all_refused(cases: &[(&[u8], &str, Refused<'_>)]) {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    let probability = app.predict().done()["probability"].clone();
    let before = app.standing();
    for (body, description, expected) in cases {
        app.post_text(PATH, body).assert_refused(*expected, PATH, description);
    }
    assert_eq!(app.standing(), before, "a refused request counts for neither track");
    // 20 requests reach both models, whose answers differ.
    let mut again = (0..20).map(|_| app.predict().done()["probability"].clone());
    assert!(again.any(|answer| answer == probability));
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let bad = |named| refused(400, "invalid_json", named);
    let bomb = b"[".repeat(100_000);
    let bomb_inside = [br#"{"features": "#.as_slice(), &bomb].concat();
    let object_bomb = br#"{"features":"#.repeat(20_000);
    assert_all_refused(&[
        (b"", "an empty body", refused(400, "empty_body", &[r#"{"features": [0.5"#])),
        (b" \n", "only white space", bad(&["EOF"])),
        (b"{", "a truncated object", bad(&["EOF"])),
        (br#"{"features": [0.5, 1.2"#, "a truncated array", bad(&["EOF"])),
        (br#"{"features": [0.5, 1.2, 0.8, 0.3, 1.1]"#, "one brace short", bad(&["EOF"])),
        (br#"{"features": [0.5, 1.2, 0.8, 0.3, 1.1]} x"#, "trailing text", bad(&["trailing"])),
        (br#"{"features": [0.5,,1.2]}"#, "a comma too many", bad(&["line 1 column"])),
        (br#"{'features': [0.5]}"#, "single quotes", bad(&["line 1 column"])),
        (br#"{"features": [NaN, 1.2, 0.8, 0.3, 1.1]}"#, "NaN", bad(&["line 1 column"])),
        (br#"{"features": [Infinity, 1, 1, 1, 1]}"#, "Infinity", bad(&["line 1 column"])),
        (br#"{"features": [-Infinity, 1, 1, 1, 1]}"#, "-Infinity", bad(&["line 1 column"])),
        (br#"{"features": [1e999, 1.2, 0.8, 0.3, 1.1]}"#, "1e999", bad(&["out of range"])),
        (br#"{"features": [-1e999, 1.2, 0.8, 0.3, 1.1]}"#, "-1e999", bad(&["out of range"])),
        (br#"{"features": [+1, 1.2, 0.8, 0.3, 1.1]}"#, "a plus sign", bad(&["line 1 column"])),
        (br#"{"features": [0x1, 1.2, 0.8, 0.3, 1.1]}"#, "hexadecimal", bad(&["line 1 column"])),
        (br#"{"features": [01, 1.2, 0.8, 0.3, 1.1]}"#, "a leading zero", bad(&["line 1 column"])),
        (b"features=0.5", "a form", bad(&["line 1 column"])),
        (b"{\"features\": [\"\xff\", 1, 1, 1, 1]}", "no UTF-8", bad(&["line 1 column"])),
        (b"{\"k\xc3\x28\": 1}", "no UTF-8 in a name", bad(&["line 1 column"])),
        (b"{\0}", "a NUL", bad(&["line 1 column"])),
        (&bomb_inside, "100,000 arrays deep in a field, none closed", bad(&["line 1 column"])),
        (&object_bomb, "20,000 objects deep, none closed", bad(&["line 1 column"])),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip", bad(&["line 1 column 1"])),
    ]);
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let bad = |named| refused(422, "invalid_body", named);
    let long = "k".repeat(257);
    let long_key = json!({ "features": CUSTOMER, "key": long }).to_string();
    let long_id = json!({ "features": CUSTOMER, "id": long }).to_string();
    let bomb = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let bomb_inside = [br#"{"features": "#.as_slice(), &bomb, b"}"].concat();
    let object_bomb =
        [br#"{"features":"#.repeat(20_000), b"1".to_vec(), b"}".repeat(20_000)].concat();
    let rows = vec!["[1,1,1,1,1]"; 10_001].join(",");
    let rows = format!(r#"{{"instances": [{rows}]}}"#);
    assert_all_refused(&[
        (
            rows.as_bytes(),
            "too many rows",
            bad(&["instances", "more than 10000 rows", "1 to 10000"]),
        ),
        (b"{}", "nothing in it", bad(&["features is missing", r#"{"features": [0.5"#])),
        (b"null", "null", bad(&[])),
        (b"5", "a number", bad(&[])),
        (br#""text""#, "a text", bad(&[])),
        (b"[0.5, 1.2, 0.8, 0.3, 1.1]", "a bare array", bad(&[])),
        (b"[[0.5, 1.2, 0.8, 0.3, 1.1]]", "an array of rows", bad(&[])),
        (b"[[0.5, 1.2, 0.8, 0.3, 1.1], null, null, null]", "fields by position", bad(&[])),
        (&bomb, "100,000 arrays deep", bad(&[])),
        (&bomb_inside, "100,000 arrays deep in a field", bad(&[])),
        (&object_bomb, "20,000 objects deep", bad(&[])),
        (br#"{"features": null}"#, "null for features", bad(&["features is missing"])),
        (br#"{"features": 5}"#, "a number for features", bad(&["5", "array"])),
        (br#"{"features": "0.5,1.2"}"#, "a text for features", bad(&["0.5,1.2", "array"])),
        (br#"{"features": [true, 1, 1, 1, 1]}"#, "a bool", bad(&["features[0]", "true"])),
        (br#"{"features": [1, [2], 1, 1, 1]}"#, "a nested array", bad(&["features[1]"])),
        (br#"{"features": [1, {"a": 1}, 1, 1, 1]}"#, "a nested object", bad(&["features[1]"])),
        (
            br#"{"features": {"tenure_years": [1]}}"#,
            "a nested array by name",
            bad(&["tenure_years"]),
        ),
        (br#"{"feature": [1, 1, 1, 1, 1]}"#, "an unknown field", bad(&["`feature`", "`features`"])),
        (
            br#"{"features": [1,1,1,1,1], "features": [1,1,1,1,1]}"#,
            "a field twice",
            bad(&["duplicate", "features"]),
        ),
        (
            br#"{"features": [1,1,1,1,1], "instances": [[1,1,1,1,1]]}"#,
            "features and instances",
            bad(&["features excludes instances", "send one"]),
        ),
        (br#"{"instances": []}"#, "no row", bad(&["instances", "0 rows", "1 to 10000"])),
        (br#"{"instances": [1, 2]}"#, "numbers for rows", bad(&["1"])),
        (long_key.as_bytes(), "a long key", bad(&["key", "257", "256", "shorter"])),
        (long_id.as_bytes(), "a long id", bad(&["id", "257", "256", "shorter"])),
        (
            br#"{"features": [1,1,1,1,1], "key": 5}"#,
            "a number for a key",
            bad(&["5", "text in quotes"]),
        ),
        (
            br#"{"features": [1,1,1,1,1], "covariate": 0}"#,
            "a covariate of 0",
            bad(&["covariate: 0", "positive number"]),
        ),
        (br#"{"features": [1,1,1,1,1], "covariate": -2.5}"#, "a negative one", bad(&["-2.5"])),
        (br#"{"features": [1,1,1,1,1], "covariate": "3"}"#, "a text for one", bad(&["covariate"])),
    ]);
}

#[test]
fn features_that_do_not_fit_the_model_are_refused() {
    let bad = |named| refused(422, "invalid_features", named);
    let all_names = &["`tenure_years`", "`support_calls`", "null"];
    assert_all_refused(&[
        (
            br#"{"features": [0.5, 1.2, 0.8, 0.3]}"#,
            "one too few",
            bad(&["4 values", "takes 5", "`tenure_years`", "null"]),
        ),
        (br#"{"features": [1, 1, 1, 1, 1, 1]}"#, "one too many", bad(&["6 values", "takes 5"])),
        (br#"{"features": []}"#, "none", bad(&["0 values", "takes 5"])),
        (br#"{"features": {}}"#, "no names", bad(all_names)),
        (
            br#"{"features": {"tenure_years": 1, "charge_ratio": 1, "usage_ratio": 1,
                 "late_payment_share": 0}}"#,
            "a name left out",
            bad(&["`support_calls` missing", "null"]),
        ),
        (
            br#"{"features": {"tenure_year": 1, "charge_ratio": 1, "usage_ratio": 1,
                 "late_payment_share": 0, "support_calls": 0}}"#,
            "a name misspelled",
            bad(&["`tenure_year`", "did you mean `tenure_years`?"]),
        ),
        (
            br#"{"features": {"tenure_years": 1, "charge_ratio": 1, "usage_ratio": 1,
                 "late_payment_share": 0, "support_calls": 0, "height": 1}}"#,
            "a name too many",
            bad(&["`height`", "`tenure_years`"]),
        ),
        (
            br#"{"features": {"tenure_years": 1, "tenure_years": 2, "charge_ratio": 1,
                 "usage_ratio": 1, "late_payment_share": 0, "support_calls": 0}}"#,
            "a name twice",
            bad(&["`tenure_years`", "twice"]),
        ),
        (
            br#"{"features": ["0.5", 1.2, 0.8, 0.3, 1.1]}"#,
            "a text where a number belongs",
            bad(&["`tenure_years`", "`0.5`", "text", "without quotes"]),
        ),
        (
            br#"{"features": ["NaN", 1.2, 0.8, 0.3, 1.1]}"#,
            "NaN as text",
            bad(&["`tenure_years`", "`NaN`"]),
        ),
        (
            br#"{"instances": [[1, 1, 1, 1, 1], [1, 1, "x", 1, 1]]}"#,
            "the second of two rows",
            bad(&["instance 1", "`usage_ratio`", "`x`"]),
        ),
    ]);
}

/// A client may send any finite number. Whatever the model computes from it, no failure counts against
/// stable or a canary.
#[test]
fn enormous_numbers_do_not_count_as_failures() {
    let app = TestApp::spawn();
    app.deploy_canary().done();
    app.set_traffic(50).done();
    for value in [1e300, -1e300, 1e308, -1.7e308, 5e-324] {
        for _ in 0..4 {
            let features = [value; 5];
            let reply = app.post(PATH, &json!({ "features": features }));
            assert!(matches!(reply.status, 200 | 422), "{value}: {}", reply.body);
        }
    }
    let tracks = &app.status()["tracks"];
    assert_eq!(
        (&tracks["stable"]["failures"], &tracks["canary"]["failures"]),
        (&json!(0), &json!(0))
    );
}

/// Quotations of the client's own long words are cut.
#[test]
fn a_long_word_is_cut_in_the_answer() {
    let app = TestApp::spawn();
    let long = "x".repeat(100_000);
    for body in [
        json!({ "features": [long.clone(), 1, 1, 1, 1] }),
        json!({ "features": { long.clone(): 1 } }),
        json!({ "features": CUSTOMER, long.clone(): 1 }),
        json!({ "features": long.clone() }),
        json!({ "features": CUSTOMER, "key": { long: 1 } }),
    ] {
        let reply = app.post(PATH, &body);
        assert_eq!(reply.status, 422);
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.len() < 2500, "{} bytes", detail.len());
    }
}
