//! Files of XGBoost: what is read, and what is refused with its place.

use super::*;
use crate::model::kinds::features::FeatureKind;

const SMALL: &str = r#"{"learner":{"attributes":{},"feature_names":["a","b"],"feature_types":["float","c"],
"gradient_booster":{"name":"gbtree","model":{"cats":{"enc":[{"offsets":[],"values":[]},
{"offsets":[0,2,5],"values":[110,111,121,101,115]}]},"iteration_indptr":[0,1],"tree_info":[0],
"trees":[{"left_children":[1,-1,3,-1,-1],"right_children":[2,-1,4,-1,-1],"split_indices":[0,0,1,0,0],
"split_conditions":[0.5,1,0,2,3],"default_left":[1,0,0,0,0],"base_weights":[1.5,1,2.5,2,3],
"categories":[1],"categories_nodes":[2],"categories_segments":[0],"categories_sizes":[1],
"tree_param":{"size_leaf_vector":"1"}}]}},
"learner_model_param":{"base_score":"[5E-1]","num_feature":"2","num_class":"0","num_target":"1"},
"objective":{"name":"binary:logistic"}},"version":[3,2,0]}"#;

fn scores(document: &str, row: [f64; 2]) -> f64 {
    let mut score = [0.0];
    read(document.as_bytes()).unwrap().scores(&row, &mut Vec::new(), &mut score).unwrap();
    score[0]
}

#[test]
fn a_small_model_answers_by_its_splits() {
    let parsed = read(SMALL.as_bytes()).unwrap();
    assert_eq!(parsed.features[1].kind, FeatureKind::Words(vec!["no".into(), "yes".into()]));
    let cases = [
        ([0.4, 0.0], 1.0),
        // The input is rounded to f32, where it is the condition itself.
        ([0.499_999_999_9, 0.0], 2.0),
        ([0.5, 0.0], 2.0),
        ([0.5, 1.0], 3.0),
        ([0.5, f64::NAN], 3.0),
        ([f64::NAN, 0.0], 1.0),
    ];
    for (row, expected) in cases {
        assert_eq!(scores(SMALL, row), expected, "{row:?}");
    }
}

/// Codes without a list of categories: XGBoost 3.2 sends those below 0, and those beyond all sets, left as every code
/// that is not a member, and only NaN where missing values go.
#[test]
fn codes_below_zero_are_no_members_and_not_missing() {
    let codes = SMALL.replace(r#"{"offsets":[0,2,5],"values":[110,111,121,101,115]}"#, "");
    let codes = codes.replace(r#"{"offsets":[],"values":[]},"#, "");
    assert_eq!(read(codes.as_bytes()).unwrap().features[1].kind, FeatureKind::Codes);
    for (code, expected) in [
        (0.0, 2.0),
        (1.0, 3.0),
        (-1.0, 2.0),
        (-7.0, 2.0),
        (2e7, 2.0),
        (1e300, 2.0),
        (f64::NAN, 3.0),
    ] {
        assert_eq!(scores(&codes, [0.5, code]), expected, "{code}");
    }
    // In a list, -1 is the code of an unknown word.
    assert_eq!(scores(SMALL, [0.5, -1.0]), 3.0);
}

/// XGBoost 1 has no `iteration_indptr`, and equally many trees in each iteration.
#[test]
fn the_best_iteration_is_found_without_a_list_of_iterations() {
    let old = SMALL.replace(r#""iteration_indptr":[0,1],"#, "");
    assert_ne!(old, SMALL);
    let best = |number: &str, parallel: &str| {
        let attributes =
            format!(r#""attributes":{{"best_iteration":"{number}","scikit_learn":""}}"#);
        let trees =
            format!(r#""gbtree_model_param":{{"num_parallel_tree":"{parallel}"}},"tree_info":"#);
        let file =
            old.replace(r#""attributes":{}"#, &attributes).replace(r#""tree_info":"#, &trees);
        read(file.as_bytes()).map(|_| ()).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(best("0", "1"), Ok(()));
    for (number, parallel, expected) in [
        ("1", "1", "attributes.best_iteration: 1, but the model has no such iteration"),
        ("0", "2", "attributes.best_iteration: 0, but the model has no such iteration"),
        ("0", "0", "num_parallel_tree: 0 is not a number above 0"),
    ] {
        assert_eq!(best(number, parallel).unwrap_err(), expected);
    }
}

#[test]
fn base_scores_are_read_in_every_form() {
    for (text, expected) in [("5E-1", 2.0), ("[5E-1]", 2.0), ("[7.310586E-1]", 3.0)] {
        let score = scores(&SMALL.replace("[5E-1]", text), [0.5, 0.0]);
        assert!((score - expected).abs() < 1e-6, "{text}: {score}");
    }
}

#[test]
fn damage_is_refused_with_its_place() {
    let cases = [
        (r#""name":"gbtree""#, r#""name":"gblinear""#, "booster: gblinear is not supported"),
        (r#""left_children":[1,-1,3"#, r#""left_children":[0,-1,3"#, "tree 0: node 0 is the child"),
        (
            r#""left_children":[1,-1,3"#,
            r#""left_children":[9,-1,3"#,
            "tree 0: node 9 of 5 is named",
        ),
        (
            r#""left_children":[1,-1,3"#,
            r#""left_children":[-7,-1,3"#,
            "tree 0: split 0 has child -7",
        ),
        (
            r#""split_indices":[0,0,1"#,
            r#""split_indices":[45,0,1"#,
            "split 0 names feature 45 of 2",
        ),
        (r#""default_left":[1,0,0,0,0]"#, r#""default_left":[1]"#, "tree 0: default_left has 1"),
        (r#""categories_sizes":[1]"#, r#""categories_sizes":[9]"#, "the categories of split 2"),
        (r#""categories":[1]"#, r#""categories":[4000000000]"#, "category sets are too long"),
        (r#""tree_info":[0]"#, r#""tree_info":[3]"#, "tree 0: it adds to output 3 of 1"),
        (r#""size_leaf_vector":"1""#, r#""size_leaf_vector":"3""#, "several values"),
        (r#""num_target":"1""#, r#""num_target":"2""#, "num_target: 2 targets"),
        (r#""num_feature":"2""#, r#""num_feature":"99999999""#, "num_feature: 99999999 is not"),
        (r#""feature_types":["float","c"]"#, r#""feature_types":["float"]"#, "feature_types: 1"),
        ("binary:logistic", "binary:hinge", "objective: binary:hinge is not supported"),
        ("binary:logistic", "multi:softprob", "num_class: 0 classes do not fit"),
        (r#""[5E-1]""#, r#""[2]""#, "base_score: [2] is out of range"),
        (r#""offsets":[0,2,5]"#, r#""offsets":[0,2,500]"#, "cats.enc[1]: the offsets do not cut"),
        (
            r#""attributes":{}"#,
            r#""attributes":{"best_iteration":"7","scikit_learn":""}"#,
            "best_iteration: 7",
        ),
        (r#"{"learner":"#, r#"{"teacher":"#, "it has neither `learner` (XGBoost) nor"),
        (r#""version""#, "", "JSON: "),
    ];
    for (from, to, expected) in cases {
        let message = read(SMALL.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

#[test]
fn deep_documents_are_refused_without_recursion() {
    let json = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(read(json.as_bytes()).unwrap_err().to_string().contains("JSON: EOF"));
    let json = format!("{{\"learner\":{{\"feature_names\":{}", "[".repeat(100_000));
    assert!(read(json.as_bytes()).unwrap_err().to_string().contains("JSON: "));
    let mut binary = b"{U\x01a".to_vec();
    binary.extend(std::iter::repeat_n(b'[', 100_000));
    assert!(read(&binary).unwrap_err().to_string().contains("nested more than 128 deep"));
}

#[test]
fn ubjson_reads_every_type_and_no_declared_length_is_trusted() {
    use serde_json::json;
    let cases: [(&[u8], serde_json::Value); 9] = [
        (b"i\xff", json!(-1)),
        (b"U\xff", json!(255)),
        (b"I\x01\x00", json!(256)),
        (b"L\0\0\0\0\0\0\0\x07", json!(7)),
        (b"d\x3f\x80\0\0", json!(1.0)),
        (b"SU\x02hi", json!("hi")),
        (b"[$U#U\x03\x01\x02\x03", json!([1, 2, 3])),
        (b"[NTNFZ]", json!([true, false, null])),
        (b"{i\x01a[#i\x01Cii\x01bSU\x00}", json!({"a": ["i"], "b": ""})),
    ];
    for (bytes, expected) in &cases {
        assert_eq!(ubjson::from_slice::<serde_json::Value>(bytes).unwrap(), *expected);
    }
    let broken: [(&[u8], &str); 7] = [
        (
            b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            "a length of 9223372036854775807 with 0 bytes left",
        ),
        (b"[$Z#U\xff", "is not a type of values"),
        (b"[$U", "a type of values without a count"),
        (b"SL\xff\xff\xff\xff\xff\xff\xff\xff", "a length of -1"),
        (b"H", "unknown marker 0x48"),
        (b"i", "the file is cut off"),
        (b"ZZ", "1 bytes behind the document"),
    ];
    for (bytes, expected) in broken {
        let message = ubjson::from_slice::<serde_json::Value>(bytes).unwrap_err().to_string();
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

/// A thread with 64 kB is enough, because skipping does not recurse.
#[test]
fn nested_values_that_are_skipped_take_no_stack() {
    let deep = |levels: usize| {
        let mut bytes = b"{U\x01b{U\x01xi\x01U\x01yS".to_vec();
        bytes.extend_from_slice(b"U\x02hi}U\x01cU\x07U\x01a[$U#U\x02\x01\x02U\x01d");
        bytes.extend(std::iter::repeat_n(b"[{U\x01a", levels / 2).flatten());
        bytes.extend_from_slice(b"TN");
        bytes.extend(std::iter::repeat_n(b"}]", levels / 2).flatten());
        bytes.extend_from_slice(b"U\x07learner[]}");
        bytes
    };
    #[derive(Debug, serde::Deserialize)]
    struct Known {
        c: u8,
        learner: Vec<u8>,
    }
    let read = move || {
        let known = ubjson::from_slice::<Known>(&deep(126)).unwrap();
        assert_eq!((known.c, known.learner), (7, Vec::new()));
        let refusal = ubjson::from_slice::<Known>(&deep(128)).unwrap_err().to_string();
        assert!(refusal.contains("nested more than 128 deep"), "{refusal}");
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(read).unwrap().join().unwrap();
}
